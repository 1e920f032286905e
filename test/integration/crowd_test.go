// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// startWriters begins to write to each resource through each kube-apiserver, as a user named after the prefix, and
// returns how to end that.
func startWriters(t *testing.T, prefix string, resources ...migrate.Resource) (stop func() []*writer) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all []*writer
	var wg sync.WaitGroup
	for i := range bare.APIServers {
		own := namespace(t, fmt.Sprintf("%s-%d", prefix, i))
		clients := writerOf(prefix).everywhere(t, i)
		var writers []*writer
		for j, r := range resources {
			w := &writer{
				resource: r, namespace: own, record: map[string]*acknowledged{}, unsettled: map[string]unsettled{},
				made: map[types.UID]bool{}, random: rand.New(rand.NewPCG(uint64(i), uint64(j))),
			}
			for _, client := range clients {
				w.clients = append(w.clients, client.Resource(r.GVR).Namespace(own))
			}
			writers = append(writers, w)
		}
		all = append(all, writers...)
		wg.Go(func() { takeTurns(ctx, t, writers) })
	}
	end := func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(end)
	return func() []*writer {
		end()
		return all
	}
}

func writerOf(prefix string) user { return user("integration:" + prefix) }

// everywhere are the user's clients of all kube-apiservers, beginning with one.
func (u user) everywhere(t *testing.T, first int) []dynamic.Interface {
	t.Helper()
	var list []dynamic.Interface
	for i := range bare.APIServers {
		list = append(list, u.objects(t, bare.APIServers[(first+i)%len(bare.APIServers)]))
	}
	return list
}

// takeTurns has writers write in turn until the context ends; what one has begun it finishes.
func takeTurns(ctx context.Context, t *testing.T, writers []*writer) {
	t.Helper()
	for i := 0; ctx.Err() == nil; i++ {
		if !assert.NoError(t, writers[i%len(writers)].step(context.WithoutCancel(ctx), i)) {
			return
		}
	}
}

// requireRecords holds what there is against what writers have on record: objects, their contents, and that nobody else made
// any. Of what they were not told, either state is right.
func requireRecords(t *testing.T, prefix string, writers []*writer) {
	t.Helper()
	creates, unsettled := 0, 0
	for _, w := range writers {
		w.requireRecord(t)
		creates, unsettled = creates+w.creates, unsettled+len(w.unsettled)
	}
	made := len(created(bare.audited(t, writerOf(prefix))))
	assert.GreaterOrEqual(t, made, creates, "objects made, by the audit logs and by the writers")
	assert.LessOrEqual(t, made, creates+unsettled, "objects made, by the audit logs and by the writers")
}

func (w *writer) requireRecord(t *testing.T) {
	t.Helper()
	list, err := w.clients[0].List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	have, want := map[string]acknowledged{}, map[string]acknowledged{}
	for i := range list.Items {
		o := &list.Items[i]
		if o.GetName() != "kube-root-ca.crt" {
			have[o.GetName()] = acknowledged{o.GetUID(), textOf(o)}
		}
	}
	for name, a := range w.record {
		if _, ok := w.unsettled[name]; a != nil && !ok {
			want[name] = *a
		}
	}
	for name, either := range w.unsettled {
		there, ok := have[name]
		delete(have, name)
		assert.True(t, matches(either.before, there, ok) || matches(either.after, there, ok),
			"%s %s/%s is neither as it was before a write that was not answered nor as it is after it", w.resource, w.namespace, name)
	}
	assert.Equal(t, want, have, "%s in %s", w.resource, w.namespace)
	for name, a := range have {
		assert.True(t, w.made[a.uid], "%s %s was made by somebody else", w.resource, name)
	}
}

// matches tells whether an object is what it may be. The uid of an object whose creation was not acknowledged is any.
func matches(may *acknowledged, have acknowledged, there bool) bool {
	if may == nil || !there {
		return may == nil && !there
	}
	return have.text == may.text && (may.uid == "" || have.uid == may.uid)
}
