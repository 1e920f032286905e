// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package printer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
)

// jsonLines writes each event as one JSON object on a line of its own.
type jsonLines struct {
	out io.Writer
}

func (*jsonLines) interval() time.Duration { return 0 }

func (j *jsonLines) show(e event.Event, now time.Time) error {
	line, err := encode(e, now)
	if err != nil {
		return err
	}
	_, err = j.out.Write(line)
	return err
}

func (*jsonLines) tick(time.Time) error { return nil }

func (*jsonLines) end() error { return nil }

// encode writes {"event":…,"time":…, and the event's own fields behind it.
func encode(e event.Event, now time.Time) ([]byte, error) {
	head, err := json.Marshal(struct {
		Event string    `json:"event"`
		Time  time.Time `json:"time"`
	}{e.Kind(), now.UTC()})
	if err != nil {
		return nil, fmt.Errorf("encode the time of event %s: %w", e.Kind(), err)
	}
	if m, ok := e.(event.MigrationProgress); ok {
		e = finite(m)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.Kind(), err)
	}
	line := head
	if fields := body[1:]; len(fields) > 1 {
		line = append(append(head[:len(head)-1], ','), fields...)
	}
	return append(printable(line), '\n'), nil
}

// finite replaces what JSON has no number for.
func finite(e event.MigrationProgress) event.MigrationProgress {
	if !known(e.Rate) {
		e.Rate = 0
	}
	if !known(e.Left) {
		e.Left = -1
	}
	return e
}

// printable spells out the runes that a terminal could act on. In JSON they stand in strings alone, where \u says
// the same; so nothing is lost.
func printable(line []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(line) {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}
