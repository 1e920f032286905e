// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// pacer decides when a write may begin: in the order of rate limit, room in flight and Options.Hold, so that no write
// begins while Hold blocks. It measures the writes, and nothing of the waits, for its controller. It is safe for
// concurrent use.
type pacer struct {
	limiter *rate.Limiter // nil: no limit
	gate    *gate
	hold    func(context.Context) error // nil: never
	// held is told when Hold begins and ends to block.
	held func(blocked bool)

	mu       sync.Mutex
	control  *controller // nil: the number of writes in flight is pinned
	inFlight int
}

func newPacer(opts Options) *pacer {
	p := &pacer{gate: &gate{limit: opts.Concurrency}, hold: opts.Hold}
	if opts.Concurrency <= 0 {
		p.control = newController(opts.workers())
		p.gate.limit = p.control.limit
	}
	if opts.MaxRate > 0 {
		p.limiter = rate.NewLimiter(rate.Limit(opts.MaxRate), 1)
	}
	return p
}

// admit waits until a write may begin. Without an error the caller must call write, or leave the gate.
func (p *pacer) admit(ctx context.Context) error {
	if p.limiter != nil {
		if err := sleep(ctx, p.limiter.Reserve().Delay()); err != nil {
			return err
		}
	}
	if err := p.gate.enter(ctx); err != nil {
		return err
	}
	if err := p.pause(ctx); err != nil {
		p.gate.leave()
		return err
	}
	return nil
}

// heldAfter is how long Hold may take before it is said to block.
const heldAfter = 100 * time.Millisecond

// pause asks Hold, and tells when it blocks.
func (p *pacer) pause(ctx context.Context) error {
	if p.hold == nil {
		return nil
	}
	told := make(chan struct{})
	timer := time.AfterFunc(heldAfter, func() {
		defer close(told)
		p.held(true)
	})
	err := p.hold(ctx)
	if !timer.Stop() {
		<-told
		p.held(false)
	}
	return err
}

// write does an admitted write, takes its time and leaves the gate.
func (p *pacer) write(do func() error) error {
	defer p.gate.leave()
	if p.control == nil {
		return do()
	}
	p.mu.Lock()
	p.inFlight++
	o := observation{epoch: p.control.epoch, inFlight: p.inFlight}
	p.mu.Unlock()

	began := time.Now()
	err := do()
	o.latency, o.signal = time.Since(began), signalOf(err)

	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight--
	p.control.observe(o)
	p.gate.resize(p.control.limit)
	return err
}

// signalOf is what the outcome of a write says about the server's load. What a webhook does or fails to do says
// nothing about it; that an object is gone or was changed is an answer as good as any.
func signalOf(err error) signal {
	if err == nil {
		return signalAnswer
	}
	status, answered := statusOf(err)
	switch {
	case !answered && (errors.Is(err, context.DeadlineExceeded) || utilnet.IsTimeout(err)):
		return signalCongested
	case !answered, denier(status) != (admission{}):
		return signalNone
	}
	if _, asked := apierrors.SuggestsClientDelay(err); asked {
		return signalCongested
	}
	switch status.Code {
	case http.StatusNotFound, http.StatusConflict:
		return signalAnswer
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return signalCongested
	case http.StatusInternalServerError:
		if steerInternal(status) == courseRetry {
			return signalCongested
		}
	}
	return signalNone
}
