// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package agentapi is the language between the plugin and the agent on a control-plane node.
//
// The plugin writes one Request per line to the agent's standard input, the agent answers each with one Response
// per line on its standard output, both JSON. The agent says nothing unasked, and ends when its input ends. What it
// prints stays in the node's logs, so a Response holds nothing but public or sealed data.
//
// The package is pure and imports no Kubernetes client: the agent's image stays small.
package agentapi

import (
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// Version is the version of the messages. An agent refuses any other.
const Version = 1

// MaxLine is the longest line in bytes that either side reads: a sealed configuration for seven nodes fits.
const MaxLine = 16 << 20

// Where the Job mounts the node's folders in the agent's file system.
const (
	// ConfigDir is the folder of the EncryptionConfiguration.
	ConfigDir = "/host/config"
	// HistoryDir is the folder that keeps superseded configurations and the journal.
	HistoryDir = "/host/history"
	// ManifestDir is the folder of the node's static pods.
	ManifestDir = "/host/manifests"
	// LogDir is the folder of the logs of the node's pods, for the guard alone.
	LogDir = "/host/logs"
	// SnapDir and WALDir are where a member of etcd on the node keeps its database and its log.
	SnapDir = "/host/etcd/snap"
	WALDir  = "/host/etcd/wal"
)

// Op is what the agent is asked to do.
type Op string

// The operations. Inspect, Probe, Propose, Export, Compose, CheckEdit, Count and Search change nothing on the node.
const (
	// Inspect tells what is on the node.
	Inspect Op = "inspect"
	// Probe tells whether the folders that an installation writes to take what it writes.
	Probe Op = "probe"
	// Propose computes the next configuration from the node's own and seals it to every recipient.
	Propose Op = "propose"
	// Install replaces the node's configuration by a sealed one.
	Install Op = "install"
	// Forget removes keys from the node's history that its configuration does not have.
	Forget Op = "forget"
	// Export seals keys of the node's file and history to the agent that composes configurations.
	Export Op = "export"
	// Compose makes a configuration for each of several nodes, of one on this node and of exported keys.
	Compose Op = "compose"
	// CheckEdit tells whether the kube-apiserver's manifest can be edited as asked.
	CheckEdit Op = "check-edit"
	// EditManifest hands an edit of the kube-apiserver's manifest to a guard, a static pod on the node. The answer comes
	// when the guard's own manifest is in place, before the edit itself; State.Manifest.Edit tells how it went.
	EditManifest Op = "edit-manifest"
	// Count counts what is stored in etcd, by key. Its answer tells nothing of the node's files.
	Count Op = "count"
	// Search looks for what is left of values in the files of the node's member of etcd. Its answer tells nothing of the node's
	// other files.
	Search Op = "search"
)

// Request is one line to the agent.
type Request struct {
	Version int           `json:"version"`
	Op      Op            `json:"op"`
	Propose *Proposal     `json:"propose,omitempty"`
	Install *Installation `json:"install,omitempty"`
	Forget  *Forgetting   `json:"forget,omitempty"`
	Export  *Exporting    `json:"export,omitempty"`
	Compose *Composition  `json:"compose,omitempty"`
	Edit    *ManifestEdit `json:"edit,omitempty"`
	Count   *Counting     `json:"count,omitempty"`
	Search  *Searching    `json:"search,omitempty"`
}

// Proposal asks for the configuration that follows from a change. A key that the change adds with a fingerprint is taken from
// the node's history; one without is new.
type Proposal struct {
	// From is the digest that the node's file must have.
	From   string           `json:"from"`
	Change encconfig.Change `json:"change"`
	// Recipients are the agents that shall be able to open the result, by node, with their public keys.
	Recipients map[string][]byte `json:"recipients"`
}

// Installation hands over a sealed configuration.
type Installation struct {
	// From is the digest that the node's file must have when it is replaced; empty if there must be no file.
	From string `json:"from"`
	// To is the digest that the opened configuration must have.
	To     string `json:"to"`
	Sealed []byte `json:"sealed,omitempty"`
}

// Forgetting asks that no revision of the node's history holds some keys any more. The revisions that do are removed; it is refused
// if another key would be lost with them.
type Forgetting struct {
	// From is the digest that the node's file must have.
	From string `json:"from"`
	// Keys by provider, name and fingerprint.
	Keys []encconfig.Key `json:"keys"`
}

// ManifestEdit is an edit of the manifest of the node's kube-apiserver.
type ManifestEdit struct {
	// From is the digest that the manifest must have.
	From string `json:"from"`
	// File is the configuration's path on the node, which the kube-apiserver is to read and reload. Empty takes the
	// flags, the volume and the mount out.
	File string `json:"file,omitempty"`
	// Config is the digest that the configuration must have when the kube-apiserver begins to read it.
	Config string `json:"config,omitempty"`
	// RollbackAfter is how long the kube-apiserver may take to be ready as edited. Then the manifest is put back.
	RollbackAfter time.Duration `json:"rollbackAfter,omitempty"`
	// Image is the agent's own, which the guard runs.
	Image string `json:"image,omitempty"`
}

// Response is one line from the agent. Either Error is set or the answer to the request's Op.
type Response struct {
	Version int    `json:"version"`
	Op      Op     `json:"op"`
	Node    string `json:"node"`
	Run     string `json:"run"`
	Error   *Error `json:"error,omitempty"`
	// State is the node after the request, but for Count and Search.
	State *State `json:"state,omitempty"`
	// Proposed answers Propose.
	Proposed *Proposed `json:"proposed,omitempty"`
	// Exported answers Export.
	Exported *Exported `json:"exported,omitempty"`
	// Composed answers Compose.
	Composed *Composed `json:"composed,omitempty"`
	// Counted answers Count.
	Counted *Counted `json:"counted,omitempty"`
	// Searched answers Search.
	Searched *Searched `json:"searched,omitempty"`
}

// Code tells errors of the agent apart.
type Code string

// The codes. Whatever the code, the file on the node is whole: the old one or the new one.
const (
	// BadRequest: the request was not understood or does not fit the agent's version.
	BadRequest Code = "bad-request"
	// Changed: the file does not have the digest that the request expects, or is another one than before: somebody else
	// changed it.
	Changed Code = "changed"
	// Missing: there is no file, and nothing is in its place.
	Missing Code = "missing"
	// Unreadable: the file is not a plain file, too large, or not owned by root.
	Unreadable Code = "unreadable"
	// Invalid: the configuration is not fully understood.
	Invalid Code = "invalid"
	// NotSealed: the message can't be opened: changed, replayed, or meant for another agent.
	NotSealed Code = "not-sealed"
	// WriteFailed: the node's file system refused; the message says which file is in place.
	WriteFailed Code = "write-failed"
	// Unreachable: etcd does not answer, or not as it should.
	Unreachable Code = "unreachable"
)

// Error says what went wrong on the node, without key material.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// State is what the agent finds on its node.
type State struct {
	// PublicKey is the agent's ephemeral public key, made at its start and gone with it.
	PublicKey []byte `json:"publicKey"`
	// Config says what the file does. Absent if the file can't be read or understood; Problem then says why.
	Config *encconfig.Description `json:"config,omitempty"`
	// Digest of the file's bytes, also of a file that is not understood. Empty if it can't be read.
	Digest string `json:"digest,omitempty"`
	// Problem is also set, beside Config, where the history is damaged.
	Problem *Error `json:"problem,omitempty"`
	// HistoryDamaged is that there is more in the history than could be told, also where Problem is about the file.
	HistoryDamaged bool `json:"historyDamaged,omitempty"`
	// ModTime is the file's modification time by the node's own clock.
	ModTime time.Time `json:"modTime,omitzero"`
	// Mode is the file's permission bits, such as "0600".
	Mode string `json:"mode,omitempty"`
	// History are the configurations that were on this node before, oldest first, as far as they are kept.
	History []Revision `json:"history,omitempty"`
	// HighestKey is the highest number that a key on this node ever had.
	HighestKey uint64 `json:"highestKey"`
	// HighestWritten is the highest number of a key that this node ever had as a write key: nothing is stored with a key
	// above it. 0 if there was none, or the agent is of a version that does not tell.
	HighestWritten uint64 `json:"highestWritten,omitempty"`
	// Interrupted is set while the last installation is recorded as begun and not as done. The file itself is
	// whole: Digest tells which of the two it is.
	Interrupted *Installation `json:"interrupted,omitempty"`
	// Manifest is that of the node's kube-apiserver. Absent if the agent was not given its folder.
	Manifest *Manifest `json:"manifest,omitempty"`
}

// Manifest is the manifest of the node's kube-apiserver.
type Manifest struct {
	// Digest of the file's bytes. Empty if it can't be read; Problem says why, or what is not understood in it.
	Digest  string `json:"digest,omitempty"`
	Problem *Error `json:"problem,omitempty"`
	// Encryption is what it says of the configuration. Zero where Problem is set.
	Encryption staticpod.Encryption `json:"encryption"`
	// Edit is the last edit that was handed to a guard, nil if there was none.
	Edit *Edit `json:"edit,omitempty"`
}

// Stage is how far a guard has come.
type Stage string

// The stages of an edit. The first three are under way, the others final.
const (
	// EditPrepared: the guard was called and has not changed anything.
	EditPrepared Stage = "prepared"
	// EditWatched: the manifest is edited; the guard waits for the kube-apiserver.
	EditWatched Stage = "watched"
	// EditReverting: the old manifest is back, or about to be; the guard waits for the kube-apiserver.
	EditReverting Stage = "reverting"
	// EditDone: the kube-apiserver is ready as edited.
	EditDone Stage = "done"
	// EditReverted: the old manifest is back, and the kube-apiserver is ready with it.
	EditReverted Stage = "reverted"
	// EditRefused: nothing was changed.
	EditRefused Stage = "refused"
	// EditAbandoned: somebody else has changed the manifest meanwhile, and the guard keeps its hands off; or the old
	// manifest is back and the kube-apiserver does not become ready with it either.
	EditAbandoned Stage = "abandoned"
)

// Final tells whether no guard is at work any more.
func (s Stage) Final() bool {
	return s == EditDone || s == EditReverted || s == EditRefused || s == EditAbandoned
}

// Edit is an edit that was handed to a guard.
type Edit struct {
	Run string `json:"run"`
	// From and To are the digests of the manifest before and after.
	From  string `json:"from"`
	To    string `json:"to"`
	Stage Stage  `json:"stage"`
	// Time of the last change of the stage, by the node's clock.
	Time time.Time `json:"time"`
	// Reason says in one sentence why the edit did not come to be done.
	Reason string `json:"reason,omitempty"`
	// Log are the last lines that the edited kube-apiserver had to say, without key material.
	Log []string `json:"log,omitempty"`
}

// RestoreRun is the run that a revision is recorded under which was put in place by hand.
const RestoreRun = "restore"

// Revision is one configuration that was on the node.
type Revision struct {
	Number int                   `json:"number"`
	Time   time.Time             `json:"time"`
	Run    string                `json:"run"`
	Config encconfig.Description `json:"config"`
}

// Proposed is the next configuration: described for the plugin, sealed for the agents.
type Proposed struct {
	Config encconfig.Description `json:"config"`
	// Sealed configurations by node.
	Sealed map[string][]byte `json:"sealed"`
}
