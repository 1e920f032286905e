// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package lock_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/lock"
)

// in runs a test by a clock of its own: nothing is waited for in truth.
func in(t *testing.T, test func(*testing.T, *server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newServer()) })
}

func silent(string) {}

func acquire(t *testing.T, s *server, holder string) (context.Context, *lock.Lock) {
	t.Helper()
	ctx, l, err := lock.Acquire(t.Context(), s.client(), holder, silent)
	require.NoError(t, err)
	return ctx, l
}

func TestAFreeLockIsTakenAndGivenBack(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, s *server) {
		ctx, l := acquire(t, s, "ann")
		stored := s.lease(t)
		assert.Equal(t, "ann", *stored.Spec.HolderIdentity)
		assert.Equal(t, int32(20), *stored.Spec.LeaseDurationSeconds)
		assert.Equal(t, "kubectl-encryption", stored.Labels["app.kubernetes.io/name"])
		assert.Equal(t, metav1.OwnerReference{
			APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Name: "kubectl-encryption", UID: stored.UID,
		}, l.Owner())
		require.NoError(t, ctx.Err())
		require.NoError(t, l.Release(t.Context()))
		assert.Nil(t, s.stored())
		require.Error(t, ctx.Err(), "who has given the lock back goes on with nothing")
		assert.NotErrorIs(t, context.Cause(ctx), lock.ErrLost)
	})
}

func TestAHeldLockIsRenewedForAsLongAsItTakes(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, s *server) {
		ctx, l := acquire(t, s, "ann")
		taken := s.lease(t)
		advance(10 * time.Minute)
		require.NoError(t, ctx.Err())
		now := s.lease(t)
		assert.Less(t, time.Since(now.Spec.RenewTime.Time), 20*time.Second)
		assert.Equal(t, taken.Spec.AcquireTime.Time, now.Spec.AcquireTime.Time)
		require.NoError(t, l.Release(t.Context()))
	})
}

func TestASecondTakerIsToldWhoHasTheLockAndSinceWhen(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, s *server) {
		_, first := acquire(t, s, "ann@host (rotate)")
		since := s.lease(t).Spec.AcquireTime.UTC().Format(time.RFC3339)
		var told []string
		_, _, err := lock.Acquire(t.Context(), s.client(), "ben", func(text string) { told = append(told, text) })
		require.EqualError(t, err, "another change is under way: ann@host (rotate) holds the lock since "+since)
		assert.Equal(t, "error: "+err.Error()+"\n  state: nothing was changed by this command\n"+
			"  hint:  wait until it has ended; see kubectl encryption status\n", hint.Render(err))
		assert.Equal(t, []string{"ann@host (rotate) has the lock since " + since + "; it is taken over if it stays silent for 20s"}, told)
		assert.Equal(t, "ann@host (rotate)", *s.lease(t).Spec.HolderIdentity)
		require.NoError(t, first.Release(t.Context()))
	})
}

func TestASilentHoldersLockIsTakenOverAfterItsDuration(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, s *server) {
		s.put(dead("ann"))
		uid := s.lease(t).UID
		began := time.Now()
		ctx, l := acquire(t, s, "ben")
		assert.Equal(t, 20*time.Second, time.Since(began))
		assert.Equal(t, "ben", *s.lease(t).Spec.HolderIdentity)
		assert.Equal(t, uid, s.lease(t).UID, "the same Lease: what the dead holder's Jobs belong to")
		advance(time.Minute)
		require.NoError(t, ctx.Err())
		require.NoError(t, l.Release(t.Context()))
	})
}

// The times in a Lease are another machine's: that they lie in the future, or long ago, says nothing.
func TestALeaseIsNotJudgedByItsTimes(t *testing.T) {
	t.Parallel()
	for name, renewed := range map[string]time.Duration{"far ahead": 1000 * time.Hour, "long ago": -1000 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in(t, func(t *testing.T, s *server) {
				d := dead("ann")
				at := metav1.NewMicroTime(time.Now().Add(renewed))
				d.Spec.RenewTime, d.Spec.AcquireTime = &at, nil
				s.put(d)
				began := time.Now()
				_, l := acquire(t, s, "ben")
				assert.Equal(t, 20*time.Second, time.Since(began))
				require.NoError(t, l.Release(t.Context()))
			})
		})
	}
}

