// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// engine is one run on one resource.
type engine struct {
	client   Client
	resource Resource
	opts     Options
	baseline string
	limiter  *rate.Limiter
}

func newEngine(client Client, r Resource, opts Options) *engine {
	e := &engine{client: client, resource: r, opts: opts.withDefaults(), baseline: opts.Baseline}
	if opts.MaxRate > 0 {
		e.limiter = rate.NewLimiter(rate.Limit(opts.MaxRate), 1)
	}
	return e
}

// pass asks once about every object that is not later than the baseline. While the workers write to one page the
// next is being listed, and no more: the queue holds one page, and the list waits for it. The report is right as
// far as the pass came, also with an error.
func (e *engine) pass(ctx context.Context, number int) (Report, error) {
	p := newProgress(e.resource, number, e.opts.Progress)
	queue := make(chan *metav1.PartialObjectMetadata, e.opts.PageSize)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(queue)
		return e.fill(ctx, queue, p)
	})
	for range e.opts.Concurrency {
		g.Go(func() error { return e.drain(ctx, queue, p) })
	}
	err := g.Wait()
	return p.end(), err
}

// fill lists the resource and queues what is not known to be current.
func (e *engine) fill(ctx context.Context, queue chan<- *metav1.PartialObjectMetadata, p *progress) error {
	return e.eachPage(ctx, func(page *metav1.PartialObjectMetadataList) error {
		p.listed(page)
		for i := range page.Items {
			o := &page.Items[i]
			current, err := e.current(o)
			if err != nil {
				return err
			}
			if current {
				p.done(outcome{answer: answerSkipped})
				continue
			}
			select {
			case queue <- o:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
}

// drain migrates what is queued.
func (e *engine) drain(ctx context.Context, queue <-chan *metav1.PartialObjectMetadata, p *progress) error {
	for o := range queue {
		if err := e.limit(ctx); err != nil {
			return err
		}
		out, err := e.migrate(ctx, o)
		if err != nil {
			return err
		}
		p.done(out)
	}
	return nil
}

// limit waits until another object may be written to.
func (e *engine) limit(ctx context.Context) error {
	if e.limiter == nil {
		return ctx.Err()
	}
	return sleep(ctx, e.limiter.Reserve().Delay())
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
