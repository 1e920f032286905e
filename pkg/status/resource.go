// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
)

func assessResource(s *Seen, name string) v1alpha1.ResourceStatus {
	r := v1alpha1.ResourceStatus{Name: name, Provider: v1alpha1.Unknown}
	if s.Config != nil {
		byRecord(&r, s.Config)
	} else {
		byMetrics(&r, s)
	}
	count := s.Counts[name]
	if count.Err != nil {
		r.Message = count.Err.Error()
		return r
	}
	r.Objects = &count.Objects
	if m, ok := s.migration(name); ok && m.Baseline != "" {
		r.Stale = new(stale(m, count.NotNewer))
	}
	r.Message = doubt(s, r)
	return r
}

// doubt is what is not known of a resource, or not so yet.
func doubt(s *Seen, r v1alpha1.ResourceStatus) string {
	switch {
	case decrypts(r) && preparing(s):
		return ""
	case decrypts(r) && r.Stale == nil:
		return "written in plaintext; whether what is stored is still encrypted is not known"
	case decrypts(r) && *r.Stale > 0:
		return fmt.Sprintf("written in plaintext; %d still encrypted", *r.Stale)
	case r.Stale == nil && r.Provider != string(encconfig.Identity):
		return "no baseline on record: whether objects are stale is not known"
	}
	return ""
}

// decrypts tells whether a resource is written in plaintext while keys can still be read: it is being decrypted, or
// was, or its encryption is being prepared.
func decrypts(r v1alpha1.ResourceStatus) bool {
	return r.Provider == string(encconfig.Identity) && r.ReadKeys != nil && *r.ReadKeys > 0
}

// preparing tells whether identity comes first because a key is about to.
func preparing(s *Seen) bool {
	open := s.View.Ledger.Open()
	return open != nil && open.To.Provider != encconfig.Identity
}

// stale is how many objects may be stored with another key than the write key, by the number of those that are not
// newer than the baseline. That number only falls. When a pass has ended, the objects behind it are those that it
// found unchanged, hence current, and those that failed.
func stale(m ledger.Migration, notNewer int64) int64 {
	switch {
	case m.Complete:
		return max(0, notNewer-m.Unchanged)
	case m.CompletionTime != nil && m.Failed > 0:
		return min(notNewer, m.Failed)
	}
	return notNewer
}

func byRecord(r *v1alpha1.ResourceStatus, config *encconfig.Description) {
	rule := config.RuleFor(r.Name)
	if rule == nil {
		r.Provider = string(encconfig.Identity)
		return
	}
	r.Provider, r.WriteKey = string(rule.WriteKey().Provider), rule.WriteKey().Name
	readable := slices.DeleteFunc(slices.Clone(rule.Keys[1:]), func(k encconfig.Key) bool { return k.Name == "" })
	r.ReadKeys = new(len(readable))
}

// byMetrics tells the write key if no instance has loaded another configuration since it started: then whatever it
// has written since it wrote with the key that it writes with now.
func byMetrics(r *v1alpha1.ResourceStatus, s *Seen) {
	providers, keyNames := map[string]bool{}, map[string]bool{}
	for _, e := range s.View.Evidence {
		if !e.LastSuccess.IsZero() {
			return
		}
		for prefix := range e.Writes[r.Name] {
			switch {
			case prefix == "":
				providers[string(encconfig.Identity)] = true
			case prefix.Provider() != "":
				providers[prefix.Provider()] = true
			default:
				keyNames[prefix.Key()] = true
			}
		}
	}
	if len(providers) == 1 {
		r.Provider = first(providers)
	}
	if len(providers) == 1 && len(keyNames) == 1 {
		r.WriteKey = first(keyNames)
	}
}

func first(set map[string]bool) string {
	for s := range set {
		return s
	}
	return ""
}

// migration is what is on record of a resource under the key that writes it now.
func (s *Seen) migration(resource string) (m ledger.Migration, ok bool) {
	if s.Config == nil {
		return m, false
	}
	rule := s.Config.RuleFor(resource)
	if rule == nil {
		return m, false
	}
	rotation := s.View.Ledger.Trusted(rule.WriteKey(), s.Config.Digest)
	if rotation == nil {
		rotation = s.untouched(rule.WriteKey(), resource)
	}
	if rotation == nil {
		return m, false
	}
	m, ok = rotation.Migrations[resource]
	return m, ok
}

// untouched is the record of a resource's write key from before commands that were about other resources alone: these
// have changed the configuration, and not what is said of the resource. There must be no gap in the record since.
func (s *Seen) untouched(k encconfig.Key, resource string) *ledger.Rotation {
	book, digest := s.View.Ledger, s.Config.Digest
	for i := len(book.Rotations) - 1; i >= 0; i-- {
		r := &book.Rotations[i]
		aboutOthers := len(r.Resources) > 0 && !encconfig.Rule{Resources: r.Resources}.Covers(resource)
		switch {
		case r.Config == nil || r.Config.Digest != digest:
			return nil
		case r.EndedWithout():
			return nil
		case !r.Aborted && r.To.Is(k):
			return r
		case r.StartDigest != digest && !aboutOthers:
			return nil
		}
		digest = r.StartDigest
	}
	return nil
}
