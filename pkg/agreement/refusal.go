// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agreement

import (
	"errors"
	"fmt"
)

// ErrRefused is matched by every refusal.
var ErrRefused = errors.New("refused")

// Refusal is the answer where a rule forbids every step. Nothing was changed.
type Refusal struct {
	Reason string
	// Hints are what would resolve it, the best one first.
	Hints []string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Reason }

// Is makes every refusal match ErrRefused.
func (*Refusal) Is(target error) bool { return target == ErrRefused }

func refuse(hints []string, format string, args ...any) error {
	return &Refusal{Reason: fmt.Sprintf(format, args...), Hints: hints}
}
