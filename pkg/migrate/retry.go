// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// firstDelay and longestDelay bound the waits between attempts, before jitter.
	firstDelay   = 100 * time.Millisecond
	longestDelay = 10 * time.Second
	delayJitter  = 0.5
	// fewRetries is how often courseRetryFew repeats.
	fewRetries = 3
)

// attempts are how something is tried.
type attempts struct {
	// limit is how long, without the time that admit takes.
	limit time.Duration
	// admit waits before each attempt until it may be made. Its error ends the attempts. It may be nil.
	admit func() error
	// do is one attempt. Its context ends with the time.
	do func(context.Context) error
	// steer decides after an error.
	steer func(error) course
}

// try does something until it succeeds or its error says that it never will, at most for the given time. The course
// tells how it ended: courseDone without an error, courseRetry if the time was up, courseStop if the context is done,
// courseBarred with the error of admit.
func (a attempts) try(ctx context.Context) (course, error) {
	deadline := time.Now().Add(a.limit)
	delays := wait.Backoff{Duration: firstDelay, Factor: 2, Jitter: delayJitter, Steps: 8, Cap: longestDelay}
	var last error
	for few := 0; ; {
		waited, err := a.wait()
		if err != nil {
			return courseBarred, err
		}
		deadline = deadline.Add(waited)
		late, err := a.once(ctx, deadline)
		switch {
		case err == nil:
			return courseDone, nil
		case ctx.Err() != nil:
			return courseStop, ctx.Err()
		case late && last != nil:
			return courseRetry, last // It says more than the end of the time.
		case late:
			return courseRetry, err
		}
		last = err
		switch c := a.steer(err); c {
		case courseAgain:
			continue
		case courseRetry:
		case courseRetryFew:
			if few++; few > fewRetries {
				return courseFail, err
			}
		default:
			return c, err
		}
		if slept := sleep(ctx, min(delayAfter(err, &delays), time.Until(deadline))); slept != nil {
			return courseStop, slept
		}
		if !time.Now().Before(deadline) {
			return courseRetry, err
		}
	}
}

// wait waits for the admission and returns how long that took.
func (a attempts) wait() (time.Duration, error) {
	if a.admit == nil {
		return 0, nil
	}
	began := time.Now()
	err := a.admit()
	return time.Since(began), err
}

// once makes one attempt and tells whether the time was up then.
func (a attempts) once(ctx context.Context, deadline time.Time) (late bool, err error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	err = a.do(ctx)
	return ctx.Err() != nil, err
}

// delayAfter is the time to wait after an error: that of the backoff, or longer if the server asks for it.
func delayAfter(err error, delays *wait.Backoff) time.Duration {
	delay := delays.Step()
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		delay = max(delay, time.Duration(seconds)*time.Second)
	}
	return delay
}

// sleep waits, or returns the context's error as soon as that is done.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
