// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

const writersNamespace = "e2e-writers"

// acknowledged is what a server has last confirmed of an object. One that is gone has no UID.
type acknowledged struct {
	uid   types.UID
	value string
}

// writer changes Secrets that nobody else changes, as fast as it can, and keeps book of what was confirmed.
type writer struct {
	secrets corev1client.SecretInterface
	names   []string
	book    map[string]acknowledged
	random  *rand.Rand
	writes  int
	err     error
}

// writeAlways starts writers, each through another kube-apiserver. The function that it returns ends them and requires
// that every object is as its writer's book has it.
func (c *cluster) writeAlways(t *testing.T) (end func()) {
	t.Helper()
	c.createNamespace(t, writersNamespace)
	const writers, objects = 3, 12
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var all []*writer
	for i := range writers {
		w := &writer{
			secrets: c.nodes[i%len(c.nodes)].client.CoreV1().Secrets(writersNamespace),
			book:    map[string]acknowledged{}, random: rand.New(rand.NewPCG(1, uint64(i))),
		}
		for j := range objects {
			w.names = append(w.names, fmt.Sprintf("writer-%d-%02d", i, j))
		}
		require.NoError(t, w.clear(t.Context()))
		all = append(all, w)
		wg.Go(func() { w.err = w.work(ctx) })
	}
	return func() {
		t.Helper()
		cancel()
		wg.Wait()
		for i, w := range all {
			t.Logf("writer %d: %d writes", i, w.writes)
			require.NoError(t, w.err)
			require.Positive(t, w.writes)
		}
		c.checkBooks(t, all)
	}
}

// clear removes what an earlier test left.
func (w *writer) clear(ctx context.Context) error {
	for _, name := range w.names {
		if err := w.secrets.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// work writes until the context ends. A write that has begun is brought to its end, so that its outcome is known.
func (w *writer) work(ctx context.Context) error {
	for ctx.Err() == nil {
		name := w.names[w.random.IntN(len(w.names))]
		if err := w.write(context.WithoutCancel(ctx), name); err != nil {
			return fmt.Errorf("write %d, of %s: %w", w.writes, name, err)
		}
		w.writes++
	}
	return nil
}

func (w *writer) write(ctx context.Context, name string) error {
	const outOf, deletions = 10, 3
	switch {
	case w.book[name].uid == "":
		return w.create(ctx, name)
	case w.random.IntN(outOf) < deletions:
		err := w.secrets.Delete(ctx, name, metav1.DeleteOptions{})
		if err == nil {
			w.book[name] = acknowledged{}
		}
		return err
	}
	// Without a resourceVersion: whoever rewrites the object meanwhile must not make this one fail.
	updated, err := w.secrets.Update(ctx, w.secret(name), metav1.UpdateOptions{})
	return w.note(updated, err)
}

func (w *writer) create(ctx context.Context, name string) error {
	created, err := w.secrets.Create(ctx, w.secret(name), metav1.CreateOptions{})
	return w.note(created, err)
}

func (w *writer) secret(name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Data:       map[string][]byte{"value": fmt.Appendf(nil, "write %d of %s", w.writes, name)},
	}
}

func (w *writer) note(s *corev1.Secret, err error) error {
	if err == nil {
		w.book[s.Name] = acknowledged{uid: s.UID, value: string(s.Data["value"])}
	}
	return err
}

// checkBooks compares what is stored with the writers' books, through each kube-apiserver.
func (c *cluster) checkBooks(t *testing.T, writers []*writer) {
	t.Helper()
	for _, n := range c.nodes {
		for _, w := range writers {
			for _, name := range w.names {
				found, err := n.client.CoreV1().Secrets(writersNamespace).Get(t.Context(), name, metav1.GetOptions{})
				want := w.book[name]
				if want.uid == "" {
					assert.True(t, apierrors.IsNotFound(err), "%s was deleted; through %s: %v", name, n.name, err)
					continue
				}
				require.NoError(t, err, "%s through %s", name, n.name)
				assert.Equal(t, want, acknowledged{uid: found.UID, value: string(found.Data["value"])}, "%s through %s", name, n.name)
			}
		}
	}
}
