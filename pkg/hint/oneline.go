// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package hint

import "strings"

// OneLine keeps what a cluster says from looking like a line of ours. What else it may hold is escaped where it is printed.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
