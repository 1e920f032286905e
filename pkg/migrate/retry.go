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

// try does something until it succeeds or its error says that it never will, at most for the given time. The course
// tells how it ended: courseDone without an error, courseRetry if the time was up, courseStop if the context is done.
func try(
	ctx context.Context, limit time.Duration, do func(context.Context) error, steer func(error) course,
) (course, error) {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	delays := wait.Backoff{Duration: firstDelay, Factor: 2, Jitter: delayJitter, Steps: 8, Cap: longestDelay}
	var last error
	for few := 0; ; {
		err := do(bounded)
		switch {
		case err == nil:
			return courseDone, nil
		case ctx.Err() != nil:
			return courseStop, ctx.Err()
		case bounded.Err() != nil && last != nil:
			return courseRetry, last // It says more than the end of the time.
		case bounded.Err() != nil:
			return courseRetry, err
		}
		last = err
		switch c := steer(err); c {
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
		_ = sleep(bounded, delayAfter(err, &delays)) // If it is cut short, so is the next attempt.
	}
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
