// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// engine is one run on one resource.
type engine struct {
	client   Client
	resource Resource
	opts     Options
	baseline string
	pace     *pacer
	broken   broken
}

func newEngine(client Client, r Resource, opts Options) *engine {
	opts = opts.withDefaults()
	return &engine{client: client, resource: r, opts: opts, baseline: opts.Baseline, pace: newPacer(opts)}
}

// pass asks once about every object that is not later than the baseline.
type pass struct {
	*engine
	progress *progress
	number   int
	queue    chan *metav1.PartialObjectMetadata
	// stop ends the pass gently: nothing new is begun, and what is in flight is awaited.
	stop context.CancelCauseFunc
	// early has the objects that canaries have asked about. Only the lister writes to it while others read.
	early map[types.UID]bool
}

// pass runs one pass. While the workers write to one page the next is being listed, and no more: the queue holds one
// page, and the list waits for it. The report is right as far as the pass came, also with an error.
func (e *engine) pass(ctx context.Context, number int) (Report, error) {
	p := &pass{
		engine: e, progress: newProgress(e.resource, number, e.opts.Progress), number: number,
		queue: make(chan *metav1.PartialObjectMetadata, e.opts.PageSize), early: map[types.UID]bool{},
	}
	p.progress.workers, e.pace.held = e.pace.gate.size, p.progress.hold
	g, ctx := errgroup.WithContext(ctx)
	gentle, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p.stop = stop
	g.Go(func() error {
		defer close(p.queue)
		return p.unlessStopped(gentle, p.fill(ctx, gentle))
	})
	for range e.opts.workers() {
		g.Go(func() error { return p.unlessStopped(gentle, p.drain(ctx, gentle)) })
	}
	err := g.Wait()
	if cause := context.Cause(gentle); err == nil && errors.Is(cause, ErrTooManyFailures) {
		err = cause
	}
	return p.progress.end(), err
}

// unlessStopped drops an error that comes of the pass having been stopped: it would cut short what is in flight.
func (*pass) unlessStopped(gentle context.Context, err error) error {
	if errors.Is(context.Cause(gentle), ErrTooManyFailures) && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// fill lists the resource and queues what is not known to be current. The first object, and those of the canary
// namespaces, are asked about before.
func (p *pass) fill(ctx, gentle context.Context) error {
	canaries := p.number == 1
	return p.eachPage(gentle, func(page *metav1.PartialObjectMetadataList) error {
		p.progress.listed(page)
		for i := range page.Items {
			o := &page.Items[i]
			if p.early[o.UID] {
				p.progress.listedAgain()
				continue
			}
			current, err := p.current(o)
			if err != nil {
				return err
			}
			switch {
			case current:
				p.progress.done(outcome{answer: answerSkipped})
				continue
			case canaries && !deletedByAnyWrite(o):
				canaries = false
				if err := p.canaries(ctx, gentle, o); err != nil {
					return err
				}
				continue
			}
			select {
			case p.queue <- o:
			case <-gentle.Done():
				return gentle.Err()
			}
		}
		return nil
	})
}

// drain migrates what is queued.
func (p *pass) drain(ctx, gentle context.Context) error {
	for o := range p.queue {
		if _, err := p.ask(ctx, gentle, o); err != nil {
			return err
		}
	}
	return nil
}

// ask asks about one object and takes note of the answer. A write that is in flight ends with ctx, one that is not
// yet does not begin after gentle.
func (p *pass) ask(ctx, gentle context.Context, o *metav1.PartialObjectMetadata) (outcome, error) {
	if err := gentle.Err(); err != nil {
		return outcome{}, err
	}
	out, err := p.migrate(ctx, o, func() error { return p.pace.admit(gentle) })
	if err != nil {
		return outcome{}, err
	}
	if failed := p.progress.done(out); p.opts.MaxFailures > 0 && failed >= p.opts.MaxFailures {
		p.stop(fmt.Errorf("%w: %d", ErrTooManyFailures, failed))
	}
	return out, nil
}

// count lists the resource and counts its objects, and those not later than the baseline.
func (e *engine) count(ctx context.Context) (objects, stale int64, err error) {
	err = e.eachPage(ctx, func(page *metav1.PartialObjectMetadataList) error {
		for i := range page.Items {
			current, err := e.current(&page.Items[i])
			if err != nil {
				return err
			}
			objects++
			if !current {
				stale++
			}
		}
		return nil
	})
	return objects, stale, err
}
