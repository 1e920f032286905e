// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"maps"
	"slices"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// The outcomes of a verification.
const (
	// Clean: every value that was counted is stored as the configuration would store it.
	Clean = "clean"
	// Found: some value is not.
	Found = "found"
	// Unproven: none was found, and not everything could be looked at.
	Unproven = "unproven"
)

// Verification is what a count of the values in etcd came to. It names no object.
type Verification struct {
	// Time is when it began, by the API server's clock: what was stored later may not be counted.
	Time time.Time `json:"time"`
	// By is who ran it, as user@host.
	By string `json:"by"`
	// Outcome is Clean, Found or Unproven.
	Outcome string `json:"outcome"`
	// Digest is the configuration that was judged by, empty if kube-apiserver has none.
	Digest string `json:"digest,omitempty"`
	// Revision of etcd that was read.
	Revision int64 `json:"revision"`
	// Decrypted: every value was opened as well.
	Decrypted bool `json:"decrypted,omitempty"`
	// Whole are the resources that were counted to their end, wildcards included.
	Whole []string `json:"whole,omitempty"`
	// Resources are those that a rule of the configuration is about or that have values that are not as they should be, at most
	// so many as are kept. Objects is the number of all values that were counted, Off that of those not as they should be.
	Resources []StoredResource `json:"resources"`
	Objects   int64            `json:"objects"`
	Off       int64            `json:"off"`
	// Keys of the configuration that values were seen under: all of them, where they were too many to be told apart.
	Keys []encconfig.Key `json:"keys,omitempty"`
}

// StoredResource is what was counted of one resource.
type StoredResource struct {
	Name string `json:"name"`
	// WriteKey is the key that the configuration writes it with, identity for plaintext.
	WriteKey encconfig.Key `json:"writeKey"`
	Objects  int64         `json:"objects"`
	// Stale values are under a key that the configuration keeps for reading, Plaintext ones are that and should not be; both can
	// be read and stored again. Unreadable ones can't.
	Stale      int64 `json:"stale,omitempty"`
	Plaintext  int64 `json:"plaintext,omitempty"`
	Unreadable int64 `json:"unreadable,omitempty"`
}

// Off is the number of values that are not as they should be.
func (r StoredResource) Off() int64 { return r.Stale + r.Plaintext + r.Unreadable }

// Readable is the number of those that a migration stores again.
func (r StoredResource) Readable() int64 { return r.Stale + r.Plaintext }

// Sighting is when a value was last seen under a key.
type Sighting struct {
	Key  encconfig.Key `json:"key"`
	Time time.Time     `json:"time"`
}

// maxSightings is far more than a configuration has keys.
const maxSightings = 100

// maxResources is how many resources a verification names, with those that are kept of one before.
const maxResources = 200

// Note puts a verification on record, and when keys were seen in use. What the one before it has found of other resources stays.
func (l *Ledger) Note(v Verification) {
	if l.Verification == nil || !l.Verification.Time.After(v.Time) {
		l.Verification = new(l.keeping(v))
	}
	for _, k := range v.Keys {
		if at := slices.IndexFunc(l.Sightings, func(s Sighting) bool { return s.Key.Is(k) }); at < 0 {
			l.Sightings = append(l.Sightings, Sighting{k, v.Time})
		} else if v.Time.After(l.Sightings[at].Time) {
			l.Sightings[at] = Sighting{k, v.Time}
		}
	}
	slices.SortStableFunc(l.Sightings, func(a, b Sighting) int { return b.Time.Compare(a.Time) })
	l.Sightings = l.Sightings[:min(len(l.Sightings), maxSightings)]
}

// keeping adds to a verification what the one on record has found of resources that this one did not count to their end. By the
// same configuration, and if nothing was migrated since, that is still so as far as anybody knows.
func (l *Ledger) keeping(v Verification) Verification {
	before := l.Verification
	if before == nil || before.Digest != v.Digest ||
		slices.ContainsFunc(l.Rotations, func(r Rotation) bool { return r.FollowedAt().After(before.Time) }) {
		return v
	}
	whole := encconfig.Rule{Resources: v.Whole}
	v.Resources = slices.Clone(v.Resources)
	for _, res := range before.Resources {
		counted := whole.Covers(res.Name) || slices.ContainsFunc(v.Resources, func(r StoredResource) bool { return r.Name == res.Name })
		if counted || res.Off() == 0 || len(v.Resources) >= maxResources {
			continue
		}
		v.Outcome, v.Objects, v.Off = Found, v.Objects+res.Objects, v.Off+res.Off()
		v.Resources = append(v.Resources, res)
	}
	return v
}

// NoteWhole puts a count of everything on record. An older one stays the first if it says of the keys what this one says, or this
// one has seen values under those of which it does not: the time of the others goes on.
func (l *Ledger) NoteWhole(v Verification, list []encconfig.Key) {
	l.Note(v)
	begins := func(k encconfig.Key) bool {
		return !slices.ContainsFunc(v.Keys, k.Is) && !l.UnusedSince(k, v).Before(v.Time)
	}
	if slices.ContainsFunc(list, begins) {
		l.Whole = &v
	}
}

// UnusedSince is from when on, at the latest, nothing needed a key that a count of everything has just seen no value under: since
// the first such count of the same configuration, if no value was seen since and no command has let the key write.
func (l *Ledger) UnusedSince(k encconfig.Key, now Verification) time.Time {
	v := l.Whole
	switch {
	case v == nil, v.Digest != now.Digest, !v.Time.Before(now.Time), slices.ContainsFunc(v.Keys, k.Is), l.seenSince(k, v.Time):
		return now.Time
	}
	wrote := slices.ContainsFunc(l.Rotations, func(r Rotation) bool {
		return r.To.Is(k) && (r.CompletionTime == nil || r.CompletionTime.After(v.Time))
	})
	if wrote {
		return now.Time
	}
	return v.Time
}

// seenSince tells whether a value was seen under a key at a time or later.
func (l *Ledger) seenSince(k encconfig.Key, since time.Time) bool {
	return slices.ContainsFunc(l.Sightings, func(s Sighting) bool { return s.Key.Is(k) && !s.Time.Before(since) })
}

// Refute forgets the migrations that a count contradicts: of resources that were migrated to the key that writes them before
// it began, and of which it found values that a migration would have stored again. Nothing is known of them then, until
// they are migrated by a new baseline. It gives their names.
func (l *Ledger) Refute(v Verification) (refuted []string) {
	for _, res := range v.Resources {
		if res.Readable() == 0 {
			continue
		}
		for i := range l.Rotations {
			r := &l.Rotations[i]
			m := r.Migrations[res.Name]
			if !r.To.Is(res.WriteKey) || !m.Complete || m.CompletionTime == nil || m.CompletionTime.After(v.Time) {
				continue
			}
			r.Migrations = maps.Clone(r.Migrations)
			delete(r.Migrations, res.Name)
			if !slices.Contains(refuted, res.Name) {
				refuted = append(refuted, res.Name)
			}
		}
	}
	return refuted
}

// firstMigratedAt is when the first of the resources was finished.
func (r *Rotation) firstMigratedAt() time.Time {
	var first time.Time
	for _, m := range r.Migrations {
		if m.CompletionTime != nil && (first.IsZero() || m.CompletionTime.Before(first)) {
			first = *m.CompletionTime
		}
	}
	return first
}
