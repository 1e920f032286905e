// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wait repeats a check until it holds.
package wait

import (
	"context"
	"fmt"
	"time"
)

// Until calls check at once and then every interval until it returns nil. When
// ctx ends first, the error names what was waited for and holds the last
// reason that check gave.
func Until(ctx context.Context, what string, interval time.Duration, check func(context.Context) error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		reason := check(ctx)
		if reason == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last seen: %w)", what, context.Cause(ctx), reason)
		case <-ticker.C:
		}
	}
}
