// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ledger keeps the record of rotations and migrations in one ConfigMap, for people and for status.
//
// It is a record and no more: what there is to do is derived from what is observed. It can be deleted; the next
// rotation starts it anew, baselines are recorded again, and what is then not proven any more is called unknown.
// It holds names and fingerprints of keys, never keys.
package ledger

import (
	"slices"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Version is the version of the format. A later one is not read and not overwritten.
const Version = 1

// keepRotations is how many rotations are kept at most, keepDetails how many of them with all details.
const (
	keepRotations = 20
	keepDetails   = 2
)

// Ledger is the whole record.
type Ledger struct {
	Version int `json:"version"`
	// HighestKey is the highest number that a key ever had, as far as this record goes back.
	HighestKey uint64 `json:"highestKey"`
	// Rotations, the oldest first.
	Rotations []Rotation `json:"rotations"`
	// Verification is the last count of what etcd holds, nil if there was none.
	Verification *Verification `json:"verification,omitempty"`
	// Whole is the first count of everything that etcd held under the configuration that it was judged by: from then on nothing needs
	// a key that it saw no value under, unless one was seen or the key has written since.
	Whole *Verification `json:"whole,omitempty"`
	// Sightings say when values were last seen under a key, the latest first.
	Sightings []Sighting `json:"sightings,omitempty"`
	// Restored is, by node, the newest revision of its history that was put in place by hand when it was last looked at.
	Restored map[string]int `json:"restored,omitempty"`
	// Overcome is, by node, when a reload failed whose cause is gone: the node's file was seen to be what its kube-apiserver has loaded.
	Overcome map[string]time.Time `json:"overcome,omitempty"`
	// DistrustTime is when it was last found that a kube-apiserver may have written with another key than is on record, nil if never.
	DistrustTime *time.Time `json:"distrustTime,omitempty"`
}

// The commands that have records, besides rotate.
const (
	CommandEnable   = "enable"
	CommandDisable  = "disable"
	CommandRollback = "rollback"
	CommandPrune    = "prune"
)

// Rotation is one rotation, or a migration on its own (To is then the key that was the write key already).
type Rotation struct {
	ID string `json:"id"`
	// By is who ran it, as user@host.
	By string `json:"by"`
	// Command is what it belongs to, empty for a rotation.
	Command string          `json:"command,omitempty"`
	From    []encconfig.Key `json:"from"`
	To      encconfig.Key   `json:"to"`
	// Resources that the command is about, wildcards included; empty for all that is encrypted.
	Resources []string `json:"resources,omitempty"`
	// ConfigDir is where the command puts the configuration on nodes that have none.
	ConfigDir string `json:"configDir,omitempty"`
	// RemoveFlags: the command takes the kube-apiservers' flags out in the end.
	RemoveFlags bool `json:"removeFlags,omitempty"`
	// Stage is the last stage that was begun.
	Stage     string    `json:"stage"`
	StartTime time.Time `json:"startTime"`
	// StartDigest is the configuration that all nodes had when the rotation began.
	StartDigest string `json:"startDigest,omitempty"`
	// Config is the configuration that all kube-apiservers have proven, as of the last proof.
	Config *encconfig.Description `json:"config,omitempty"`
	// Sent is the digest of the configuration that was last sent to nodes.
	Sent string `json:"sent,omitempty"`
	// Migrations by resource: baselines and results for the write key To.
	Migrations map[string]Migration `json:"migrations,omitempty"`
	// SettleTime is when every kube-apiserver wrote with the key, as far as it is on record.
	SettleTime *time.Time `json:"settleTime,omitempty"`
	// CompletionTime is set when the rotation has reached its goal, or was aborted.
	CompletionTime *time.Time `json:"completionTime,omitempty"`
	Aborted        bool       `json:"aborted,omitempty"`
	// Refuted: a count of what etcd holds has contradicted the migration, which was made again for that.
	Refuted bool `json:"refuted,omitempty"`
	// LeftOut are nodes that were not there when it was carried out. They may have come back since and have written with
	// an older key: nothing is proven by this record once it has ended, and their file has to be mended.
	LeftOut []string `json:"leftOut,omitempty"`
	// Used is set before the key is put anywhere as write key: from then on something may be stored with it.
	Used bool `json:"used,omitempty"`
	// Pruned are the keys that left the configuration at the end.
	Pruned []encconfig.Key `json:"pruned,omitempty"`
	// Forget: they are to leave the nodes' histories too, and have not yet, or not all.
	Forget bool `json:"forget,omitempty"`
}

// Migration is the state of one resource. Objects with a resourceVersion above Baseline were written with the write
// key, since every kube-apiserver had proven it before Baseline was read.
type Migration struct {
	Baseline string `json:"baseline"`
	// Complete: a whole pass has ended and no object failed.
	Complete bool  `json:"complete"`
	Objects  int64 `json:"objects"`
	Migrated int64 `json:"migrated"`
	// Unchanged objects are not newer than the baseline and proven current.
	Unchanged int64 `json:"unchanged"`
	Failed    int64 `json:"failed"`
	// Skipped are the first objects that failed, as namespace/name, with the reason.
	Skipped        []string   `json:"skipped,omitempty"`
	CompletionTime *time.Time `json:"completionTime,omitempty"`
}

// Last is the newest rotation, nil if there is none.
func (l *Ledger) Last() *Rotation {
	if len(l.Rotations) == 0 {
		return nil
	}
	return &l.Rotations[len(l.Rotations)-1]
}

// NoteRestored takes note of the newest revision of each node that was put in place by hand, and tells whether one is new to the
// record. Its kube-apiserver may have written with another key meanwhile, also where the configuration of before is back: its
// digest alone does not show that. A history that has forgotten such a revision tells nothing new.
func (l *Ledger) NoteRestored(newest map[string]int) (news bool) {
	for node, number := range newest {
		if number != 0 && l.Restored[node] != number {
			if l.Restored == nil {
				l.Restored = map[string]int{}
			}
			l.Restored[node], news = number, true
		}
	}
	return news
}

// Open is the newest rotation that has not ended, else nil. Migrations on their own may have come after it.
func (l *Ledger) Open() *Rotation {
	for i := len(l.Rotations) - 1; i >= 0; i-- {
		if r := &l.Rotations[i]; r.CompletionTime == nil && r.ID != "" {
			return r
		}
	}
	return nil
}

// Forgetting is the removal of keys whose last part is still to be done, to take them out of the histories, nil if there is none:
// one that is open, or one that has ended and that nothing came after.
func (l *Ledger) Forgetting() *Rotation {
	r := l.Open()
	if last := l.Last(); r == nil && last != nil && !last.Aborted {
		r = last
	}
	if r == nil || !r.Forget {
		return nil
	}
	return r
}

// Trusted is the record of a key as the write key, if it can be relied on: the configuration is still the one of
// the record's last proof, so nobody has changed it since by other means. Else nil. So it is if it has ended without
// some nodes.
func (l *Ledger) Trusted(k encconfig.Key, digest string) *Rotation {
	for i := len(l.Rotations) - 1; i >= 0; i-- {
		r := &l.Rotations[i]
		if r.Config == nil || r.Config.Digest != digest {
			return nil
		}
		if r.To.Is(k) && !r.Aborted {
			if r.EndedWithout() {
				return nil
			}
			return r
		}
	}
	return nil
}

// EndedWithout tells whether a rotation has ended while nodes were left out.
func (r *Rotation) EndedWithout() bool { return r.CompletionTime != nil && len(r.LeftOut) > 0 }

// ByID finds a rotation, nil if it is not there.
func (l *Ledger) ByID(id string) *Rotation {
	for i := range l.Rotations {
		if l.Rotations[i].ID == id {
			return &l.Rotations[i]
		}
	}
	return nil
}

// Begin adds a rotation and forgets the oldest where there are too many. Of older ones it keeps what proofs need:
// digests, baselines and results, not the rules of the configuration nor the names of objects that failed.
func (l *Ledger) Begin(r Rotation) {
	if known := l.ByID(r.ID); known != nil && r.ID != "" {
		*known = r
		return
	}
	l.Rotations = append(l.Rotations, r)
	if over := len(l.Rotations) - keepRotations; over > 0 {
		l.Rotations = slices.Delete(l.Rotations, 0, over)
	}
	for i := range max(0, len(l.Rotations)-keepDetails) {
		if l.Rotations[i].CompletionTime != nil { // one that is open becomes the last one again
			l.Rotations[i].trim()
		}
	}
}

// Resume makes a rotation that is gone on with the last one. A migration on its own that came while it was stopped ran under the
// configuration of then, and would stand behind what is proven from now on.
func (l *Ledger) Resume(id string) {
	at := slices.IndexFunc(l.Rotations, func(r Rotation) bool { return r.ID == id })
	if at < 0 {
		return
	}
	resumed := l.Rotations[at]
	l.Rotations = append(slices.Delete(l.Rotations, at, at+1), resumed)
}

// dropHollowConfig forgets a configuration that says of a rule no keys: no agent has ever described such a one.
func (r *Rotation) dropHollowConfig() {
	if r.Config != nil && slices.ContainsFunc(r.Config.Rules, func(rule encconfig.Rule) bool { return len(rule.Keys) == 0 }) {
		r.Config = nil
	}
}

func (r *Rotation) trim() {
	if r.Config != nil {
		r.Config = &encconfig.Description{Digest: r.Config.Digest}
	}
	for name, m := range r.Migrations {
		m.Skipped = nil
		r.Migrations[name] = m
	}
}

// Settled tells whether each of the resources has a baseline.
func (r *Rotation) Settled(resources []string) bool {
	return r != nil && !slices.ContainsFunc(resources, func(name string) bool { return r.Migrations[name].Baseline == "" })
}

// Migrated tells whether each of the resources has been migrated without a failure.
func (r *Rotation) Migrated(resources []string) bool {
	return r != nil && !slices.ContainsFunc(resources, func(name string) bool { return !r.Migrations[name].Complete })
}

// FollowedAt is when the data had followed the write key: it was settled and the last resource was migrated. Zero if
// that is not on record.
func (r *Rotation) FollowedAt() time.Time {
	at := r.MigratedAt()
	if r.SettleTime != nil && r.SettleTime.After(at) {
		return *r.SettleTime
	}
	return at
}

// MigratedAt is when the last of the resources was finished.
func (r *Rotation) MigratedAt() time.Time {
	var last time.Time
	for _, m := range r.Migrations {
		if m.CompletionTime != nil && m.CompletionTime.After(last) {
			last = *m.CompletionTime
		}
	}
	return last
}

// Unneeded are the keys of a configuration that nothing stored needs any more: a migration of all resources to
// another key has ended longer than age ago, and the key has neither been a write key since nor was a value seen under
// it. Age covers the revisions that a migration supersedes until they are compacted. The record must be without a gap since
// then: each rotation began with the configuration that the one before had left, and the configuration is that of the last. A
// migration without some nodes does not count: they may have written with the key since.
//
// All times are the API server's.
func (l *Ledger) Unneeded(d encconfig.Description, resources []string, now time.Time, age time.Duration) []encconfig.Key {
	if len(resources) == 0 { // a migration of nothing proves nothing
		return nil
	}
	at := l.lastMigration(d.Digest, resources, now.Add(-age))
	if at < 0 {
		return nil
	}
	var unneeded []encconfig.Key
	for _, k := range d.Keys() {
		usedSince := slices.ContainsFunc(l.Rotations[at:], func(r Rotation) bool { return r.To.Is(k) })
		if !usedSince && !d.Writes(k) && !l.seenSince(k, l.Rotations[at].firstMigratedAt()) {
			unneeded = append(unneeded, k)
		}
	}
	return unneeded
}

// lastMigration is the index of the newest rotation that migrated all resources before a time, -1 if there is none
// or the record has a gap since.
func (l *Ledger) lastMigration(digest string, resources []string, before time.Time) int {
	for i := len(l.Rotations) - 1; i >= 0; i-- {
		r := &l.Rotations[i]
		if r.Config == nil || r.Config.Digest != digest {
			return -1
		}
		if !r.Aborted && len(r.LeftOut) == 0 && r.Migrated(resources) && r.MigratedAt().Before(before) {
			return i
		}
		digest = r.StartDigest
	}
	return -1
}
