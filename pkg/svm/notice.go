// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"fmt"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// tellInterval is the least time between two notices about a wait.
const tellInterval = 30 * time.Second

// mayTell tells whether a notice about a wait is due.
func (r *run) mayTell(now time.Time) bool {
	return r.told.IsZero() || now.Sub(r.told) >= tellInterval
}

// tell gives a notice about a wait, if one is due.
func (r *run) tell(text string) {
	if now := time.Now(); r.mayTell(now) {
		r.told = now
		r.say(text)
	}
}

func (r *run) say(text string) {
	if r.opts.Notice != nil {
		r.opts.Notice(text)
	}
}

func (r *run) aboutQuiet(v *vigil, name, again string, now time.Time) string {
	quiet := v.quiet(now).Round(time.Second)
	switch {
	case again != "":
		return fmt.Sprintf("waiting for the controller: StorageVersionMigration %s of %s has not moved for %s; it tries again after: %s",
			name, r.resource, quiet, again)
	case v.stage == queued:
		return fmt.Sprintf("waiting for the controller: it has not taken up StorageVersionMigration %s of %s for %s (given up after %s)",
			name, r.resource, quiet, queuedLimit)
	case r.stale < r.before:
		return fmt.Sprintf("waiting for the controller: StorageVersionMigration %s of %s has not moved for %s", name, r.resource, quiet)
	default:
		return fmt.Sprintf("waiting for the controller: it has taken up StorageVersionMigration %s of %s and begins when its "+
			"cache has caught up, which may take 3 minutes while nobody writes %s (%s so far)", name, r.resource, r.resource, quiet)
	}
}

// tellForeign gives a notice about the wait for the migration of somebody else that comes first, if one is due. When
// the controller has worked on none for as long as it may leave ours alone, that is said.
func (r *run) tellForeign(first Migration, now time.Time) {
	if first.Running || r.idle.IsZero() {
		r.idle = now
	}
	text := aboutForeign(r.resource, first, now)
	if idle := now.Sub(r.idle); idle >= queuedLimit {
		text += fmt.Sprintf("; %v: it has begun with none for %s", ErrNotRunning, idle.Round(time.Second))
	}
	r.tell(text)
}

func aboutForeign(r migrate.Resource, m Migration, now time.Time) string {
	state := "has not begun"
	if m.Running {
		state = "is running"
	}
	age := max(0, now.Sub(m.Created)).Round(time.Second)
	return fmt.Sprintf("waiting for the StorageVersionMigration %s of %s, which is somebody else's and %s (made %s ago); "+
		"look at it with: kubectl get storageversionmigrations %s -o yaml", m.Name, r, state, age, m.Name)
}
