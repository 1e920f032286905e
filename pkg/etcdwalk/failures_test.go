// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// failing answers the first n requests with an error.
func failing(m *modelled, n int, err error) *modelled {
	m.before = func(context.Context, *pb.RangeRequest) error {
		if n--; n >= 0 {
			return err
		}
		return nil
	}
	return m
}

var errDown = status.Error(codes.Unavailable, "connection refused")

func TestTheFirstMemberThatAnswersIsKept(t *testing.T) {
	t.Parallel()
	keys := numbered("/k/", 200)
	down, up, spare := failing(newModelled(), 99, errDown), newModelled().fill(keys, "v"), newModelled().fill(keys, "v")
	var s seen
	_, err := clientOf(t, 0, down, up, spare).Walk(t.Context(), Options{}, s.each)
	require.NoError(t, err)
	assert.Equal(t, keys, s.keys)
	assert.Len(t, down.requests, 1)
	assert.Len(t, up.requests, 3)
	assert.Empty(t, spare.requests)
}

func TestAMemberThatDiesIsFollowedByTheNextAtTheSameRevision(t *testing.T) {
	t.Parallel()
	keys := numbered("/k/", 200)
	dying, next := newModelled().fill(keys, "v"), newModelled().fill(keys, "v").with("/k/late")
	dying.before = func(context.Context, *pb.RangeRequest) error {
		if len(dying.requests) > 1 {
			return errDown
		}
		return nil
	}
	next.applied = 1 // it lags behind the revision of the walk until it is made to catch up
	var s seen
	result, err := clientOf(t, 0, dying, next).Walk(t.Context(), Options{}, s.each)
	require.NoError(t, err)
	assert.Equal(t, Result{Revision: 2, Done: true, Count: 200}, result)
	assert.Equal(t, keys, s.keys)
	for i, serializable := range []bool{true, false, true} {
		assert.Equal(t, serializable, next.requests[i].GetSerializable())
		assert.Equal(t, int64(2), next.requests[i].GetRevision())
	}
}

func TestAnEtcdThatIsAwayForAWhileIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := failing(newModelled().with("/a"), 2, rpctypes.ErrGRPCNoLeader)
		var s seen
		begun := time.Now()
		_, err := clientOf(t, 0, m).Walk(t.Context(), Options{}, s.each)
		require.NoError(t, err)
		assert.Equal(t, []string{"/a"}, s.keys)
		assert.Equal(t, 2*roundDelay, time.Since(begun))
	})
}

func TestEveryEndpointIsNamedWithWhatItSaid(t *testing.T) {
	t.Parallel()
	ahead := Options{Revision: 9}
	tests := map[string]struct {
		members []*modelled
		options Options
		want    string
	}{
		"none answers": {
			[]*modelled{failing(newModelled(), 99, errDown), failing(newModelled(), 99, rpctypes.ErrGRPCPermissionDenied)},
			Options{},
			"etcd at m1: connection refused; etcd at m2: etcdserver: permission denied",
		},
		"too many requests are no page that is too large": {
			[]*modelled{failing(newModelled(), 99, rpctypes.ErrGRPCRequestTooManyRequests)},
			Options{},
			"etcd at m1: etcdserver: too many requests",
		},
		"one was put back": {
			[]*modelled{newModelled()},
			ahead,
			"etcd at m1: it does not have revision 9, at which the walk began: it belongs to another etcd or to one that was put back",
		},
		"a compaction that can't be": {
			[]*modelled{failing(newModelled(), 99, rpctypes.ErrGRPCCompacted)}, Options{}, "etcd at m1: the revision is compacted",
		},
		"a long message is cut": {
			[]*modelled{failing(newModelled(), 99, errors.New(strings.Repeat("ä", 400)))}, Options{}, "etcd at m1: " + strings.Repeat("ä", 150) + "…",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				result, err := clientOf(t, 0, tt.members...).Walk(t.Context(), tt.options, nil)
				require.EqualError(t, err, tt.want)
				assert.False(t, result.Done)
			})
		})
	}
}

func TestAMemberOfAnotherEtcdIsNotBelieved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dying, other := newModelled().fill(numbered("/k/", 100), "v"), newModelled().fill(numbered("/k/", 100), "v")
		dying.before = func(context.Context, *pb.RangeRequest) error {
			if len(dying.requests) > 1 {
				return errDown
			}
			return nil
		}
		other.cluster = 8
		var s seen
		result, err := clientOf(t, 0, dying, other).Walk(t.Context(), Options{}, s.each)
		require.EqualError(t, err, "etcd at m1: connection refused; etcd at m2: it belongs to another etcd than the endpoint that answered first")
		assert.Equal(t, firstLimit, result.Count)
		assert.Equal(t, "/k/0000031\x00", string(result.Next))
	})
}

func TestAMemberThatHangsIsAskedForLessAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hanging, next := newModelled(), newModelled().with("/a")
		hanging.before = func(ctx context.Context, _ *pb.RangeRequest) error {
			<-ctx.Done()
			return ctx.Err()
		}
		var s seen
		begun := time.Now()
		_, err := clientOf(t, 0, hanging, next).Walk(t.Context(), Options{}, s.each)
		require.NoError(t, err)
		assert.Equal(t, answerTimeout, time.Since(begun))
		assert.Equal(t, []int64{firstLimit / reduction}, next.limits())
	})
}

func TestACancelEndsAWalkThatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err := clientOf(t, 0, failing(newModelled(), 99, errDown)).Walk(ctx, Options{}, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "context deadline exceeded: etcd at m1: connection refused")
		assert.Equal(t, time.Second, time.Since(begun))
	})
}

func TestAnEndBeforeAnyAnswerNamesTheEndpoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		hanging := newModelled()
		hanging.before = func(ctx context.Context, _ *pb.RangeRequest) error {
			<-ctx.Done()
			return ctx.Err()
		}
		_, err := clientOf(t, 0, failing(newModelled(), 99, errDown), hanging).Walk(ctx, Options{}, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "context deadline exceeded: etcd at m1: connection refused; etcd at m2: no answer yet")
	})
}
