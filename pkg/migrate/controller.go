// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"slices"
	"time"
)

// The figures of the controller.
const (
	// slowdown is how many times its unloaded p95 the p95 of a write may be. It is the one figure to tune: more is
	// faster, less is gentler. Measured on two cores (test/bench, foreground), at 2.5 the rate is 0.63 of the highest and
	// others wait 2.9 times as long as when alone (p99), at 3 it is 0.73 and 3.3 times, at 3.5 it is 0.84 and 4.4 times.
	slowdown = 3
	// farAbove is how many times the target a single write must take to be a reason by itself.
	farAbove = 4
	// unloadedSize and windowSize are the numbers of answers that a p95 is taken of.
	unloadedSize = 20
	windowSize   = 20
	// mayBeSlow is how many answers of a window may be above its p95.
	mayBeSlow = windowSize / 20
	// keepNumerator/keepDenominator is what remains of the limit when it gives way.
	keepNumerator, keepDenominator = 3, 4
	// floorRise and floorFall are the parts of the difference by which the unloaded p95 moves to that of a window.
	floorRise, floorFall = 24, 4
)

// signal is what an attempt says about the load of the server.
type signal int

const (
	// signalNone: nothing. A refused connection and a denial say nothing about load.
	signalNone signal = iota
	// signalAnswer: the server did its work, in a time that counts.
	signalAnswer
	// signalCongested: the server says that it is overloaded, or did not answer in time.
	signalCongested
)

// observation is one attempt at a write.
type observation struct {
	signal  signal
	latency time.Duration
	// epoch is the controller's when the attempt began.
	epoch int
	// inFlight is the number of attempts under way when it began, itself included.
	inFlight int
}

// controller finds the number of writes in flight that the server bears. It is pure: observations in, limit out.
// Additive increase and multiplicative decrease on latency, because a kube-apiserver that protects itself queues
// (priority and fairness) and does not answer 429. Its rules:
//
//  1. The limit is never below 1 nor above the ceiling. It starts at 1.
//  2. The p95 of the first unloadedSize answers is the unloaded p95. Until it is known, the limit stays.
//  3. The target is slowdown times the unloaded p95. A window of windowSize answers whose p95 is within the target
//     raises the limit by one. Before the limit has given way for the first time half a window is enough to double it,
//     if all of its answers are within half the target: twice as many in flight take twice as long at most, and most
//     resources have few objects. Once it has, the server is known to have a limit, and to double would overshoot it
//     again and again: slow answers come late, and the fast ones alone look well.
//     In either case only if the limit was reached at all: one that was not used has proven nothing.
//     A write that is still in flight counts when it ends, not before: it may wait for a webhook, or for an instance
//     that does not answer, and neither is a reason to stay slow. So the limit may rise for as long as a slow write
//     takes, by one for each window.
//  4. As soon as more answers are above the target than the p95 of a window allows, the limit gives way to ¾. So
//     it does at once after a single answer of farAbove times the target, and after an answer that says overloaded.
//  5. An attempt that began before the limit last gave way says nothing about the new limit and is left out: one
//     burst is punished once.
//  6. A lower p95 of a whole window lowers the unloaded p95 by a quarter of the difference: what was measured first
//     was not unloaded. Not by all of it, since the p95 of 20 answers is the second slowest: of a server whose latency
//     varies, the lowest ever seen is a stroke of luck, and a target made of it is out of reach for good.
//  7. A window that is above the target although one write is in flight can't be helped by giving way. It raises
//     the unloaded p95, slowly: larger objects become the norm after some windows, and a burst of others' load does
//     not.
type controller struct {
	ceiling, limit int
	unloaded       time.Duration
	// epoch counts how often the limit has given way.
	epoch int

	latencies []time.Duration
	slow      int
	most      int
}

func newController(ceiling int) *controller { return &controller{ceiling: ceiling, limit: 1} }

// observe takes one observation into account.
func (c *controller) observe(o observation) {
	if o.epoch != c.epoch {
		return
	}
	switch o.signal {
	case signalNone:
	case signalCongested:
		c.giveWay()
	case signalAnswer:
		c.answered(o)
	}
}

func (c *controller) answered(o observation) {
	c.latencies = append(c.latencies, o.latency)
	c.most = max(c.most, o.inFlight)
	if c.unloaded == 0 {
		if len(c.latencies) == unloadedSize {
			c.unloaded = max(p95(c.latencies), 1)
			c.clear()
		}
		return
	}
	if o.latency > c.target() {
		c.slow++
	}
	switch {
	case c.limit > 1 && (c.slow > mayBeSlow || o.latency > farAbove*c.target()):
		c.giveWay()
	case len(c.latencies) == windowSize/2 && c.mayDouble():
		c.endWindow(c.limit)
	case len(c.latencies) == windowSize:
		c.endWindow(1)
	}
}

// mayDouble tells whether the answers so far let the limit double (rule 3).
func (c *controller) mayDouble() bool {
	return c.epoch == 0 && c.most >= c.limit && slices.Max(c.latencies) <= c.target()/2
}

// endWindow judges a window, and lets the limit grow by what is given if it may.
func (c *controller) endWindow(more int) {
	got := p95(c.latencies)
	switch {
	case got > c.target():
		c.unloaded += (got - c.unloaded) / floorRise
	case c.most >= c.limit:
		c.limit = min(c.limit+more, c.ceiling)
	}
	if got < c.unloaded {
		c.unloaded = max(c.unloaded-(c.unloaded-got)/floorFall, 1)
	}
	c.clear()
}

// giveWay lowers the limit. At the floor there is nothing to lower, and nothing to forget.
func (c *controller) giveWay() {
	if c.limit == 1 {
		return
	}
	c.limit = max(1, c.limit*keepNumerator/keepDenominator)
	c.epoch++
	c.clear()
}

func (c *controller) clear() { c.latencies, c.slow, c.most = c.latencies[:0], 0, 0 }

// target is the highest p95 that is accepted.
func (c *controller) target() time.Duration { return time.Duration(slowdown * float64(c.unloaded)) }

// p95 sorts the latencies and returns the one that 95 % of them do not exceed.
func p95(latencies []time.Duration) time.Duration {
	slices.Sort(latencies)
	return latencies[(len(latencies)*95+99)/100-1]
}
