// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lock keeps two commands from changing one cluster at a time, by a Lease.
//
// The Lease is a courtesy and a signpost: it tells a second operator who is at work and since when. What really
// keeps a holder that lost it from doing harm is that every write on a node names the digest of what it replaces.
//
// Whether a Lease is alive is judged by whether its holder renews it while we look, never by comparing its times
// with a clock: clocks may be wrong.
package lock

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

const (
	// duration is how long a Lease lives without being renewed.
	duration = 20 * time.Second
	// renewEvery leaves room for several attempts.
	renewEvery = 4 * time.Second
	// patience is how long a holder goes on that can't reach the API server. Nobody can take the Lease then either,
	// but somebody might who reaches it by another way.
	patience = 3 * time.Minute
	// requestTimeout bounds one request.
	requestTimeout = 5 * time.Second
	// releaseTimeout lets a release wait for a kube-apiserver that restarts.
	releaseTimeout = 90 * time.Second
	// watchEvery is how often somebody else's Lease is looked at.
	watchEvery = time.Second
)

// ErrLost is the cause of the context's end when the lock was lost.
var ErrLost = errors.New("the lock was lost: another command took it, or the API server could not be reached for too long")

// Lock is a held lock.
type Lock struct {
	client coordinationclient.LeaseInterface
	holder string
	uid    types.UID
	lease  *coordinationv1.Lease // belongs to renew until done
	cancel context.CancelCauseFunc
	done   chan struct{}
	// patience is how long the API server may be out of reach.
	patience atomic.Int64
}

// Acquire takes the lock for holder, a name that no other has. If another has it and renews it, the error says who and since when; if its
// holder is silent for the Lease's duration, the lock is taken over. waiting is told once if that has to be waited for.
// The context that is returned ends when the lock is lost.
func Acquire(ctx context.Context, leases coordinationclient.LeasesGetter, holder string, waiting func(text string)) (context.Context, *Lock, error) {
	l := &Lock{client: leases.Leases(project.Namespace), holder: holder, done: make(chan struct{})}
	if err := l.take(ctx, waiting); err != nil {
		return nil, nil, errors.Join(err, l.giveBack(ctx))
	}
	l.uid = l.lease.UID
	l.patience.Store(int64(patience))
	held, cancel := context.WithCancelCause(ctx)
	l.cancel = cancel
	go l.renew(held)
	return held, l, nil
}

func (l *Lock) take(ctx context.Context, waiting func(string)) error {
	for {
		err := kube.Retry(ctx, func(ctx context.Context) (err error) {
			l.lease, err = l.client.Create(ctx, lease(l.holder), metav1.CreateOptions{FieldManager: project.FieldManager})
			return err
		})
		if err == nil {
			return nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("take the lock: %w", err)
		}
		err = l.takeOver(ctx, waiting)
		if !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return err
		}
		// It was released, or another was faster: look again.
	}
}

// takeOver waits whether the holder renews the Lease, and takes the Lease if not.
func (l *Lock) takeOver(ctx context.Context, waiting func(string)) error {
	first, err := l.get(ctx)
	if err != nil {
		return err
	}
	if who(first) == l.holder { // the answer to its creation was lost
		l.lease = first
		return nil
	}
	waiting(fmt.Sprintf("%s has the lock since %s; it is taken over if it stays silent for %s", who(first), since(first), duration))
	err = wait.PollUntilContextTimeout(ctx, watchEvery, duration, false, func(ctx context.Context) (bool, error) {
		now, err := l.get(ctx)
		if err != nil {
			return false, err
		}
		if now.ResourceVersion != first.ResourceVersion {
			return false, held(now)
		}
		return false, nil
	})
	if !wait.Interrupted(err) || ctx.Err() != nil {
		return err
	}
	next := lease(l.holder)
	next.ResourceVersion, next.UID = first.ResourceVersion, first.UID
	l.lease, err = l.client.Update(ctx, next, metav1.UpdateOptions{FieldManager: project.FieldManager})
	return err
}

