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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// writer changes objects of its own, as fast as it can, and keeps record of what the server has acknowledged.
type writer struct {
	resource  migrate.Resource
	namespace string
	client    dynamic.ResourceInterface
	// record by name: what there must be, nil where the object is deleted.
	record map[string]*acknowledged
	// made are the uids of all objects that the writer ever made.
	made map[types.UID]bool
	// creates, updates and deletes are counted.
	creates, updates, deletes int
	random                    *rand.Rand
}

type acknowledged struct {
	uid  types.UID
	text string
}

// write has writers take turns until the context ends; what one has begun it finishes.
func write(ctx context.Context, t *testing.T, writers []*writer) {
	t.Helper()
	const names = 12
	for i := 0; ctx.Err() == nil; i++ {
		w := writers[i%len(writers)]
		name := fmt.Sprintf("w-%d", w.random.IntN(names))
		text := fmt.Sprintf("write %d", i)
		if !w.step(context.WithoutCancel(ctx), t, name, text) {
			return
		}
	}
}

// step does one thing to an object. It is false where something was wrong.
func (w *writer) step(ctx context.Context, t *testing.T, name, text string) bool {
	known := w.record[name]
	var err error
	switch dice := w.random.IntN(10); {
	case known == nil:
		err = w.create(ctx, name, text)
	case dice < 2:
		err = w.delete(ctx, name, known)
	case dice < 4:
		err = w.patch(ctx, name, text, known)
	default:
		err = w.update(ctx, name, text, known)
	}
	return assert.NoError(t, err, "%s %s", w.resource, name)
}

func (w *writer) create(ctx context.Context, name, text string) error {
	o, err := w.client.Create(ctx, newObject(w.resource, w.namespace, name, text), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create what was deleted: %w", err)
	}
	w.record[name] = &acknowledged{o.GetUID(), text}
	w.made[o.GetUID()] = true
	w.creates++
	return nil
}

func (w *writer) delete(ctx context.Context, name string, known *acknowledged) error {
	err := w.client.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &known.uid}})
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	w.record[name] = nil
	w.deletes++
	return nil
}

func (w *writer) patch(ctx context.Context, name, text string, known *acknowledged) error {
	body, err := newObject(w.resource, w.namespace, name, text).MarshalJSON()
	if err != nil {
		return err
	}
	if _, err := w.client.Patch(ctx, name, types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("patch: %w", err)
	}
	known.text = text
	w.updates++
	return nil
}

// update reads the object, compares it with the record, and writes it back changed. A migration between the two may
// have given the object a new resourceVersion, so that it is read again.
func (w *writer) update(ctx context.Context, name, text string, known *acknowledged) error {
	for {
		o, err := w.client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("get: %w", err)
		}
		if have := textOf(o); have != known.text || o.GetUID() != known.uid {
			return fmt.Errorf("lost update: it says %q (uid %s), acknowledged was %q (uid %s)", have, o.GetUID(), known.text, known.uid)
		}
		setText(o, text)
		_, err = w.client.Update(ctx, o, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("update: %w", err)
		}
		known.text = text
		w.updates++
		return nil
	}
}

// startWriters begins to write to each resource through each kube-apiserver, and returns how to end that.
func startWriters(t *testing.T, prefix string, resources ...migrate.Resource) (stop func() []*writer) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all []*writer
	var wg sync.WaitGroup
	for i, in := range bare.APIServers {
		own := namespace(t, fmt.Sprintf("%s-%d", prefix, i))
		var writers []*writer
		for j, r := range resources {
			writers = append(writers, &writer{
				resource: r, namespace: own, client: in.of(r, own), record: map[string]*acknowledged{},
				made: map[types.UID]bool{}, random: rand.New(rand.NewPCG(uint64(i), uint64(j))),
			})
		}
		all = append(all, writers...)
		wg.Go(func() { write(ctx, t, writers) })
	}
	return func() []*writer {
		cancel()
		wg.Wait()
		return all
	}
}

// requireRecord holds what there is against what the writer has on record.
func (w *writer) requireRecord(t *testing.T) {
	t.Helper()
	list, err := w.client.List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	have := map[string]acknowledged{}
	for i := range list.Items {
		o := &list.Items[i]
		if o.GetName() == "kube-root-ca.crt" {
			continue
		}
		have[o.GetName()] = acknowledged{o.GetUID(), textOf(o)}
		assert.True(t, w.made[o.GetUID()], "%s %s was made by somebody else", w.resource, o.GetName())
	}
	want := map[string]acknowledged{}
	for name, a := range w.record {
		if a != nil {
			want[name] = *a
		}
	}
	assert.Equal(t, want, have, "%s in %s", w.resource, w.namespace)
}
