// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Progress is how far a pass is.
type Progress struct {
	Resource Resource
	// Pass counts from 1.
	Pass int
	// Done objects have their answer, current ones included.
	Done int64
	// Total is the server's estimate of the number of objects, 0 as long as there is none.
	Total int64
	// Migrated and Failed objects among them.
	Migrated, Failed int64
	// Rate is the number of objects written to per second, over the pass.
	Rate float64
	// Workers is the number of writes that may be in flight now.
	Workers int
	// Held tells that Options.Hold blocks now.
	Held bool
}

// progressInterval is the least time between two reports of progress.
const progressInterval = 200 * time.Millisecond

// progress gathers what the workers of one pass have done. It is safe for concurrent use.
type progress struct {
	mu      sync.Mutex
	report  Report
	current Progress
	asked   int64
	// paged is the number of objects in the pages, which the server's estimate goes on from.
	paged int64
	// holding is the number of writes that Options.Hold blocks.
	holding  int
	workers  func() int
	started  time.Time
	reported time.Time
	tell     func(Progress)
}

func newProgress(r Resource, pass int, tell func(Progress)) *progress {
	now := time.Now()
	return &progress{
		current: Progress{Resource: r, Pass: pass},
		started: now, reported: now, tell: tell, workers: func() int { return 0 },
	}
}

// listed takes note of a page. An estimate that is missing or too small is no reason to show less than was listed.
func (p *progress) listed(page *metav1.PartialObjectMetadataList) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Listed += int64(len(page.Items))
	p.paged += int64(len(page.Items))
	switch {
	case page.RemainingItemCount != nil:
		p.current.Total = p.paged + *page.RemainingItemCount
	case page.Continue == "":
		p.current.Total = p.paged
	case p.current.Total != 0:
		p.current.Total = max(p.current.Total, p.paged)
	}
}

// listedEarly takes note of an object that a canary listed, and listedAgain of one such that a page lists too: each
// object is counted once.
func (p *progress) listedEarly() { p.addListed(1) }
func (p *progress) listedAgain() { p.addListed(-1) }

func (p *progress) addListed(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Listed += n
}

// done takes note of an answer and returns how many objects have failed.
func (p *progress) done(o outcome) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.add(o)
	p.current.Done++
	if o.answer != answerSkipped {
		p.asked++
	}
	if time.Since(p.reported) >= progressInterval {
		p.say()
	}
	return p.report.Failed
}

// hold takes note that Options.Hold begins or ends to block a write. The first and the last of them are told at once:
// nothing else is done meanwhile that would tell.
func (p *progress) hold(blocked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if blocked {
		p.holding++
	} else {
		p.holding--
	}
	if held := p.holding > 0; held != p.current.Held {
		p.current.Held = held
		p.say()
	}
}

// end tells the last progress of the pass and returns what was done.
func (p *progress) end() Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say()
	return p.report
}

// say calls the listener with the lock held, so that calls come one at a time and in order.
func (p *progress) say() {
	if p.tell == nil {
		return
	}
	p.reported = time.Now()
	if elapsed := p.reported.Sub(p.started).Seconds(); elapsed > 0 {
		p.current.Rate = float64(p.asked) / elapsed
	}
	p.current.Workers = p.workers()
	p.current.Migrated, p.current.Failed = p.report.Migrated, p.report.Failed
	p.tell(p.current)
}
