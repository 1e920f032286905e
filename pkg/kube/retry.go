// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
)

// patience is how long Retry goes on: longer than the restart of a kube-apiserver behind a balancer.
const patience = time.Minute

// Retry does a request again while the server can't be reached or can't answer, for a minute at most. The request must
// bear being done twice: an answer may have been lost after the server had done what was asked.
func Retry(ctx context.Context, request func(context.Context) error) error {
	return retry(ctx, request, Passing)
}

// Insist is Retry for what the caller has had the right to do before: a kube-apiserver that has just started refuses
// everything until it has read who may do what.
func Insist(ctx context.Context, request func(context.Context) error) error {
	return retry(ctx, request, func(err error) bool {
		return Passing(err) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
	})
}

// hiccup is how long Shortly goes on. It is short: a command begins with such questions, and a person waits.
const hiccup = 10 * time.Second

// Shortly is Retry for what only looks, for ten seconds at most: a server, or a network between, has failed once. Of an
// address at which nobody listens the caller is told at once.
func Shortly(ctx context.Context, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, hiccup)
	defer cancel()
	return retry(ctx, request, func(err error) bool { return Passing(err) && !utilnet.IsConnectionRefused(err) })
}

// retry gives the last answer, and says so where it ended because somebody interrupted it: that is no failure of the request.
func retry(ctx context.Context, request func(context.Context) error, again func(error) bool) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, time.Second, patience, true, func(ctx context.Context) (bool, error) {
		last = request(ctx)
		if last != nil && again(last) {
			return false, nil
		}
		return true, last
	})
	if err != nil && last != nil {
		err = last
	}
	if interrupted := ctx.Err(); errors.Is(interrupted, context.Canceled) && err != nil && !errors.Is(err, interrupted) {
		return fmt.Errorf("%w: %w", interrupted, err)
	}
	return err
}

// Passing tells errors of the moment from answers.
func Passing(err error) bool {
	return apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTimeout(err) || utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) ||
		utilnet.IsProbableEOF(err) || utilnet.IsTimeout(err) || utilnet.IsHTTP2ConnectionLost(err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) ||
		strings.Contains(err.Error(), forceClosed)
}

// forceClosed is what a request is told whose connection was ended since another request on it broke
// (golang.org/x/net@v0.57.0 http2/transport_common.go, errClientConnForceClosed). It is no error of its own type.
const forceClosed = "http2: client connection force closed"
