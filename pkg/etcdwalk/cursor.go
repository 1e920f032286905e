// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// page is one answer. What it says of the walk is after the page.
type page struct {
	kvs         []*mvccpb.KeyValue
	revision    int64
	compactions int
	next        []byte
	done        bool
}

// cursor is how far the reading of a walk has come.
type cursor struct {
	client *Client
	span   span
	sizer  sizer
	// revision of the walk, 0 if it is still to be learned.
	revision    int64
	compactions int
	// left is how many values may still come.
	left int
}

// request asks for the next page. A linearizable one makes a member catch up.
func (w *cursor) request(linearizable bool) *pb.RangeRequest {
	return &pb.RangeRequest{
		Key:          withMark(w.span.next),
		RangeEnd:     withMark(w.span.bound()),
		Limit:        int64(min(w.sizer.limit, w.left)),
		Revision:     w.revision,
		Serializable: w.revision != 0 && !linearizable,
	}
}

// read gives the next page. It may be empty, also where it is not the last.
func (w *cursor) read(ctx context.Context) (page, error) {
	var failed failures
	behind := false // the member that was asked last did not have the revision
	for {
		req := w.request(behind)
		resp, err := w.client.ask(ctx, req)
		switch {
		case err == nil:
			return w.take(resp), nil
		case ctx.Err() != nil:
			failed.note(w.client.members[w.client.at], errUnanswered)
			return page{}, failed.ended(ctx)
		case errors.Is(err, errCompacted) && w.revision != 0:
			w.revision, behind = 0, false
			w.compactions++
			continue
		case errors.Is(err, errFuture) && !behind:
			behind = true
			continue
		case errors.Is(err, errFuture):
			err = fmt.Errorf("it does not have revision %d, at which the walk began: it belongs to another etcd or to one that was put back", w.revision)
		case errors.Is(err, errTooLarge):
			if w.sizer.reduce(int(req.GetLimit())) {
				continue
			}
			return page{}, fmt.Errorf("etcd at %s: the value at or after key %q has more than %d MiB",
				w.client.members[w.client.at].name, short(string(w.span.next)), mostValueBytes>>20)
		case errors.Is(err, errSlow):
			w.sizer.reduce(int(req.GetLimit()))
		}
		behind = false
		if err := w.client.another(ctx, &failed, err); err != nil {
			return page{}, err
		}
	}
}

// take moves on behind an answer.
func (w *cursor) take(resp *pb.RangeResponse) page {
	kvs := resp.GetKvs()
	keys, size := make([][]byte, len(kvs)), 0
	for i, kv := range kvs {
		keys[i] = kv.GetKey()
		size += len(kv.GetKey()) + len(kv.GetValue())
	}
	w.sizer.fitted(len(kvs), size)
	w.left -= len(kvs)
	w.client.owed += len(kvs)
	if w.revision == 0 {
		w.revision = resp.GetHeader().GetRevision()
	}
	done := w.span.advance(keys, resp.GetMore(), resp.GetCount())
	return page{kvs: kvs, revision: w.revision, compactions: w.compactions, next: w.span.next, done: done}
}
