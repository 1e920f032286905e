// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"
)

// Each takes one stored value, with the revision at which it was written. It must neither change nor keep the bytes. An
// error ends the walk.
type Each func(key, value []byte, modRevision int64) error

// Options say what to walk. A walk can be cut into several calls, each of which takes Next and Revision of the one before
// as From and Revision.
type Options struct {
	// Prefix is what all keys begin with. An empty one is that of all keys.
	Prefix []byte
	// From is the first key of the prefix to be seen, which need not exist. Empty begins with the first one.
	From []byte
	// Revision at which to read. 0 is the newest, as etcd's leader knows it when the walk begins.
	Revision int64
	// Limit ends the call after so many values. 0 is none.
	Limit int
	// Within is how long after the beginning of the call pages are still asked for, but for the first page. 0 is no limit.
	Within time.Duration
}

// Result is how far a walk has come. It holds also beside an error.
type Result struct {
	// Next is where to go on: no key from there on was taken, each before it was. Nil once Done.
	Next []byte
	// Revision of the last page that was seen, 0 before. Of a walk that was not compacted, that of all its pages.
	Revision int64
	// Done is that Each has taken every key of the prefix from From on.
	Done bool
	// Count is how many values Each has taken.
	Count int
	// Compactions is how often the walk had to go on at a new revision (rule 4 of the package).
	Compactions int
}

// Walk hands every key of the prefix with its value to each, in order, once. An error of each ends it and is given back as it
// is; else an error says which endpoints failed and how, or is ctx's.
func (c *Client) Walk(ctx context.Context, o Options, each Each) (Result, error) {
	w, err := c.begin(o)
	if err != nil {
		return Result{}, err
	}
	result := Result{Next: w.span.next, Revision: o.Revision}
	reading, stop := context.WithCancel(ctx)
	pages := make(chan page)
	var failure error
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(pages)
		failure = w.readAll(reading, o.Within, pages)
	})
	defer reader.Wait()
	defer stop()
	for p := range pages {
		if err := result.add(ctx, p, each); err != nil {
			return result, err
		}
	}
	return result, failure
}

// begin checks what is asked for.
func (c *Client) begin(o Options) (*cursor, error) {
	switch {
	case len(o.From) > 0 && !bytes.HasPrefix(o.From, o.Prefix):
		return nil, errors.New("a walk has to go on within its prefix")
	case o.Revision < 0 || o.Limit < 0 || o.Within < 0:
		return nil, errors.New("a walk's revision, limit and time can't be below 0")
	}
	w := &cursor{client: c, span: newSpan(slices.Clone(o.Prefix), slices.Clone(o.From)), sizer: newSizer(c.maxRate), revision: o.Revision, left: o.Limit}
	if w.left == 0 {
		w.left = math.MaxInt
	}
	return w, nil
}

// readAll reads until nothing is left, or the limit or the time is reached. While a page waits to be taken none is read.
func (w *cursor) readAll(ctx context.Context, within time.Duration, pages chan<- page) error {
	begun := time.Now()
	for first := true; ; first = false {
		if err := w.client.pace(ctx); err != nil {
			return err
		}
		if !first && within > 0 && time.Since(begun) >= within {
			return nil
		}
		p, err := w.read(ctx)
		if err != nil {
			return err
		}
		select {
		case pages <- p:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if p.done || w.left == 0 {
			return nil
		}
	}
}

// add hands a page to each.
func (r *Result) add(ctx context.Context, p page, each Each) error {
	r.Revision, r.Compactions = p.revision, p.compactions
	for i, kv := range p.kvs {
		err := context.Cause(ctx)
		if err == nil {
			err = each(kv.GetKey(), kv.GetValue(), kv.GetModRevision())
		}
		if err != nil {
			if i > 0 {
				r.Next = following(p.kvs[i-1].GetKey())
			}
			return err
		}
		r.Count++
	}
	r.Next, r.Done = p.next, p.done
	return nil
}
