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

const (
	// redraw is the time between two drawings of the live line: often enough to look alive, seldom enough for a
	// slow connection.
	redraw = 200 * time.Millisecond
	// clearLine goes to the start of the line and takes away what stands on it.
	clearLine = "\r\x1b[K"
	// textColumns is the width at which the times of steps that are done stand below each other.
	textColumns = 56
)

// frames are the pictures of the spinner.
func frames() []string {
	return []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}
}

// live draws one line again and again, and leaves lines above it for what is done.
type live struct {
	out   io.Writer
	color bool
	width func() int
	progress
	drawn bool
	frame int
}

func (*live) interval() time.Duration { return redraw }

func (l *live) show(e event.Event, now time.Time) error {
	failed := l.running
	l.fold(e, now)
	switch e := e.(type) {
	case event.StepDone:
		return l.permanent(term.Good, "✓", row(numbered(e.Number, e.Total)+" "+term.Escape(e.Text), e.Elapsed))
	case event.Notice:
		return l.permanent("", "•", term.Escape(e.Text))
	case event.Warning:
		return l.permanent(term.Warn, "!", "warning: "+term.Escape(e.Text))
	case event.Finished:
		return l.permanent(term.Good, "✓", row(term.Escape(e.Text), e.Elapsed))
	case event.Failed:
		if failed {
			return l.permanent(term.Bad, "✗", row(l.number+" "+l.text, now.Sub(l.began)))
		}
	}
	return nil
}

// row puts the time that something took behind its text.
func row(text string, took time.Duration) string {
	return text + strings.Repeat(" ", max(0, textColumns-columns(text))) + "  " + clock(took)
}

// permanent writes a line that stays. It is as long as it is: the terminal breaks it.
func (l *live) permanent(c term.Color, mark, text string) error {
	if c != "" {
		mark = term.Paint(l.color, c, mark)
	}
	_, err := fmt.Fprintf(l.out, "%s %s %s\n", l.erase(), mark, text)
	return err
}

// erase is what takes the live line away, if there is one.
func (l *live) erase() string {
	if !l.drawn {
		return ""
	}
	l.drawn = false
	return clearLine
}

func (l *live) tick(now time.Time) error {
	if !l.running {
		return nil
	}
	l.frame = (l.frame + 1) % len(frames())
	l.drawn = true
	_, err := fmt.Fprint(l.out, clearLine+l.line(now))
	return err
}

// line is the live line. It must not reach the last column: a line that the terminal breaks can't be taken back.
// Where room is short the step's text gives way to how far it is.
func (l *live) line(now time.Time) string {
	room := max(20, l.width()) - 1
	head := fmt.Sprintf(" %s %s ", frames()[l.frame], l.number)
	tail := "  " + joined([]string{l.counts, clock(now.Sub(l.began))})
	text := l.text
	if free := room - columns(head) - columns(tail); columns(text) > free {
		text = cut(text, max(free, 10))
	}
	return cut(head+text+tail, room)
}

func (l *live) end() error {
	_, err := fmt.Fprint(l.out, l.erase())
	return err
}

// cut shortens escaped text to a number of columns.
func cut(text string, room int) string {
	if columns(text) <= room {
		return text
	}
	var b strings.Builder
	used := 0
	for _, r := range text {
		used += runeColumns(r)
		if used > room-1 {
			break
		}
		b.WriteRune(r)
	}
	return b.String() + "…"
}

func columns(text string) int {
	n := 0
	for _, r := range text {
		n += runeColumns(r)
	}
	return n
}

// runeColumns errs on the safe side: a line that is taken for too long is cut, one that is too long stays on the
// screen for good. So what is not known to be narrow counts for two columns.
func runeColumns(r rune) int {
	const firstWide = 0x1100 // Hangul Jamo
	punctuation, braille := r >= 0x2000 && r < 0x2070, r >= 0x2800 && r < 0x2900
	if r < firstWide || punctuation || braille {
		return 1
	}
	return 2
}
