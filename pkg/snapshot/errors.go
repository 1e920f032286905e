// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"fmt"
)

// Errors that callers tell apart. None of them, nor what is wrapped with them, holds bytes of a key or of a value.
var (
	// ErrForeign is that the file is neither a snapshot nor a db file of etcd.
	ErrForeign = errors.New("this is no snapshot or db file of etcd")
	// ErrDamaged is that it is one, but cut or broken.
	ErrDamaged = errors.New("the file is damaged")
	// ErrAltered is that the hash at the end of a snapshot is not that of its content.
	ErrAltered = errors.New("the snapshot was altered or damaged after it was taken: its hash does not fit")
	// ErrChanged is that the file was written to while it was read, as the db file of a running member is.
	ErrChanged = errors.New("the file was written to while it was read")
)

// damaged is ErrDamaged with what is broken.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// foreign is ErrForeign with why.
func foreign(why string) error { return fmt.Errorf("%w: %s", ErrForeign, why) }
