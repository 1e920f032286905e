// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

const (
	// queuedLimit is how long the controller may leave a migration alone that no other one is before. It takes a
	// second.
	queuedLimit = 5 * time.Minute
	// stalledLimit is how long nothing may move once the controller works on a migration: its cache may take a minute
	// and some, and the times after which it tries again grow up to 16 minutes while an outage lasts (client-go@v0.37.2
	// util/workqueue/default_rate_limiters.go).
	stalledLimit = 20 * time.Minute
	// stalledPerObject is added to that for each object, since the controller shows nothing while it asks about objects
	// that are current. It asks about 200 and more in a second.
	stalledPerObject = 20 * time.Millisecond
)

// Errors by which a migration ends that the controller does not end.
var (
	// ErrNotRunning: the controller has not looked at the StorageVersionMigration.
	ErrNotRunning = errors.New("the StorageVersionMigration controller does not seem to run")
	// ErrStalled: the controller has it, and gets nowhere.
	ErrStalled = errors.New("the StorageVersionMigration controller gets nowhere")
)

// vigil remembers since when nothing has moved.
type vigil struct {
	stage stage
	stale int64
	since time.Time
}

// see takes note of what was seen, and of the time if it is progress.
func (v *vigil) see(now time.Time, at stage, stale int64) {
	if v.since.IsZero() || at > v.stage || stale < v.stale {
		v.since = now
	}
	v.stage, v.stale = max(v.stage, at), stale
}

// excuse starts the time anew: there is a reason why nothing moves.
func (v *vigil) excuse(now time.Time) { v.since = now }

// quiet is for how long nothing has moved.
func (v *vigil) quiet(now time.Time) time.Duration { return now.Sub(v.since) }

// limit is how long nothing may move.
func (v *vigil) limit(objects int64) time.Duration {
	if v.stage == queued {
		return queuedLimit
	}
	return stalledLimit + time.Duration(objects)*stalledPerObject
}

// verdict is an error when nothing has moved for too long. The text names what the controller tries again after, if
// it said so.
func (v *vigil) verdict(now time.Time, objects int64, again string) error {
	quiet := v.quiet(now)
	if quiet < v.limit(objects) {
		return nil
	}
	if v.stage == queued {
		return &hint.Error{
			Err:  fmt.Errorf("%w: it has said nothing for %s", ErrNotRunning, quiet.Round(time.Second)),
			Safe: "what is migrated stays so, nothing has to be undone",
			Hints: []string{
				"see that kube-controller-manager runs, that its --controllers leave storage-version-migrator-controller and " +
					"garbage-collector-controller on, and that its feature gate StorageVersionMigrator is not off",
				"or use " + native,
			},
		}
	}
	err := fmt.Errorf("%w: nothing has moved for %s", ErrStalled, quiet.Round(time.Second))
	if again != "" {
		err = fmt.Errorf("%w; it tries again after: %s", err, again)
	}
	return &hint.Error{
		Err:   err,
		Safe:  "what is migrated stays so, nothing has to be undone",
		Hints: []string{"use " + native, "the log of kube-controller-manager says more"},
	}
}

// native is what to use instead of the controller.
const native = "--engine=native, which goes on where this ended and reports each object that can't be migrated"
