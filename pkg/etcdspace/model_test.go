// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// modelled is an etcd with one member. It keeps what was replaced until it is compacted: each compaction lets go of what
// was replaced before the one before it. Free pages of the file are used again, but for a part of the file that lies
// scattered. A compaction first copies what it leaves alone of the pages that it changes.
type modelled struct {
	mu             sync.Mutex
	quota          int64
	live, old, new int64
	file           int64
	// scattered is the part of the file that stays free, copied the part of the bytes in use that a compaction copies.
	scattered, copied float64
	// alarm is that a write, or a compaction, found the quota passed.
	alarm bool
}

func (m *modelled) write(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.new += bytes
	m.need(m.inUse())
}

func (m *modelled) inUse() int64 { return m.live + m.old + m.new }

// need makes the file large enough for so many bytes in use.
func (m *modelled) need(inUse int64) {
	m.file = max(m.file, int64(float64(inUse)/(1-m.scattered)))
	m.alarm = m.alarm || m.file >= m.quota
}

func (m *modelled) compact() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.need(int64(float64(m.inUse()) * (1 + m.copied)))
	m.old, m.new = m.new, 0
}

func (m *modelled) read(context.Context) (Reading, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Reading{Members: []Space{{"n1", m.quota, m.file, m.inUse()}}}, nil
}

// every calls do again and again until the context ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// scenario is a migration that writes so many bytes into a modelled etcd.
type scenario struct {
	etcd *modelled
	// compaction is the interval of compactions, reading how long a reading takes.
	compaction, reading time.Duration
	// total and perSecond are in bytes. Each of the writers has one write in flight at a time, which takes latency and
	// can't be called back.
	total, perSecond float64
	writers          int
	latency          time.Duration
}

// outcome of a scenario.
type outcome struct {
	took time.Duration
	told []string
	err  error
}

// patienceOfTests is longer than any of these migrations may take.
const patienceOfTests = 48 * time.Hour

// play runs a migration to its end, in a bubble of synctest.
func (s scenario) play(ctx context.Context) (o outcome) {
	ctx, cancel := context.WithTimeout(ctx, patienceOfTests)
	w := NewWatch(func(ctx context.Context) (Reading, error) {
		pass(s.reading)
		return s.etcd.read(ctx)
	}, 2*s.compaction, func(text string) { o.told = append(o.told, text) })
	var running sync.WaitGroup
	running.Go(func() { every(ctx, s.compaction, s.etcd.compact) })
	running.Go(func() { w.Run(ctx) })
	start := time.Now()
	o.err = s.migrate(ctx, w)
	o.took = time.Since(start)
	cancel()
	running.Wait()
	return o
}

func (s scenario) migrate(ctx context.Context, w *Watch) error {
	size := s.perSecond * s.latency.Seconds() / float64(s.writers)
	errs := make([]error, s.writers)
	var wg sync.WaitGroup
	for i := range s.writers {
		wg.Go(func() {
			for left := s.total / float64(s.writers); left > 0; left -= size {
				if errs[i] = w.Hold(ctx); errs[i] != nil {
					return
				}
				pass(s.latency)
				s.etcd.write(int64(size))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// anyScenario fills a quota of 2 GiB with up to 12 % of it in 10 s.
func anyScenario() *rapid.Generator[scenario] {
	return rapid.Custom(func(t *rapid.T) scenario {
		part := func(least, most int, name string) float64 {
			return float64(rapid.IntRange(least, most).Draw(t, name)) / 1000
		}
		quota := float64(2 * gib)
		etcd := &modelled{
			quota: 2 * gib, live: int64(quota * part(10, 650, "live")),
			scattered: part(0, 110, "scattered"), copied: part(0, 50, "copied"),
		}
		etcd.need(etcd.live)
		return scenario{
			etcd: etcd, compaction: time.Duration(rapid.IntRange(10, 600).Draw(t, "compaction")) * time.Second,
			reading: time.Duration(rapid.IntRange(0, 1000).Draw(t, "reading")) * time.Millisecond,
			total:   quota * part(1, 3000, "total"), perSecond: quota * part(1, 120, "rate") / 10,
			writers: rapid.IntRange(1, 16).Draw(t, "writers"), latency: time.Duration(rapid.IntRange(50, 1000).Draw(t, "latency")) * time.Millisecond,
		}
	})
}

// Whatever the rate, the sizes and the intervals.
func TestAMigrationEndsAndNeverRaisesTheAlarm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := anyScenario().Draw(rt, "scenario")
		var o outcome
		synctest.Test(t, func(t *testing.T) { o = s.play(t.Context()) })
		if problem := s.problem(o); problem != "" {
			rt.Fatalf("%s: %+v, %+v", problem, s, s.etcd)
		}
	})
}

// problem says what is wrong with an outcome.
func (s scenario) problem(o outcome) string {
	pauses := 0
	for i, text := range o.told {
		if !strings.HasPrefix(text, []string{"the migration is paused: ", "the migration goes on: "}[i%2]) {
			return "not by turns: " + strings.Join(o.told, "\n")
		}
		pauses += 1 - i%2
	}
	most := int(o.took/s.compaction) + 2
	switch {
	case o.err != nil:
		return "it did not end: " + o.err.Error()
	case s.etcd.alarm:
		return fmt.Sprintf("the alarm was raised, after %d pauses", pauses)
	case pauses > most:
		return fmt.Sprintf("it flaps: %d pauses, of which each ends with a compaction, in %s", pauses, o.took)
	}
	return ""
}

// A migration of 6 GiB at 10 MiB a second, which takes 10 minutes where nothing stops it, meets a quota of 2 GiB.
func TestAMigrationThatIsTooLargeGetsThrough(t *testing.T) {
	t.Parallel()
	etcd := &modelled{quota: 2 * gib, live: 500 * mib, file: 500 * mib, scattered: 0.1, copied: 0.04}
	s := scenario{
		etcd: etcd, compaction: 5 * time.Minute, reading: 20 * time.Millisecond,
		total: float64(6 * gib), perSecond: float64(10 * mib), writers: 16, latency: 200 * time.Millisecond,
	}
	var o outcome
	synctest.Test(t, func(t *testing.T) { o = s.play(t.Context()) })
	assert.Empty(t, s.problem(o))
	assert.NotEmpty(t, o.told)
	assert.Greater(t, o.took, 20*time.Minute)
	assert.Less(t, o.took, 90*time.Minute)
}

// What a real etcd 3.7.0 with a quota of 192 MiB met: 11 MB/s, more than a tenth of the quota between two readings.
func TestAMigrationIsHeldBeforeAMemberIsFull(t *testing.T) {
	t.Parallel()
	etcd := &modelled{quota: 192 * mib, live: 38 * mib, file: 50 * mib, scattered: 0.13, copied: 0.05}
	s := scenario{
		etcd: etcd, compaction: 30 * time.Second, reading: 20 * time.Millisecond,
		total: float64(600 * mib), perSecond: float64(11 * mib), writers: 16, latency: 400 * time.Millisecond,
	}
	var o outcome
	synctest.Test(t, func(t *testing.T) { o = s.play(t.Context()) })
	assert.Empty(t, s.problem(o))
	assert.NotEmpty(t, o.told)
	assert.Less(t, etcd.file, etcd.quota*95/100)
}
