// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// VerificationReport is what `verify` found in etcd, or in a file of it.
//
// Names of objects, and what stored values say of provider and key, are what somebody wrote into etcd. A byte that is no UTF-8 is
// spelled \xff in them, what can't be printed \x1b or \u202e, and a backslash \\.
type VerificationReport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Cluster is the cluster that was asked, absent for a file.
	Cluster *Cluster `json:"cluster,omitempty"`
	// Source is where the values were read.
	Source VerificationSource `json:"source"`
	// Verdict is one sentence.
	Verdict string `json:"verdict"`
	// Outcome is Clean, Found, Unproven or Surveyed.
	Outcome string `json:"outcome"`
	// Digest is the configuration that the values were judged by, absent if there is none.
	Digest string `json:"digest,omitempty"`
	// Objects is the number of values that were counted, Current that of those that are stored as the configuration would store
	// them now; absent if nothing was judged.
	Objects int64  `json:"objects"`
	Current *int64 `json:"current,omitempty"`
	// Findings are the values that are not, the worst first.
	Findings []VerificationFinding `json:"findings"`
	// Resources are what was counted, by resource.
	Resources []ResourceVerification `json:"resources"`
	// Keys are those that the values can't be read without.
	Keys []NeededKey `json:"keys"`
	// UnusedKeys are the keys of the configuration that nothing uses. UnusedKeysUnknown says why that can't be told, if it can't.
	UnusedKeys        []KeyRef `json:"unusedKeys"`
	UnusedKeysUnknown string   `json:"unusedKeysUnknown,omitempty"`
	// Residue is what was found of old values, absent unless it was asked for. Verdict and Outcome say nothing of it.
	Residue *VerificationResidue `json:"residue,omitempty"`
	// Notes are what a reader must know besides.
	Notes []string `json:"notes,omitempty"`
	// Hints are what may be done next, the most useful one first.
	Hints []string `json:"hints,omitempty"`
}

