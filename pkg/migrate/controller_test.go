// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

const ms = time.Millisecond

// settled is a controller with an unloaded p95 of 10 ms, a target of 25 ms, and a limit that it has grown to.
func settled(limit int) *controller {
	c := newController(DefaultConcurrency)
	c.feed(unloadedSize, 10*ms)
	c.limit = limit
	return c
}

// feed observes answers that use the limit to the full.
func (c *controller) feed(answers int, latency time.Duration) {
	for range answers {
		c.observe(c.answer(latency))
	}
}

func (c *controller) answer(latency time.Duration) observation {
	return observation{signal: signalAnswer, latency: latency, epoch: c.epoch, inFlight: c.limit}
}

func TestController(t *testing.T) {
	for name, tc := range map[string]struct {
		limit    int
		feed     func(*controller)
		want     int
		unloaded time.Duration
	}{
		"a window within the target => one more": {
			limit: 5, feed: func(c *controller) { c.feed(windowSize, 30*ms) }, want: 6, unloaded: 10 * ms,
		},
		"half a window within half the target => twice as many": {
			limit: 5, feed: func(c *controller) { c.feed(windowSize/2, 12*ms) }, want: 10, unloaded: 10 * ms,
		},
		"a window within half the target, after it gave way => one more": {
			limit: 8, feed: func(c *controller) { c.feed(1, 121*ms); c.feed(windowSize, 12*ms) }, want: 7, unloaded: 10 * ms,
		},
		"less than a window => no more": {
			limit: 5, feed: func(c *controller) { c.feed(windowSize-1, 20*ms) }, want: 5, unloaded: 10 * ms,
		},
		"one answer in a window above the target => is within the p95": {
			limit: 5, feed: func(c *controller) { c.feed(1, 90*ms); c.feed(windowSize-1, 20*ms) }, want: 6, unloaded: 10 * ms,
		},
		"two answers above the target => gives way before the window is full": {
			limit: 8, feed: func(c *controller) { c.feed(2, 31*ms) }, want: 6, unloaded: 10 * ms,
		},
		"one answer far above the target => gives way at once": {
			limit: 8, feed: func(c *controller) { c.feed(1, 121*ms) }, want: 6, unloaded: 10 * ms,
		},
		"overloaded, says the server => gives way at once": {
			limit: 16, feed: func(c *controller) { c.observe(observation{signal: signalCongested, epoch: c.epoch}) },
			want: 12, unloaded: 10 * ms,
		},
		"refused or denied => says nothing": {
			limit: 16, feed: func(c *controller) { c.observe(observation{signal: signalNone, latency: time.Hour, epoch: c.epoch}) },
			want: 16, unloaded: 10 * ms,
		},
		"one burst => is punished once": {
			limit: 16, feed: func(c *controller) {
				o := c.answer(200 * ms)
				for range 16 {
					c.observe(o)
				}
			}, want: 12, unloaded: 10 * ms,
		},
		"slow for long => down to one": {
			limit: 16, feed: func(c *controller) { c.feed(16, 40*ms) }, want: 1, unloaded: 10 * ms,
		},
		"fast for long => up to the ceiling": {
			limit: 1, feed: func(c *controller) { c.feed(500, 12*ms) }, want: DefaultConcurrency, unloaded: 10 * ms,
		},
		"a limit that is not used => does not grow": {
			limit: 5, feed: func(c *controller) {
				for range windowSize {
					o := c.answer(12 * ms)
					o.inFlight = 4
					c.observe(o)
				}
			}, want: 5, unloaded: 10 * ms,
		},
		"a window faster than when it began => the measure falls by a quarter of the difference": {
			limit: 1, feed: func(c *controller) { c.feed(windowSize/2, 2*ms) }, want: 2, unloaded: 8 * ms,
		},
		"faster than when it began for long => that is the measure": {
			limit: 16, feed: func(c *controller) { c.feed(20*windowSize, 5*ms) }, want: 16, unloaded: 5 * ms,
		},
		"slow with one in flight => the measure rises by a twenty-fourth of the difference": {
			limit: 1, feed: func(c *controller) { c.feed(windowSize, 58*ms) }, want: 1, unloaded: 12 * ms,
		},
		"slow with one in flight for long => that is the measure, and it grows again": {
			limit: 1, feed: func(c *controller) { c.feed(30*windowSize, 42*ms) }, want: 16, unloaded: 15 * ms,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := settled(tc.limit)
			tc.feed(c)
			assert.Equal(t, tc.want, c.limit)
			assert.Equal(t, tc.unloaded, c.unloaded.Round(ms))
		})
	}
	t.Run("nothing known yet => one in flight", func(t *testing.T) {
		c := newController(DefaultConcurrency)
		c.feed(unloadedSize-1, ms)
		c.observe(observation{signal: signalCongested})
		assert.Equal(t, 1, c.limit)
		assert.Zero(t, c.unloaded)
	})
	t.Run("a server whose latency stays flat => the ceiling within 60 objects", func(t *testing.T) {
		c := newController(DefaultConcurrency)
		c.feed(unloadedSize+4*windowSize/2, ms)
		assert.Equal(t, DefaultConcurrency, c.limit)
	})
}

func TestController_whatever(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newController(rapid.IntRange(1, 20).Draw(t, "ceiling"))
		var aboveTarget []bool // of the answers that counted
		for range rapid.IntRange(1, 400).Draw(t, "observations") {
			o := observation{
				signal:   rapid.SampledFrom([]signal{signalAnswer, signalAnswer, signalAnswer, signalAnswer, signalNone, signalCongested}).Draw(t, "signal"),
				latency:  time.Duration(rapid.IntRange(0, 60).Draw(t, "ms")) * ms,
				epoch:    c.epoch - rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "epochs ago"),
				inFlight: rapid.IntRange(1, c.limit).Draw(t, "in flight"),
			}
			before, target := c.limit, c.target()
			window := windowSize
			if c.epoch == 0 {
				window /= 2
			}
			counts := o.signal == signalAnswer && o.epoch == c.epoch
			if counts {
				aboveTarget = append(aboveTarget, o.latency > target)
			}
			c.observe(o)
			switch {
			case c.limit < 1 || c.limit > c.ceiling:
				t.Fatalf("limit %d of 1 to %d", c.limit, c.ceiling)
			case c.limit > before+1 && (c.epoch > 0 || c.limit != min(2*before, c.ceiling)), c.limit < before && c.limit != max(1, before*3/4):
				t.Fatalf("from %d to %d", before, c.limit)
			case c.limit > before && (!counts || slowOf(aboveTarget, window) > mayBeSlow):
				t.Fatalf("grew though %d of the window were above the target", slowOf(aboveTarget, window))
			case c.limit > 1 && c.slow > mayBeSlow:
				t.Fatal("did not give way")
			case o.signal == signalCongested && o.epoch == c.epoch && before > 1:
				t.Fatal("did not give way to a server that said so") // The epoch would have moved on.
			}
		}
	})
}

// slowOf counts what was above the target in the last window.
func slowOf(above []bool, window int) int {
	slow := 0
	for _, a := range above[max(0, len(above)-window):] {
		if a {
			slow++
		}
	}
	return slow
}

func TestP95(t *testing.T) {
	var latencies []time.Duration
	for i := 100; i > 0; i-- {
		latencies = append(latencies, time.Duration(i))
	}
	assert.Equal(t, time.Duration(95), p95(latencies))
	assert.Equal(t, time.Duration(19), p95(latencies[:20]))
	assert.Equal(t, time.Duration(1), p95(latencies[:1]))
}
