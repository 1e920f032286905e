// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package printer

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
)

// Format is how events are shown.
type Format string

// The formats.
const (
	Live  Format = "live"
	Plain Format = "plain"
	JSON  Format = "json"
)

// Choose gives the format for an output flag ("json" or anything else) and a stream for progress.
func Choose(output string, errOut any, lookupEnv term.LookupEnv) Format {
	switch {
	case output == "json":
		return JSON
	case term.IsSmartTerminal(errOut, lookupEnv):
		return Live
	default:
		return Plain
	}
}

// Options are what a printer may be told besides its format.
type Options struct {
	// Color says whether to use colours, see term.UseColor.
	Color bool
	// Now is the clock, time.Now if it is nil.
	Now func() time.Time
	// Width is the number of columns of the terminal, asked again for each live line; term.Width of the stream
	// if it is nil.
	Width func() int
}

// Printer shows events. Its Sink is an event.Sink.
type Printer struct {
	now    func() time.Time
	stop   chan struct{}
	closed sync.Once
	ticks  sync.WaitGroup

	mu   sync.Mutex
	view view
	err  error // the first error of writing
}

// view is one way to show events. Its methods are called one at a time.
type view interface {
	// show takes an event.
	show(e event.Event, now time.Time) error
	// tick is called every interval.
	tick(now time.Time) error
	// interval is the time between ticks, 0 for none.
	interval() time.Duration
	// end takes away what shall not stay.
	end() error
}

// New makes a printer, which must be closed.
func New(format Format, streams genericiooptions.IOStreams, options Options) *Printer {
	p := &Printer{now: options.Now, stop: make(chan struct{})}
	if p.now == nil {
		p.now = time.Now
	}
	switch format {
	case Live:
		width := options.Width
		if width == nil {
			width = func() int { return term.Width(streams.ErrOut) }
		}
		p.view = &live{out: streams.ErrOut, color: options.Color, width: width}
	case JSON:
		p.view = &jsonLines{out: streams.Out}
	default:
		p.view = &plain{out: streams.ErrOut, color: options.Color}
	}
	if every := p.view.interval(); every > 0 {
		p.ticks.Go(func() { p.tick(every) })
	}
	return p
}

// Sink shows an event.
func (p *Printer) Sink(e event.Event) {
	p.do(func(now time.Time) error { return p.view.show(e, now) })
}

// Close ends the printer and tells the first error that it met in writing. It may be called again.
func (p *Printer) Close() error {
	p.closed.Do(func() {
		close(p.stop)
		p.ticks.Wait()
		p.do(func(time.Time) error { return p.view.end() })
	})
	if p.err != nil {
		return fmt.Errorf("write progress: %w", p.err)
	}
	return nil
}

func (p *Printer) tick(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.do(p.view.tick)
		}
	}
}

// do calls a method of the view. What can't be written once is not tried again: the work goes on unseen.
func (p *Printer) do(method func(now time.Time) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = method(p.now())
	}
}