// VerificationSource is where values were read.
type VerificationSource struct {
	// Node that the agent ran on, and the URL of the etcd that answered it.
	Node     string `json:"node,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	// File that was read.
	File string `json:"file,omitempty"`
	// Hash is, of a file, whether it is as etcd sent it: Fits, Altered or Absent.
	Hash string `json:"hash,omitempty"`
	// Revision of etcd that was read, 0 if it is not known.
	Revision int64       `json:"revision,omitempty"`
	Time     metav1.Time `json:"time"`
}

// The outcomes of a verification.
const (
	// Clean is that every value is stored as the configuration would store it now.
	Clean = "Clean"
	// Found is that some value is not.
	Found = "Found"
	// Unproven is that none was found, and not everything was counted or could be judged.
	Unproven = "Unproven"
	// Surveyed is that there was nothing to judge by, and every value can be told.
	Surveyed = "Surveyed"
)

// The states of stored values.
const (
	// StoredCurrent is as the configuration would store it now.
	StoredCurrent = "Current"
	// StoredStale is under a key that the configuration reads and does not write with.
	StoredStale = "Stale"
	// StoredPlaintext is not encrypted where the configuration encrypts.
	StoredPlaintext = "Plaintext"
	// StoredMissing is under a key that the configuration lacks for the resource.
	StoredMissing = "Missing"
	// StoredUndecryptable is what the key that it names does not open.
	StoredUndecryptable = "Undecryptable"
	// StoredUndecodable is damaged, or nothing that kube-apiserver would write.
	StoredUndecodable = "Undecodable"
	// StoredUnknown is encrypted by a provider that nobody knows.
	StoredUnknown = "Unknown"
	// StoredUnjudged is sound, and nothing said how it should be stored.
	StoredUnjudged = "Unjudged"
)

// VerificationFinding is all values of one state under one key.
type VerificationFinding struct {
	State string `json:"state"`
	// Key that they name, absent for states that know of none.
	Key *KeyRef `json:"key,omitempty"`
	// Held is, of a Missing key, that the configuration has it for other resources, or a node in its file or its history.
	Held bool `json:"held,omitempty"`
	// Unreadable is, of Plaintext, that the configuration does not read it.
	Unreadable bool  `json:"unreadable,omitempty"`
	Objects    int64 `json:"objects"`
}

// ResourceVerification is what was counted of one resource.
type ResourceVerification struct {
	// Name is the resource with its group: "secrets", "deployments.apps". "<unfamiliar>" stands for values under keys of which
	// nobody knows whose they are.
	Name string `json:"name"`
	// WriteKey is what it is to be stored with, provider identity for plaintext; absent if nothing was judged.
	WriteKey *KeyRef `json:"writeKey,omitempty"`
	// Complete is that it was counted to the end.
	Complete bool  `json:"complete"`
	Objects  int64 `json:"objects"`
	// Groups are its values, by state and key.
	Groups []StoredGroup `json:"groups"`
	// Strays is how many of the values are under keys that no object of the resource can have, StrayNames the first of these keys.
	Strays     int64    `json:"strays,omitempty"`
	StrayNames []string `json:"strayNames,omitempty"`
}

// StoredGroup is all values of one resource that are alike.
type StoredGroup struct {
	State    string `json:"state"`
	Provider string `json:"provider"`
	// Key is its name, for KMS the plugin's; absent for plaintext. KeyID is what a plugin of KMS v2 calls its key.
	Key   string `json:"key,omitempty"`
	KeyID string `json:"keyID,omitempty"`
	// Others is that these are groups that were too many to keep them apart. Provider and key are empty then.
	Others  bool  `json:"others,omitempty"`
	Objects int64 `json:"objects"`
	// Share of the resource's values, cut and never rounded up: "99.99%".
	Share string `json:"share"`
	// Names are the first objects, unless they are as they should be.
	Names []string `json:"names,omitempty"`
}

// NeededKey is a key that stored values can't be read without.
type NeededKey struct {
	KeyRef `json:",inline"`
	// KeyID is what a plugin of KMS v2 calls its key.
	KeyID string `json:"keyID,omitempty"`
	// Objects is the number of values, Resources where they are.
	Objects   int64    `json:"objects"`
	Resources []string `json:"resources"`
	// Held is that the configuration has it, or a node in its file or its history; absent if it is not known.
	Held *bool `json:"held,omitempty"`
}

// DeepCopyObject implements runtime.Object.
func (r *VerificationReport) DeepCopyObject() runtime.Object { return deepCopy(r) }

// VerificationResidue is what was found of old values on the disks of etcd's members, or in a file: copies of values that are not
// under the key that their resource is stored with now.
type VerificationResidue struct {
	// Verdict is one sentence.
	Verdict string `json:"verdict"`
	// Outcome is Found, Clean if nothing was found anywhere, or Unproven if nothing was found and not everything could be searched.
	Outcome string `json:"outcome"`
	// Copies is how many were found. One and the same value may be there many times.
	Copies int64 `json:"copies"`
	// Plaintext is how many of them are in plaintext.
	Plaintext int64 `json:"plaintext"`
	// Members are those of etcd, or the one that a file is of.
	Members []MemberResidue `json:"members"`
	// Limits are what nobody could find out.
	Limits []string `json:"limits"`
	// Hints are what clears it.
	Hints []string `json:"hints,omitempty"`
}

// MemberResidue is what was found in the files of one member.
type MemberResidue struct {
	// Node that the member runs on, absent for a file.
	Node string `json:"node,omitempty"`
	// Unknown says why not all of its files could be searched. What was found until then is not told.
	Unknown string `json:"unknown,omitempty"`
	// Note is what must be known of what was found.
	Note string `json:"note,omitempty"`
	// Bytes is how many were searched.
	Bytes int64 `json:"bytes"`
	// CompactedRevision is up to which revision etcd had compacted when the search began.
	CompactedRevision int64 `json:"compactedRevision,omitempty"`
	// Copies that were found, by place, resource and key.
	Copies []ResidualCopies `json:"copies"`
}

// The places of copies.
const (
	// ResidueSuperseded is the database, at a revision that is not compacted.
	ResidueSuperseded = "Superseded"
	// ResidueFreePages is the database, in pages that hold nothing any more or hold other records besides.
	ResidueFreePages = "FreePages"
	// ResidueOtherFiles is a file beside the database.
	ResidueOtherFiles = "OtherFiles"
	// ResidueLog is the write-ahead log.
	ResidueLog = "Log"
)

// ResidualCopies are the copies in one place of values of one resource under one key.
type ResidualCopies struct {
	Place    string `json:"place"`
	Resource string `json:"resource"`
	// State, Provider, Key and Others are as in StoredGroup.
	State    string `json:"state"`
	Provider string `json:"provider"`
	Key      string `json:"key,omitempty"`
	Others   bool   `json:"others,omitempty"`
	Copies   int64  `json:"copies"`
	// ClearedBy says in a few words what clears them.
	ClearedBy string `json:"clearedBy"`
}
