// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/wait"
)

// killWait is how long the kernel is given to take a killed process away,
// which is long only where it has much memory or many children to free.
const killWait = 30 * time.Second

// Stop asks the process to end, and kills it when grace has passed or ctx has
// ended. A process that is gone already counts as stopped.
func Stop(ctx context.Context, id Identity, grace time.Duration) error {
	err := id.Signal(unix.SIGTERM)
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	graceful, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if waitGone(graceful, id) == nil {
		return nil
	}
	return Kill(ctx, id)
}

// Kill ends the process at once and waits until it is gone, also when ctx has
// ended: it is what cleaning up ends in.
func Kill(ctx context.Context, id Identity) error {
	err := id.Signal(unix.SIGKILL)
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killWait)
	defer cancel()
	return waitGone(ctx, id)
}

func waitGone(ctx context.Context, id Identity) error {
	return wait.Until(ctx, fmt.Sprintf("process %d to end", id.PID), 20*time.Millisecond, func(context.Context) error {
		if id.Alive() {
			return errors.New("it runs")
		}
		return nil
	})
}
