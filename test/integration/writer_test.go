// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// names is the number of objects of one resource that a writer has at most.
const names = 24

// writer changes objects of its own, as fast as it can, and keeps record of what the server has acknowledged.
type writer struct {
	resource  migrate.Resource
	namespace string
	// clients are those of all kube-apiservers. The writer uses the first, and the next one when that does not answer.
	clients []dynamic.ResourceInterface
	// record by name: what there must be, nil where the object is deleted.
	record map[string]*acknowledged
	// unsettled by name: a write of it got no answer, so that it may have been done or not. It is not written to again.
	unsettled map[string]unsettled
	// made are the uids of all objects that the writer was told to have made.
	made map[types.UID]bool
	// creates, updates and deletes that were acknowledged are counted.
	creates, updates, deletes int
	random                    *rand.Rand
}

type acknowledged struct {
	uid  types.UID
	text string
}

// unsettled is what there may be: the one or the other, nil for no object. The uid of what may have been made is not known.
type unsettled struct{ before, after *acknowledged }

// errUnanswered: no kube-apiserver said what became of a write.
var errUnanswered = errors.New("no answer")

// step does one thing to one of the objects.
func (w *writer) step(ctx context.Context, number int) error {
	name := fmt.Sprintf("w-%d", w.random.IntN(names))
	if _, ok := w.unsettled[name]; ok {
		return nil
	}
	known, text := w.record[name], fmt.Sprintf("write %d", number)
	after := &acknowledged{text: text}
	var err error
	switch dice := w.random.IntN(10); {
	case known == nil:
		err = w.create(ctx, name, text)
	case dice < 1:
		after = nil
		err = w.delete(ctx, name, known)
	case dice < 3:
		err = w.recreate(ctx, name, text, known)
	case dice < 5:
		after.uid = known.uid
		err = w.patch(ctx, name, text, known)
	default:
		after.uid = known.uid
		err = w.update(ctx, name, text, known)
	}
	if errors.Is(err, errUnanswered) {
		w.unsettled[name] = unsettled{w.record[name], after} // a recreation may have got as far as the deletion
		w.clients = append(w.clients[1:], w.clients[0])
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s %s/%s: %w", w.resource, w.namespace, name, err)
	}
	return nil
}

func (w *writer) create(ctx context.Context, name, text string) error {
	o, err := w.clients[0].Create(ctx, newObject(w.resource, w.namespace, name, text), metav1.CreateOptions{})
	if err != nil {
		return failed("create what was deleted", err)
	}
	w.record[name] = &acknowledged{o.GetUID(), text}
	w.made[o.GetUID()] = true
	w.creates++
	return nil
}

func (w *writer) delete(ctx context.Context, name string, known *acknowledged) error {
	err := w.clients[0].Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &known.uid}})
	if err != nil {
		return failed("delete", err)
	}
	w.record[name] = nil
	w.deletes++
	return nil
}

// recreate deletes an object and makes another one of its name at once.
func (w *writer) recreate(ctx context.Context, name, text string, known *acknowledged) error {
	if err := w.delete(ctx, name, known); err != nil {
		return err
	}
	return w.create(ctx, name, text)
}

func (w *writer) patch(ctx context.Context, name, text string, known *acknowledged) error {
	body, err := newObject(w.resource, w.namespace, name, text).MarshalJSON()
	if err != nil {
		return err
	}
	if _, err := w.clients[0].Patch(ctx, name, types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		return failed("patch", err)
	}
	w.record[name] = &acknowledged{known.uid, text}
	w.updates++
	return nil
}

// update reads the object, compares it with the record, and writes it back changed. A migration between the two may
// have given the object a new resourceVersion, so that it is read again.
func (w *writer) update(ctx context.Context, name, text string, known *acknowledged) error {
	for {
		o, err := w.clients[0].Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return failed("get", err)
		}
		if have := textOf(o); have != known.text || o.GetUID() != known.uid {
			return fmt.Errorf("lost update: it says %q (uid %s), acknowledged was %q (uid %s)", have, o.GetUID(), known.text, known.uid)
		}
		setText(o, text)
		_, err = w.clients[0].Update(ctx, o, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			return failed("update", err)
		}
		w.record[name] = &acknowledged{known.uid, text}
		w.updates++
		return nil
	}
}

// failed is what a write has come to. A kube-apiserver that comes or goes may answer 401, 403, 429 or 5xx for a while, or
// not at all: of those a writer can't tell what became of its write.
func failed(what string, err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		switch code := status.Status().Code; {
		case code == 401, code == 403, code == 429, code >= 500:
		default:
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return fmt.Errorf("%s: %w: %w", what, errUnanswered, err)
}
