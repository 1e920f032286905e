// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"context"
	"errors"
	"fmt"
	"time"

	svmv1 "k8s.io/api/storagemigration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

const (
	// pollInterval is the time between two looks at our StorageVersionMigration.
	pollInterval = time.Second
	// countShare is the part of the time that counting may take: one in so many.
	countShare = 20
	// quietTime is how long nothing may move before that is told.
	quietTime = 5 * time.Second
	// passingTime is how long an error may last that the controller takes for passing, before its object is looked for.
	passingTime = time.Minute
	// releaseTime is how long the controller may take to let go of an ended migration. It takes a second.
	releaseTime = 30 * time.Second
)

// ErrRemoved is that somebody else removed our StorageVersionMigration before it had ended.
var ErrRemoved = errors.New("somebody removed the StorageVersionMigration before it had ended")

// follow looks at our StorageVersionMigration until it has ended.
func (r *run) follow(ctx context.Context) (*svmv1.StorageVersionMigration, error) {
	var v vigil
	for {
		m, err := r.get(ctx)
		if err != nil {
			return nil, err
		}
		at := stageOf(m)
		if at.ended() {
			return m, r.awaitRelease(ctx)
		}
		if err := r.countNow(ctx); err != nil {
			return nil, err
		}
		now := time.Now()
		v.see(now, at, r.stale)
		if err := r.attend(ctx, &v, m); err != nil {
			return nil, err
		}
		if err := sleep(ctx, pollInterval); err != nil {
			return nil, err
		}
	}
}

// attend tells when nothing moves, and ends the run when nothing has moved for too long.
func (r *run) attend(ctx context.Context, v *vigil, m *svmv1.StorageVersionMigration) error {
	now := time.Now()
	if v.quiet(now) < quietTime || !r.mayTell(now) {
		return nil
	}
	if v.stage == queued {
		foreign, err := Foreign(ctx, r.client, r.resource, r.opts.Run)
		if err != nil {
			return err
		}
		if len(foreign) > 0 && foreign[0].ahead(m) { // made between our look and our own
			v.excuse(now)
			r.tellForeign(foreign[0], now)
			return nil
		}
	}
	again := r.obstacle(ctx, v.quiet(now), transientError(m))
	if err := v.verdict(now, r.objects, again); err != nil {
		return err
	}
	r.tell(r.aboutQuiet(v, m.Name, again, now))
	return nil
}

// obstacle is what the controller tries again after, or nothing. When that has not passed in a minute, the object is
// looked for, once: an object that can't be decrypted, or whose webhook does not answer, keeps the controller for good.
func (r *run) obstacle(ctx context.Context, quiet time.Duration, message string) string {
	if message == "" {
		return ""
	}
	if quiet >= passingTime && !r.searched {
		r.searched, r.suspects = true, r.culprits(ctx, message)
	}
	if len(r.suspects) > 0 {
		return describe(r.suspects[0])
	}
	return quotable(message)
}

// get reads our StorageVersionMigration, and outlasts a server that is away for a while.
func (r *run) get(ctx context.Context) (*svmv1.StorageVersionMigration, error) {
	var m *svmv1.StorageVersionMigration
	err := kube.Retry(ctx, func(ctx context.Context) (err error) {
		m, err = api(r.client).Get(ctx, r.name, metav1.GetOptions{})
		return err
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case apierrors.IsNotFound(err):
		return nil, &hint.Error{
			Err: fmt.Errorf("%w: %s", ErrRemoved, r.name), Safe: "what is migrated stays so, nothing has to be undone",
			Hints: []string{"repeat the command: it goes on where this ended"},
		}
	case err != nil:
		return nil, fmt.Errorf("read StorageVersionMigration %s: %w", r.name, err)
	}
	return m, nil
}

// awaitRelease waits a while until the controller is done with what comes after the end. If it does not get there,
// the object is removed all the same.
func (r *run) awaitRelease(ctx context.Context) error {
	for end := time.Now().Add(releaseTime); time.Now().Before(end); {
		m, err := r.get(ctx)
		if errors.Is(err, ErrRemoved) || err == nil && released(m) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
	return nil
}

// countNow counts what is stale and tells how far the controller is, if it is time to.
func (r *run) countNow(ctx context.Context) error {
	if time.Since(r.counted) < (countShare-1)*r.cost {
		return nil
	}
	return r.count(ctx)
}

// count counts what is stale and tells how far the controller is.
func (r *run) count(ctx context.Context) error {
	start := time.Now()
	objects, stale, err := migrate.CountStale(ctx, r.migrator, r.resource, r.baseline)
	if err != nil {
		return err
	}
	if stale >= r.before {
		r.began = start // nothing is migrated yet
	}
	r.objects, r.stale = objects, stale
	r.counted = time.Now()
	r.cost = r.counted.Sub(start)
	if r.opts.Progress != nil && r.name != "" {
		r.opts.Progress(r.progress())
	}
	return nil
}

// progress is how far the controller is, as the first pass of the run.
func (r *run) progress() migrate.Progress {
	p := migrate.Progress{
		Resource: r.resource, Pass: 1, Done: r.objects - r.stale, Total: r.objects, Migrated: r.byController(),
		Workers: 1, // it sends one write after the other
	}
	if elapsed := r.counted.Sub(r.began).Seconds(); elapsed > 0 {
		p.Rate = float64(p.Migrated) / elapsed
	}
	return p
}

// sleep waits, or returns the context's error as soon as that is done.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
