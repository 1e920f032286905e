// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/rotate"
)

// recorded is how many resources a record names at most. Those with most values that are not as they should be come first.
const recorded = 100

// Record is what goes on record of a verification of a live cluster: numbers and names of keys.
func Record(r Result, by string) ledger.Verification {
	v, about := verdict(&r)
	rec := ledger.Verification{
		Time: r.Source.Time, By: by, Outcome: string(v.Outcome), Digest: r.Config.Digest, Revision: r.Source.Revision,
		Decrypted: r.Decrypted, Whole: r.Census.Whole, Objects: v.Objects, Off: v.Objects - v.Current - v.Unjudged, Keys: seen(r),
	}
	if !r.bare() {
		r.Census = about
	}
	for _, t := range r.Census.Tallies {
		rec.Resources = append(rec.Resources, storedOf(t))
	}
	slices.SortStableFunc(rec.Resources, func(a, b ledger.StoredResource) int { return cmp.Compare(b.Off(), a.Off()) })
	rec.Resources = rec.Resources[:min(len(rec.Resources), recorded)]
	return rec
}

// storedOf sums up a tally.
func storedOf(t census.Tally) ledger.StoredResource {
	res := ledger.StoredResource{Name: t.Resource, WriteKey: t.WriteKey, Objects: t.Objects}
	for _, g := range t.Groups {
		switch {
		case g.State == census.Current, g.State == census.Unjudged:
		case g.State == census.Stale:
			res.Stale += g.Objects
		case g.State == census.Plaintext && g.Readable:
			res.Plaintext += g.Objects
		default:
			res.Unreadable += g.Objects
		}
	}
	return res
}

// seen are the keys of the configuration that values name, all of them where the keys could not be told apart.
func seen(r Result) (keys []encconfig.Key) {
	for _, k := range r.Config.Keys() {
		if k.Provider != encconfig.Identity && slices.ContainsFunc(r.Census.Tallies, func(t census.Tally) bool {
			return slices.ContainsFunc(t.Groups, func(g census.Group) bool { return g.Others || k.Is(g.NamedKey()) })
		}) {
			keys = append(keys, k)
		}
	}
	return keys
}

// noteTimeout bounds how long a verification waits for its record to be written.
const noteTimeout = 15 * time.Second

// Note puts what a verification found on record. That is no part of its result: where it can't be written, such as without the
// right to, a notice says so.
func (o Online) Note(ctx context.Context, result Result, by string) {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	v := Record(result, by)
	err := ledger.Store{Client: o.Cluster.Typed.CoreV1()}.Update(ctx, func(l *ledger.Ledger) {
		l.Note(v)
		l.Refute(v)
	})
	if err != nil {
		o.Emit(event.Notice{Text: "the result is not on record, so status will not tell of it: " + hint.OneLine(err.Error())})
	}
}

// Usage counts which keys the values in etcd name, of all resources.
func (o Online) Usage(ctx context.Context, by string) (*rotate.Usage, error) {
	o.Resources = []string{allResources}
	result, err := o.Run(ctx)
	if err != nil {
		return nil, err
	}
	v, _ := verdict(result)
	return &rotate.Usage{
		Config: result.Config, Verification: Record(*result, by), Needs: census.Needs(result.Census), Unknown: v.UnusedUnknown,
	}, nil
}

// Count verifies, for the record. It is what a rotation asks before it takes something away.
func (o Online) Count(ctx context.Context, by string) (*ledger.Verification, error) {
	result, err := o.Run(ctx)
	if err != nil {
		return nil, err
	}
	return new(Record(*result, by)), nil
}