func TestOfTwoTakersOneWins(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]*coordinationv1.Lease{"a free lock": nil, "a dead holder's lock": dead("ann")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in(t, func(t *testing.T, s *server) {
				if before != nil {
					s.put(before)
				}
				var mu sync.Mutex
				var won []*lock.Lock
				var lost []error
				var wg sync.WaitGroup
				for _, holder := range []string{"ben", "cat"} {
					wg.Go(func() {
						_, l, err := lock.Acquire(t.Context(), s.client(), holder, silent)
						mu.Lock()
						defer mu.Unlock()
						if err != nil {
							lost = append(lost, err)
							return
						}
						won = append(won, l)
					})
				}
				wg.Wait()
				require.Len(t, won, 1)
				require.Len(t, lost, 1)
				require.ErrorContains(t, lost[0], "another change is under way")
				require.NoError(t, won[0].Release(t.Context()))
			})
		})
	}
}

func TestALockThatIsReleasedWhileItIsWaitedForIsTaken(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, s *server) {
		s.put(dead("ann"))
		go func() { advance(5 * time.Second); s.remove() }()
		began := time.Now()
		_, l := acquire(t, s, "ben")
		assert.Less(t, time.Since(began), 20*time.Second)
		require.NoError(t, l.Release(t.Context()))
	})
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, s *server) {
		s.put(dead("ann"))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, _, err := lock.Acquire(ctx, s.client(), "ben", silent)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, "ann", *s.lease(t).Spec.HolderIdentity)
	})
}

func TestALostLockEndsTheWork(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*server){
		"another took it":            func(s *server) { s.put(dead("ben")) },
		"somebody deleted it":        func(s *server) { s.remove() },
		"the server does not answer": func(s *server) { s.fail(errors.New("no route")) },
	}
	for name, lose := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in(t, func(t *testing.T, s *server) {
				ctx, l := acquire(t, s, "ann")
				lose(s)
				advance(5 * time.Minute)
				require.ErrorIs(t, context.Cause(ctx), lock.ErrLost)
				s.fail(nil)
				require.NoError(t, l.Release(t.Context()))
			})
		})
	}
}

func TestAShortOutageLosesNothing(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, s *server) {
		ctx, l := acquire(t, s, "ann")
		s.fail(apierrors.NewServiceUnavailable("restarting"))
		advance(15 * time.Second)
		s.fail(nil)
		advance(time.Minute)
		require.NoError(t, ctx.Err())
		require.NoError(t, l.Release(t.Context()))
		assert.Nil(t, s.stored())
	})
}

// The server does what it was asked, and the answer is lost: whoever has the lock must not be locked out by itself.
func TestAnswersThatAreLost(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"create", "update", "delete"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			in(t, func(t *testing.T, s *server) {
				s.loseAnswer(verb)
				ctx, l := acquire(t, s, "ann")
				advance(time.Minute)
				require.NoError(t, ctx.Err())
				assert.Less(t, time.Since(s.lease(t).Spec.RenewTime.Time), 20*time.Second)
				require.NoError(t, l.Release(t.Context()))
				assert.Nil(t, s.stored())
			})
		})
	}
}

func TestReleaseLeavesAnothersLockAlone(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, s *server) {
		_, l := acquire(t, s, "ann")
		s.put(dead("ben"))
		require.NoError(t, l.Release(t.Context()))
		assert.Equal(t, "ben", *s.lease(t).Spec.HolderIdentity)
	})
}

func TestReleaseWorksAfterAnInterruption(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, s *server) {
		ctx, cancel := context.WithCancel(t.Context())
		_, l, err := lock.Acquire(ctx, s.client(), "ann", silent)
		require.NoError(t, err)
		cancel()
		require.NoError(t, l.Release(ctx))
		assert.Nil(t, s.stored())
	})
}

func TestErrorsOfTheServerAreTold(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, s *server) {
		s.fail(errors.New("no"))
		_, _, err := lock.Acquire(t.Context(), s.client(), "ann", silent)
		require.ErrorContains(t, err, "take the lock: no")
		s.fail(nil)
		_, l := acquire(t, s, "ann")
		s.fail(errors.New("no"))
		require.EqualError(t, l.Release(t.Context()), "release the lock: no")
	})
}
