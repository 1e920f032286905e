// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
)

func internal(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Code: 500, Reason: metav1.StatusReasonInternalError, Message: message}}
}

func status(code int32) error { return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code}} }

func notFound() error { return apierrors.NewNotFound(schema.GroupResource{}, "x") }

func TestARead(t *testing.T) {
	// Write 1 made it, 2 changed it, 3 deleted it, 4 made it again, 5 changed it.
	history := []version{{gone: true}, {uid: "a"}, {uid: "a"}, {gone: true}, {uid: "b"}, {uid: "b"}}
	o := func(upTo int) *object {
		return &object{kind: kinds[0], namespace: "ns", name: "x", history: history[:upTo+1], acked: upTo}
	}
	shown := func(number int, uid types.UID) *unstructured.Unstructured {
		u := o(0).content(number)
		u.SetUID(uid)
		return u
	}
	for name, row := range map[string]struct {
		// from is the write that was acknowledged before the read began, asked the last that was asked for when it ended.
		from, asked int
		shown       *unstructured.Unstructured
		err         error
		want        verdictKind
	}{
		"the last write":                              {from: 2, asked: 2, shown: shown(2, "a"), want: fine},
		"a write that is under way":                   {from: 1, asked: 2, shown: shown(2, "a"), want: fine},
		"not yet a write that is under way":           {from: 1, asked: 2, shown: shown(1, "a"), want: fine},
		"an earlier write":                            {from: 2, asked: 2, shown: shown(1, "a"), want: lost},
		"a write that nobody asked for":               {from: 1, asked: 1, shown: shown(2, "a"), want: lost},
		"gone, and it was deleted":                    {from: 3, asked: 3, err: notFound(), want: fine},
		"gone, and it is being deleted":               {from: 2, asked: 3, err: notFound(), want: fine},
		"still there, and it is being deleted":        {from: 2, asked: 3, shown: shown(2, "a"), want: fine},
		"gone, and nobody deleted it":                 {from: 2, asked: 2, err: notFound(), want: vanished},
		"there, and it was deleted":                   {from: 3, asked: 3, shown: shown(2, "a"), want: resurrected},
		"another object of the name":                  {from: 5, asked: 5, shown: shown(5, "a"), want: lost},
		"an object that nobody wrote":                 {from: 2, asked: 2, shown: &unstructured.Unstructured{Object: map[string]any{}}, want: unreadable},
		"no answer":                                   {from: 2, asked: 2, err: errors.New("EOF"), want: away},
		"an answer that it does not serve":            {from: 2, asked: 2, err: status(503), want: away},
		"an answer that etcd does not serve":          {from: 2, asked: 2, err: internal("etcdserver: request timed out"), want: away},
		"an answer that it can't be decrypted":        {from: 2, asked: 2, err: internal("no matching prefix found"), want: unreadable},
		"an answer that it can't be decrypted either": {from: 2, asked: 2, err: internal("cipher: message authentication failed"), want: unreadable},
		"an answer that is about something else":      {from: 2, asked: 2, err: status(400), want: unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, row.want, o(row.asked).judge(row.from, row.shown, row.err).kind)
		})
	}
}

func TestAnObjectThatNobodyWritesToStaysAsItIs(t *testing.T) {
	o := &object{kind: kinds[1], namespace: "ns", name: "still", history: []version{{}}}
	o.whole = o.content(0)
	o.whole.SetResourceVersion("1")
	for name, row := range map[string]struct {
		change func(*unstructured.Unstructured)
		want   verdictKind
	}{
		"stored again":   {func(u *unstructured.Unstructured) { u.SetResourceVersion("2") }, fine},
		"a label more":   {func(u *unstructured.Unstructured) { u.SetLabels(map[string]string{"a": "b"}) }, lost},
		"a manager more": {func(u *unstructured.Unstructured) { u.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "m"}}) }, lost},
	} {
		t.Run(name, func(t *testing.T) {
			seen := o.content(0)
			row.change(seen)
			assert.Equal(t, row.want, o.judge(0, seen, nil).kind)
		})
	}
}

// cluster is a server with some objects, and what becomes of requests there.
func cluster(t *testing.T, react ...func(clienttesting.Action) (bool, runtime.Object, error)) Instance {
	t.Helper()
	client := fake.NewSimpleDynamicClient(runtime.NewScheme())
	var uids atomic.Int64
	client.PrependReactor("create", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if create, ok := action.(clienttesting.CreateAction); ok {
			if u, ok := create.GetObject().(*unstructured.Unstructured); ok {
				u.SetUID(types.UID(fmt.Sprint(uids.Add(1))))
			}
		}
		return false, nil, nil
	})
	client.PrependReactor("update", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if update, ok := action.(clienttesting.UpdateAction); ok {
			keepUID(t, client.Tracker(), update)
		}
		return false, nil, nil
	})
	for _, r := range react {
		client.PrependReactor("*", "*", r)
	}
	return Instance{Name: "one", Client: client}
}

