// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package printer

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
)

// progress is what is known of the step that runs, folded from the events. It is shared by the formats for people,
// so that both say the same words in the same order.
type progress struct {
	running bool
	// number is "1/6".
	number string
	text   string
	// counts is how far the step is, empty while that is not known.
	counts string
	began  time.Time
}

// fold takes what an event says about the step that runs.
func (p *progress) fold(e event.Event, now time.Time) {
	switch e := e.(type) {
	case event.StepStarted:
		*p = progress{running: true, number: numbered(e.Number, e.Total), text: term.Escape(e.Text), began: now}
	case event.StepProgress:
		p.counts = stepCounts(e)
	case event.MigrationProgress:
		p.counts = migrationCounts(e)
	case event.StepDone, event.Finished, event.Failed:
		p.running = false
	}
}

func numbered(number, total int) string { return fmt.Sprintf("%d/%d", number, total) }

func stepCounts(e event.StepProgress) string {
	parts := []string{fmt.Sprintf("%d/%d %s", e.Done, e.Total, term.Escape(e.Unit))}
	if e.Detail != "" {
		parts = append(parts, term.Escape(e.Detail))
	}
	return strings.Join(parts, "  ")
}

func migrationCounts(e event.MigrationProgress) string {
	parts := []string{fmt.Sprintf("%s %d/%d", term.Escape(e.Resource), e.Done, e.Total)}
	if e.Total > 0 {
		parts[0] += fmt.Sprintf(" (%d%%)", percent(e.Done, e.Total))
	}
	if e.Rate > 0 && e.Rate < 1e9 {
		parts = append(parts, fmt.Sprintf("%.0f/s", e.Rate))
	}
	if e.Held {
		parts = append(parts, "held until etcd has room")
	} else if left, ok := timeLeft(e.Left); ok {
		parts = append(parts, "~"+clock(left)+" left")
	}
	if e.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", e.Failed))
	}
	return strings.Join(parts, "  ")
}

// percent is rounded down and at most 100: Total is an estimate, and 100 % means that nothing is left.
func percent(done, total int64) int64 {
	return min(100, int64(float64(done)/float64(total)*100))
}

func known(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// timeLeft is the estimate as a duration, if it is one that anybody would believe.
func timeLeft(seconds float64) (time.Duration, bool) {
	const longest = 1000 * time.Hour
	if !known(seconds) || seconds < 0 || seconds > longest.Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// clock is a duration to the second: "41s", "3m20s", "1h2m3s".
func clock(d time.Duration) string { return d.Round(time.Second).String() }
