// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Engine is what rewrites objects.
type Engine string

// The engines.
const (
	// Native is this program itself (package migrate).
	Native Engine = "native"
	// SVM is the StorageVersionMigration controller of the cluster (package svm).
	SVM Engine = "svm"
)

// Engines lists them, the default first.
func Engines() []string { return []string{string(Native), string(SVM)} }

const (
	// DefaultMaxFailures is more than a few odd objects, and much less than all of them.
	DefaultMaxFailures = 100
	// mostConcurrency is far behind the point at which more writes in flight do nothing but wait.
	mostConcurrency = 64
)

// Settings are what an operator may choose about a migration.
type Settings struct {
	Engine Engine
	// Concurrency is the number of writes in flight; 0 lets it follow the latency.
	Concurrency int
	// MaxRate is the limit of writes per second; 0 is none.
	MaxRate float64
	// MaxFailures is the number of failed objects of one resource that ends the run; 0 is no limit.
	MaxFailures int64
}

// Validate checks what was chosen. The messages name the flags.
func (s Settings) Validate() error {
	switch {
	case !slices.Contains(Engines(), string(s.Engine)):
		return fmt.Errorf("--engine %q is not one of %s", s.Engine, strings.Join(Engines(), ", "))
	case s.Concurrency < 0 || s.Concurrency > mostConcurrency:
		return fmt.Errorf("--concurrency must be from 0 to %d", mostConcurrency)
	case s.MaxRate < 0:
		return errors.New("--max-rate must not be negative")
	case s.MaxFailures < 0:
		return errors.New("--max-failures must not be negative")
	case s.Engine == SVM && (s.Concurrency != 0 || s.MaxRate != 0):
		return errors.New("--concurrency and --max-rate are for --engine=native: the cluster's controller writes one object at a time, as fast as it may")
	}
	return nil
}
