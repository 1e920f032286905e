// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package printer

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
)

// heartbeat is the time between two signs of life.
const heartbeat = 10 * time.Second

// plain writes lines to a log.
type plain struct {
	out   io.Writer
	color bool
	progress
	beat time.Time // of the last sign of life
}

// interval is short, so that a heartbeat comes ten seconds after the step began and not with some ticker.
func (*plain) interval() time.Duration { return heartbeat / 40 }

func (p *plain) show(e event.Event, now time.Time) error {
	failed := p.running
	p.fold(e, now)
	switch e := e.(type) {
	case event.StepStarted:
		p.beat = now
	case event.StepDone:
		return p.line(term.Good, "done", numbered(e.Number, e.Total)+" "+term.Escape(e.Text), clock(e.Elapsed))
	case event.Notice:
		return p.line("", "note", term.Escape(e.Text))
	case event.Warning:
		return p.line(term.Warn, "warning", term.Escape(e.Text))
	case event.Finished:
		return p.line(term.Good, "done", term.Escape(e.Text), clock(e.Elapsed))
	case event.Failed:
		if failed {
			return p.line(term.Bad, "failed", p.number+" "+p.text, clock(now.Sub(p.began)))
		}
	}
	return nil
}

func (p *plain) tick(now time.Time) error {
	if !p.running || now.Sub(p.beat) < heartbeat {
		return nil
	}
	p.beat = now
	return p.line("", "running", p.number+" "+p.text, p.counts, clock(now.Sub(p.began)))
}

func (*plain) end() error { return nil }

// line writes "word: a  b  c", without what is empty.
func (p *plain) line(c term.Color, word string, parts ...string) error {
	if c != "" {
		word = term.Paint(p.color, c, word)
	}
	_, err := fmt.Fprintf(p.out, "%s: %s\n", word, joined(parts))
	return err
}

func joined(parts []string) string {
	var filled []string
	for _, part := range parts {
		if part != "" {
			filled = append(filled, part)
		}
	}
	return strings.Join(filled, "  ")
}
