// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package term knows terminals: whether there is one, whether it takes colours, how hostile text is made harmless,
// and how a question is asked.
//
// The rules of the terminal, for the whole program:
//
//  1. Results go to standard output, and nothing else does: it can be piped and parsed.
//  2. Progress, live lines, warnings, errors and questions go to standard error.
//  3. Errors and warnings are one line, "error: …" and "warning: …", without a capital letter or a full stop;
//     what to do next follows in lines that begin with "hint:".
//  4. A question is asked only where standard input is a terminal. Elsewhere a missing --yes is an error, never a
//     silent yes and never a program that waits for ever. The answer that is not given is no.
//  5. A live line is drawn only on a terminal that can take it back. It is one line, and gone at the end.
//  6. Colour means something that the words say as well, and is left out wherever it was not asked for or would
//     not be seen: not a terminal, TERM=dumb, NO_COLOR.
//  7. Text from a cluster (names, messages, logs) passes Escape before it is shown.
//
// The package decides from what it is given; it reads no environment of its own.
package term