// keepUID has an update keep the object's uid, as servers do.
func keepUID(t *testing.T, tracker clienttesting.ObjectTracker, update clienttesting.UpdateAction) {
	t.Helper()
	u, ok := update.GetObject().(*unstructured.Unstructured)
	require.True(t, ok)
	before, err := tracker.Get(update.GetResource(), update.GetNamespace(), u.GetName())
	if apierrors.IsNotFound(err) {
		return
	}
	require.NoError(t, err)
	old, ok := before.(*unstructured.Unstructured)
	require.True(t, ok)
	u.SetUID(old.GetUID())
}

// witnessed runs a witness for a minute, with something happening in between, and gives what it has counted.
func witnessed(t *testing.T, in Instance, meanwhile func(t *testing.T)) Counts {
	t.Helper()
	w, err := Start(t.Context(), "witness", Objects{Still: 2, Written: 3}, in)
	require.NoError(t, err)
	time.Sleep(30 * time.Second) //nolint:forbidigo // in a bubble
	if meanwhile != nil {
		meanwhile(t)
	}
	time.Sleep(30 * time.Second) //nolint:forbidigo // in a bubble
	counts, err := w.End(t.Context())
	require.NoError(t, err)
	return counts
}

func TestAWitnessOfNothingWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := witnessed(t, cluster(t), nil)
		assert.Zero(t, c.Wrong(), c.Details)
		assert.Greater(t, c.Reads, 100)
		assert.Greater(t, c.Writes, 100)
		assert.Zero(t, c.Away+c.Unsettled)
	})
}

func TestAWitnessSees(t *testing.T) {
	still := kinds[0].resource
	for name, row := range map[string]struct {
		do   func(t *testing.T, in Instance)
		want func(Counts) int
	}{
		"an object that is deleted by somebody else": {
			func(t *testing.T, in Instance) {
				t.Helper()
				require.NoError(t, in.Client.Resource(still).Namespace("witness").Delete(t.Context(), "still-00", metav1.DeleteOptions{}))
			}, func(c Counts) int { return c.Vanished },
		},
		"an object that is altered by somebody else": {
			func(t *testing.T, in Instance) {
				t.Helper()
				o, err := in.Client.Resource(still).Namespace("witness").Get(t.Context(), "still-00", metav1.GetOptions{})
				require.NoError(t, err)
				o.SetLabels(nil)
				_, err = in.Client.Resource(still).Namespace("witness").Update(t.Context(), o, metav1.UpdateOptions{})
				require.NoError(t, err)
			}, func(c Counts) int { return c.Lost },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := cluster(t)
				c := witnessed(t, in, func(t *testing.T) { t.Helper(); row.do(t, in) })
				assert.Positive(t, row.want(c))
				assert.NotEmpty(t, c.Details)
			})
		})
	}
}

func TestAWriteThatGetsNoAnswerIsRightEitherWay(t *testing.T) {
	for name, done := range map[string]bool{"it was done": true, "it was not done": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var once atomic.Bool
				var in Instance
				in = cluster(t, func(action clienttesting.Action) (bool, runtime.Object, error) {
					update, ok := action.(clienttesting.UpdateAction)
					if !ok || update.GetVerb() != "update" || !once.CompareAndSwap(false, true) {
						return false, nil, nil
					}
					if done {
						tracker := in.Client.(*fake.FakeDynamicClient).Tracker()
						keepUID(t, tracker, update)
						require.NoError(t, tracker.Update(update.GetResource(), update.GetObject(), update.GetNamespace()))
					}
					return true, nil, errors.New("EOF")
				})
				c := witnessed(t, in, nil)
				assert.Zero(t, c.Wrong(), c.Details)
				assert.Equal(t, 1, c.Unsettled)
			})
		})
	}
}

func TestAServerThatIsAwayIsWaitedForAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := time.Now().Add(50 * time.Second)
		in := cluster(t, func(clienttesting.Action) (bool, runtime.Object, error) {
			gone := time.Now().After(from) && time.Now().Before(from.Add(time.Minute))
			return gone, nil, status(503)
		})
		c := witnessed(t, in, nil)
		assert.Zero(t, c.Wrong(), c.Details)
		assert.Positive(t, c.Away)
	})
}

func TestAServerThatStaysAwayIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w, err := Start(t.Context(), "witness", Objects{Still: 1}, cluster(t, func(clienttesting.Action) (bool, runtime.Object, error) {
			return time.Since(began) > time.Second, nil, status(503)
		}))
		require.NoError(t, err)
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
		_, err = w.End(t.Context())
		require.ErrorContains(t, err, "one does not show Secret witness/still-00")
	})
}
