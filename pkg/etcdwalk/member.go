// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What a member may answer that says more than that it failed.
var (
	errCompacted = errors.New("the revision is compacted")
	errFuture    = errors.New("the revision is ahead of etcd's own")
	errTooLarge  = errors.New("the page is too large")
	// errUnanswered is that ctx ended first.
	errUnanswered = errors.New("no answer yet")
	errSlow       = fmt.Errorf("no answer within %s", answerTimeout)
)

// longestMessage is how many bytes of a server's message an error holds.
const longestMessage = 300

// ask reads a page from the member. An error is one of the above, or ctx's, or that the member failed.
func (m member) ask(ctx context.Context, req *pb.RangeRequest) (*pb.RangeResponse, error) {
	attempt, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	resp, err := m.kv.Range(attempt, req, grpc.MaxCallRecvMsgSize(pageBytes(int(req.GetLimit()))))
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, meaning(err)
	}
	return resp, check(req, resp)
}

// meaning tells what a failure says.
func meaning(err error) error {
	var own rpctypes.EtcdError
	isOwn := errors.As(rpctypes.Error(err), &own)
	switch {
	case isOwn && errors.Is(own, rpctypes.ErrCompacted):
		return errCompacted
	case isOwn && errors.Is(own, rpctypes.ErrFutureRev):
		return errFuture
	case !isOwn && status.Code(err) == codes.ResourceExhausted: // our own limit: etcd's have etcd's texts
		return errTooLarge
	case status.Code(err) == codes.DeadlineExceeded:
		return errSlow
	}
	return errors.New(short(status.Convert(err).Message()))
}

// check tells whether an answer is one to the request (rule 5 of the package).
func check(req *pb.RangeRequest, resp *pb.RangeResponse) error {
	kvs := resp.GetKvs()
	switch {
	case resp.GetHeader().GetRevision() < max(1, req.GetRevision()):
		return errors.New("it answers at a revision that can't be")
	case len(kvs) > int(req.GetLimit()):
		return errors.New("it answers with more values than were asked for")
	case len(kvs) == 0 && resp.GetMore():
		return errors.New("it answers with no value and says that there are more")
	}
	for i, kv := range kvs {
		ordered := bytes.Compare(kv.GetKey(), req.GetKey()) >= 0 && (i == 0 || bytes.Compare(kv.GetKey(), kvs[i-1].GetKey()) > 0)
		if !ordered || !before(kv.GetKey(), withoutMark(req.GetRangeEnd())) {
			return errors.New("it answers with keys that were not asked for, or in another order")
		}
	}
	return nil
}

// short keeps the beginning of a message.
func short(message string) string {
	if len(message) <= longestMessage {
		return message
	}
	n := longestMessage
	for n > 0 && !utf8.RuneStart(message[n]) {
		n--
	}
	return message[:n] + "…"
}
