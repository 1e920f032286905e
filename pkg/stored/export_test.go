// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package stored

// Interned is how many names a Reader remembers.
func Interned(r *Reader) int { return len(r.names) }
