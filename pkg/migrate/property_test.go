// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// scenario is a cluster, a migration, and what others do between its requests.
type scenario struct {
	objects []objectKind
	// events by the number of the request that they come before.
	events map[int]event
	// killAt is the request at which the migration is cancelled, to be run again; 0 is never.
	killAt int
	opts   Options
}

type objectKind struct {
	stale, unmanaged, undecodable, held bool
}

type event struct {
	kind eventKind
	key  string
}

type eventKind string

const (
	eventCreate   eventKind = "create"
	eventUpdate   eventKind = "update"
	eventDelete   eventKind = "delete"
	eventRecreate eventKind = "recreate"
	eventCompact  eventKind = "compact"
	eventThrottle eventKind = "throttle"
	eventAway     eventKind = "away"
	eventLost     eventKind = "lost"
	eventError    eventKind = "error"
)

// eventKinds has the kinds as often as they shall come up.
func eventKinds() []eventKind {
	return []eventKind{
		eventCreate, eventUpdate, eventDelete, eventRecreate, eventUpdate, eventDelete, eventRecreate,
		eventCompact, eventThrottle, eventAway, eventLost, eventError,
	}
}

func drawScenario(t *rapid.T) scenario {
	s := scenario{events: map[int]event{}}
	for range rapid.IntRange(0, 12).Draw(t, "objects") {
		s.objects = append(s.objects, objectKind{
			stale: rapid.Bool().Draw(t, "stale"), unmanaged: rapid.Bool().Draw(t, "unmanaged"),
			undecodable: rapid.IntRange(0, 4).Draw(t, "undecodable") == 0, held: rapid.Bool().Draw(t, "held"),
		})
	}
	errorsLeft := fewRetries
	for range rapid.IntRange(0, 25).Draw(t, "events") {
		e := event{kind: rapid.SampledFrom(eventKinds()).Draw(t, "kind"), key: keyNumber(rapid.IntRange(0, 14).Draw(t, "key"))}
		if e.kind == eventError {
			if errorsLeft--; errorsLeft < 0 {
				continue // More could be too many for one object, which would rightly be reported as failed.
			}
		}
		s.events[rapid.IntRange(1, 50).Draw(t, "before request")] = e
	}
	if rapid.Bool().Draw(t, "kill") {
		s.killAt = rapid.IntRange(2, 30).Draw(t, "kill at request")
	}
	s.opts.PageSize = rapid.Int64Range(1, 5).Draw(t, "page size")
	s.opts.Concurrency = rapid.IntRange(0, 4).Draw(t, "concurrency")
	s.opts.CanaryNamespaces = rapid.SliceOfN(rapid.SampledFrom([]string{"ns", "other", "absent"}), 0, 3).Draw(t, "canaries")
	return s
}

// keyNumber is the name of an object, in one of two namespaces.
func keyNumber(i int) string {
	return fmt.Sprintf("%s/%02d", []string{"ns", "other"}[i%2], i)
}

// truth is what users have written, and what must be in the cluster.
type truth struct {
	uid     types.UID
	data    string
	managed int
	held    int
}

type world struct {
	*fakeAPI
	writes int
	want   map[string]truth
}

func (w *world) remember(key string) {
	o := w.objects[key]
	w.want[key] = truth{uid: o.meta.UID, data: o.data, managed: len(o.meta.ManagedFields), held: len(o.meta.Finalizers)}
}

// happen lets users do something, or the server fail.
func (w *world) happen(e event) *fakeFault {
	w.writes++
	data := fmt.Sprintf("write %d", w.writes)
	_, exists := w.objects[e.key]
	switch e.kind {
	case eventCreate, eventRecreate:
		if exists && e.kind == eventCreate {
			return nil
		}
		w.remove(e.key)
		w.create(e.key, data)
		w.remember(e.key)
	case eventUpdate:
		if exists {
			w.objects[e.key].data = data
			w.store(w.objects[e.key])
			w.remember(e.key)
		}
	case eventDelete:
		w.remove(e.key)
		delete(w.want, e.key)
	case eventCompact:
		w.compact()
	case eventThrottle:
		return &fakeFault{status: statusFor(429, metav1.StatusReasonTooManyRequests, "slow down"), retryAfter: "1"}
	case eventAway:
		return &fakeFault{status: statusFor(503, metav1.StatusReasonServiceUnavailable, "away")}
	case eventError:
		return &fakeFault{status: statusFor(500, metav1.StatusReasonInternalError, "oops")}
	case eventLost:
		return &fakeFault{lost: true}
	}
	return nil
}

func newWorld(objects []objectKind) *world {
	w := &world{fakeAPI: newFakeAPI(), want: map[string]truth{}}
	for i, kind := range objects {
		key := keyNumber(i)
		o := w.createStale(key)
		o.stale, o.undecodable = kind.stale, kind.undecodable
		if kind.unmanaged {
			o.meta.ManagedFields = nil
		}
		if now := metav1.Now(); kind.held {
			o.meta.DeletionTimestamp, o.meta.Finalizers = &now, []string{"example.com/hold"}
		}
		w.remember(key)
	}
	return w
}

// play runs the scenario and returns what was wrong.
func (s scenario) play(t *testing.T) error {
	t.Helper()
	w := newWorld(s.objects)
	client := w.client(t)
	baseline, err := Baseline(t.Context(), client, secrets())
	if err != nil {
		return err
	}
	s.opts.Baseline = baseline
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	w.before = func(r fakeRequest) *fakeFault {
		if r.number == s.killAt {
			kill()
		}
		return w.happen(s.events[r.number])
	}
	report, err := Run(ctx, client, secrets(), s.opts)
	if errors.Is(err, context.Canceled) {
		report, err = Run(t.Context(), client, secrets(), s.opts)
	}
	if err != nil {
		return err
	}
	return w.check(report)
}

func (w *world) check(report Report) error {
	var c complaints
	assert.True(&c, report.Complete, "complete: %+v", report)
	assert.Empty(&c, w.staleKeys(), "stale at the end")
	w.requireHarmless(&c)
	if report.Passes == 1 {
		assert.Equal(&c, report.Listed, answers(report), "every listed object has one answer")
	}
	got := map[string]truth{}
	for key, o := range w.objects {
		managed := len(o.meta.ManagedFields)
		if o.undecodable {
			managed = w.want[key].managed // A merge patch may drop what nobody can decode.
		}
		got[key] = truth{uid: o.meta.UID, data: o.data, managed: managed, held: len(o.meta.Finalizers)}
	}
	assert.Equal(&c, w.want, got, "nothing lost, nothing resurrected")
	return errors.Join(c...)
}

// complaints collects failed assertions.
type complaints []error

// Errorf implements assert.TestingT.
func (c *complaints) Errorf(format string, args ...any) { *c = append(*c, fmt.Errorf(format, args...)) }

func TestRun_whateverOthersDo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScenario(rt)
		var err error
		synctest.Test(t, func(t *testing.T) { err = s.play(t) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}
