// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package term

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxAnswer is the longest answer in bytes that is read; whatever is longer is no.
const maxAnswer = 64

// Confirm asks a question that is answered with yes or no, and takes everything but y and yes for no: also the end
// of the input. It is for a terminal alone; see IsTerminal.
//
// A context that ends while it waits gives the context's error. The goroutine that reads is left behind then, since
// a read from a terminal can't be called off; the program is about to end.
func Confirm(ctx context.Context, in io.Reader, out io.Writer, question string) (bool, error) {
	if _, err := fmt.Fprintf(out, "%s (y/N): ", question); err != nil {
		return false, fmt.Errorf("ask for confirmation: %w", err)
	}
	answers := make(chan answer, 1)
	go func() { answers <- readAnswer(in) }()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(out)
		return false, ctx.Err()
	case a := <-answers:
		if a.err != nil {
			_, _ = fmt.Fprintln(out)
			return false, fmt.Errorf("read the answer: %w", a.err)
		}
		if !a.ended {
			_, _ = fmt.Fprintln(out)
		}
		return a.yes, nil
	}
}

// answer is a line that was read. Ended says that the line had an end, so that the cursor is on the next one.
type answer struct {
	yes, ended bool
	err        error
}

// readAnswer reads one line, byte by byte: what follows it in the input belongs to somebody else.
func readAnswer(in io.Reader) answer {
	var line strings.Builder
	var one [1]byte
	for line.Len() <= maxAnswer {
		n, err := in.Read(one[:])
		if n == 1 && one[0] == '\n' {
			return answer{yes: isYes(line.String()), ended: true}
		}
		if n == 1 {
			line.WriteByte(one[0])
		}
		if errors.Is(err, io.EOF) {
			return answer{}
		}
		if err != nil {
			return answer{err: err}
		}
	}
	return answer{}
}

func isYes(line string) bool {
	word := strings.ToLower(strings.TrimSpace(line))
	return word == "y" || word == "yes"
}
