// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// loadedServer is the model of a server whose latency rises with load: a write waits 2 ms for the disk and takes 3 ms
// of one of its cores, which it shares with all that is in flight, give or take a fifth.
type loadedServer struct {
	Client
	cores int

	mu     sync.Mutex
	chance *rand.Rand
	// foreground is the number of requests of others in flight.
	foreground int
	inFlight   int
}

func (s *loadedServer) Patch(
	ctx context.Context, r Resource, namespace, name string, pt types.PatchType, body []byte, opts metav1.PatchOptions,
) (*metav1.PartialObjectMetadata, error) {
	if err := sleep(ctx, s.begin()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.inFlight--
	s.mu.Unlock()
	return s.Client.Patch(ctx, r, namespace, name, pt, body, opts)
}

func (s *loadedServer) begin() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight++
	share := max(1, float64(s.inFlight+s.foreground)/float64(s.cores))
	return time.Duration((2 + 3*share) * (0.8 + 0.4*s.chance.Float64()) * float64(ms))
}

// follow runs a migration against the model until all phases are over, and returns the numbers of workers that were
// told in each.
func follow(t *testing.T, cores int, opts Options, phases ...phase) [][]int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a := staleAPI(12_000)
	server := &loadedServer{Client: a.client(t), cores: cores, chance: rand.New(rand.NewPCG(1, 2))}
	workers := make([][]int, len(phases))
	now := 0
	opts.Progress = func(p Progress) {
		server.mu.Lock()
		defer server.mu.Unlock()
		workers[now] = append(workers[now], p.Workers)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = Run(ctx, server, secrets(), opts)
	}()
	for i, phase := range phases {
		server.mu.Lock()
		now, server.foreground = i, phase.foreground
		server.mu.Unlock()
		assert.NoError(t, sleep(ctx, phase.lasts))
	}
	cancel()
	<-done
	return workers
}

// phase is a time with so many requests of others in flight.
type phase struct {
	foreground int
	lasts      time.Duration
}

// last is what was told in the last second of a phase, at five a second.
func last(workers []int) []int { return workers[len(workers)-5:] }

func assertWithin(t *testing.T, low, high int, workers []int, why string) {
	t.Helper()
	for _, n := range workers {
		assert.True(t, low <= n && n <= high, "%s: %d to %d, not %v", why, low, high, workers)
	}
}

func TestRun_followsLatency(t *testing.T) {
	// Of two cores, eight writes in flight take 14 ms, which is 2.8 times the 5 ms of one; ten take 17 ms.
	t.Run("two cores => near the knee, and stays there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			workers := follow(t, 2, Options{}, phase{0, time.Second}, phase{0, 8 * time.Second})
			assertWithin(t, 5, 10, workers[1], "settled after a second")
		})
	})
	t.Run("many cores => the ceiling", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			workers := follow(t, 64, Options{}, phase{0, 2 * time.Second})
			assertWithin(t, DefaultConcurrency, DefaultConcurrency, last(workers[0]), "after two seconds")
		})
	})
	t.Run("others come => gives way; they go => recovers", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			workers := follow(t, 4, Options{},
				phase{0, 3 * time.Second}, phase{30, time.Second}, phase{30, 3 * time.Second}, phase{0, 3 * time.Second})
			assertWithin(t, 6, 16, last(workers[0]), "alone")
			assertWithin(t, 1, 4, workers[2], "a second after they came")
			assertWithin(t, 6, 16, last(workers[3]), "alone again")
		})
	})
	t.Run("pinned => stays pinned, whatever the latency", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			workers := follow(t, 2, Options{Concurrency: 12}, phase{0, time.Second}, phase{30, time.Second})
			assertWithin(t, 12, 12, append(workers[0], workers[1]...), "all the time")
		})
	})
}
