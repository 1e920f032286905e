// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// rounds is how often each member is tried for a page.
	rounds = 3
	// roundDelay is between two rounds: an etcd that elects a leader takes about a second.
	roundDelay = 2 * time.Second
)

// failures are what went wrong with one page. A page that comes begins anew.
type failures struct {
	tried int
	texts map[string]string
	names []string
}

// note keeps the last failure of each member.
func (f *failures) note(m member, err error) {
	if f.texts == nil {
		f.texts = map[string]string{}
	}
	if _, known := f.texts[m.name]; !known {
		f.names = append(f.names, m.name)
	}
	f.texts[m.name] = err.Error()
	f.tried++
}

func (f *failures) err() error {
	var list []string
	for _, name := range f.names {
		list = append(list, fmt.Sprintf("etcd at %s: %s", name, f.texts[name]))
	}
	return errors.New(strings.Join(list, "; "))
}

// ended is ctx's error with what went wrong until then.
func (f *failures) ended(ctx context.Context) error {
	return fmt.Errorf("%w: %w", context.Cause(ctx), f.err())
}

// another turns to the next member after a failure of this one, and waits when all have failed. The error is ctx's with
// what each said, or that each was tried often enough.
func (c *Client) another(ctx context.Context, f *failures, err error) error {
	f.note(c.members[c.at], err)
	c.at = (c.at + 1) % len(c.members)
	switch {
	case f.tried >= rounds*len(c.members):
		return f.err()
	case f.tried%len(c.members) != 0:
		return nil
	}
	timer := time.NewTimer(roundDelay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return f.ended(ctx)
	case <-timer.C:
		return nil
	}
}