func held(l *coordinationv1.Lease) error {
	return &hint.Error{
		Err:   fmt.Errorf("another change is under way: %s holds the lock since %s", who(l), since(l)),
		Safe:  "nothing was changed by this command",
		Hints: []string{"wait until it has ended; see " + project.Command + " status"},
	}
}

func who(l *coordinationv1.Lease) string {
	if l.Spec.HolderIdentity == nil {
		return "somebody"
	}
	return *l.Spec.HolderIdentity
}

func since(l *coordinationv1.Lease) string {
	if l.Spec.AcquireTime == nil {
		return "an unknown time"
	}
	return l.Spec.AcquireTime.UTC().Format(time.RFC3339)
}

func lease(holder string) *coordinationv1.Lease {
	now := metav1.NewMicroTime(time.Now())
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name: project.Name, Namespace: project.Namespace,
			Labels: map[string]string{project.LabelName: project.Name},
		},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &holder, LeaseDurationSeconds: new(int32(duration / time.Second)),
			AcquireTime: &now, RenewTime: &now,
		},
	}
}

// renew keeps the Lease until ctx ends. It gives up, and ends the context, when the Lease is another's or has not
// been renewed for its duration.
func (l *Lock) renew(ctx context.Context) {
	defer close(l.done)
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(renewEvery):
		}
		err := l.renewOnce(ctx)
		switch {
		case err == nil:
			last = time.Now()
		case errors.Is(err, ErrLost), time.Since(last) > time.Duration(l.patience.Load()):
			l.cancel(ErrLost)
			return
		}
	}
}

// renewOnce is not cut short by the end of the run: an answer that nobody hears would leave us with an old
// resourceVersion.
func (l *Lock) renewOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	next := l.lease.DeepCopy()
	now := metav1.NewMicroTime(time.Now())
	next.Spec.RenewTime = &now
	updated, err := l.client.Update(ctx, next, metav1.UpdateOptions{FieldManager: project.FieldManager})
	switch {
	case err == nil:
		l.lease = updated
		return nil
	case apierrors.IsNotFound(err):
		return ErrLost
	case apierrors.IsConflict(err):
		return l.reclaim(ctx)
	}
	return err
}

// reclaim looks who has the Lease now. An update of ours whose answer was lost conflicts with the next one.
func (l *Lock) reclaim(ctx context.Context) error {
	now, err := l.get(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return ErrLost
	case err != nil:
		return err
	case who(now) != l.holder:
		return ErrLost
	}
	l.lease = now
	return nil
}

func (l *Lock) get(ctx context.Context) (lease *coordinationv1.Lease, err error) {
	err = kube.Retry(ctx, func(ctx context.Context) error {
		lease, err = l.client.Get(ctx, project.Name, metav1.GetOptions{})
		return err
	})
	return lease, err
}

// Bear makes the holder go on for longer than usual while the API server can't be reached, as long as d where that is
// more: it is about to restart. Whoever reaches it by another way may still take the lock, and the holder then learns
// of it as soon as it is back.
func (l *Lock) Bear(d time.Duration) { l.patience.Store(int64(max(d, patience))) }

// Owner is a reference that ties an object's life to the lock's.
func (l *Lock) Owner() metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Name: project.Name, UID: l.uid}
}

// Release gives the lock back by deleting the Lease. It does so also after an interruption.
func (l *Lock) Release(ctx context.Context) error {
	l.cancel(context.Canceled)
	<-l.done
	return l.giveBack(ctx)
}

// giveBack deletes the Lease if it is ours, whatever its resourceVersion has become.
func (l *Lock) giveBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	err := kube.Insist(ctx, func(ctx context.Context) error {
		now, err := l.client.Get(ctx, project.Name, metav1.GetOptions{})
		if err != nil || who(now) != l.holder {
			return err
		}
		return l.client.Delete(ctx, project.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &now.UID, ResourceVersion: &now.ResourceVersion},
		})
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("release the lock: %w", err)
	}
	return nil
}
