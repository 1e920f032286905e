// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// slowClient takes its time for each write and knows how many are under way.
type slowClient struct {
	Client
	delay time.Duration
	// prompt writes at the beginning take no time.
	prompt int

	mu             sync.Mutex
	inFlight, most int
}

func (c *slowClient) Patch(
	ctx context.Context, r Resource, namespace, name string, pt types.PatchType, body []byte, opts metav1.PatchOptions,
) (*metav1.PartialObjectMetadata, error) {
	delay := c.add(1)
	defer c.add(-1)
	if err := sleep(ctx, delay); err != nil {
		return nil, err
	}
	return c.Client.Patch(ctx, r, namespace, name, pt, body, opts)
}

func (c *slowClient) add(n int) (delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight += n
	c.most = max(c.most, c.inFlight)
	if n > 0 && c.prompt > 0 {
		c.prompt--
		return 0
	}
	return c.delay
}

func TestRun_pace(t *testing.T) {
	for name, tc := range map[string]struct {
		objects int
		delay   time.Duration
		opts    Options
		took    time.Duration
		most    int
	}{
		"a limit of 10 a second => 21 writes take two seconds": {
			objects: 21, opts: Options{MaxRate: 10}, took: 2 * time.Second, most: 1,
		},
		"less than one a second => slow, and nothing times out": {
			objects: 3, opts: Options{MaxRate: 0.001, ObjectTimeout: time.Second}, took: 2000 * time.Second, most: 1,
		},
		"concurrency 2 => 2 writes in flight, after the canary": {
			objects: 11, delay: time.Second, opts: Options{Concurrency: 2, PageSize: 3}, took: 6 * time.Second, most: 2,
		},
		"concurrency 20 => 20 writes in flight, more than are come to by themselves": {
			objects: 41, delay: time.Second, opts: Options{Concurrency: 20}, took: 3 * time.Second, most: 20,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := staleAPI(tc.objects)
				client := &slowClient{Client: a.client(t), delay: tc.delay}
				start := time.Now()
				report, err := Run(t.Context(), client, secrets(), tc.opts)
				require.NoError(t, err)
				assert.True(t, report.Complete)
				assert.Equal(t, tc.took, time.Since(start).Round(time.Millisecond))
				assert.Equal(t, tc.most, client.most)
			})
		})
	}
}

func TestRun_waitsForTheServerNoLongerThanAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := staleAPI(1)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		a.before = func(fakeRequest) *fakeFault {
			return &fakeFault{status: statusFor(429, metav1.StatusReasonTooManyRequests, "slow down"), retryAfter: "600"}
		}
		start := time.Now()
		_, err := Run(ctx, a.client(t), secrets(), Options{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 30*time.Second, time.Since(start))
	})
}

func TestRun_listsAtMostOnePageAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := staleAPI(100)
		ctx, cancel := context.WithCancel(t.Context())
		client := &slowClient{Client: a.client(t), delay: time.Hour, prompt: 1}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = Run(ctx, client, secrets(), Options{PageSize: 10, Concurrency: 2})
		}()
		synctest.Wait()
		// The canary is written, two objects are being written, ten wait, and the seven others of the second page.
		assert.Len(t, a.requests, 3)
		cancel()
		<-done
	})
}

func TestRun_progress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := staleAPI(40)
		a.create("ns/current", "data")
		var told []Progress
		var times []time.Time
		opts := Options{Concurrency: 1, PageSize: 10, Baseline: "1040", Progress: func(p Progress) {
			told, times = append(told, p), append(times, time.Now())
		}}
		_, err := Run(t.Context(), &slowClient{Client: a.client(t), delay: 50 * time.Millisecond}, secrets(), opts)
		require.NoError(t, err)
		require.Len(t, told, 11, "2 s in steps of 200 ms, and the end")
		for i := 1; i < len(times)-1; i++ {
			assert.GreaterOrEqual(t, times[i].Sub(times[i-1]), progressInterval)
		}
		assert.Equal(t, Progress{Resource: secrets(), Pass: 1, Done: 4, Total: 41, Migrated: 4, Rate: 20, Workers: 1}, told[0])
		assert.Equal(t, Progress{Resource: secrets(), Pass: 1, Done: 41, Total: 41, Migrated: 40, Rate: 20, Workers: 1}, told[10])
	})
}

func TestProgress_estimate(t *testing.T) {
	page := func(remaining *int64, token string) *metav1.PartialObjectMetadataList {
		return &metav1.PartialObjectMetadataList{
			ListMeta: metav1.ListMeta{RemainingItemCount: remaining, Continue: token},
			Items:    make([]metav1.PartialObjectMetadata, 10),
		}
	}
	p := newProgress(secrets(), 1, nil)
	for _, step := range []struct {
		page *metav1.PartialObjectMetadataList
		want int64
	}{
		{page(nil, "more"), 0}, {page(new(int64(5)), "more"), 25}, {page(nil, "more"), 30}, {page(nil, ""), 40},
	} {
		p.listed(step.page)
		assert.Equal(t, step.want, p.current.Total)
	}
}

func TestReport_manyFailures(t *testing.T) {
	var r Report
	for range 250 {
		r.add(outcome{answer: answerFailed, failure: Failure{Reason: ReasonDenied}})
	}
	r.add(outcome{answer: answerFailed, failure: Failure{Reason: ReasonInvalid}})
	assert.Equal(t, int64(251), r.Failed)
	assert.Equal(t, map[Reason]int64{ReasonDenied: 250, ReasonInvalid: 1}, r.Reasons())
	assert.Len(t, r.Failures, maxFailures+1)
}
