// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// kind is one of the kinds of objects that are encrypted by default.
type kind struct {
	name     string
	resource schema.GroupVersionResource
}

var (
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"} //nolint:gochecknoglobals // a name
	//nolint:gochecknoglobals // a list of names
	kinds = []kind{
		{"Secret", schema.GroupVersionResource{Version: "v1", Resource: "secrets"}},
		{"ConfigMap", schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}},
	}
)

// version is what a write has made of an object, or was to make of it.
type version struct {
	gone bool
	// uid is empty where it was not told.
	uid types.UID
}

// object is one object with its record. One writer writes to it, all readers look at the record.
type object struct {
	kind            kind
	namespace, name string
	// whole is what an object that nobody writes to has to stay.
	whole *unstructured.Unstructured

	mu sync.Mutex
	// history has a version for each write that was asked for, by its number. acked is the last that was acknowledged.
	history []version
	acked   int
}

func (o *object) String() string { return o.kind.name + " " + o.namespace + "/" + o.name }

func (o *object) acknowledged() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.acked
}

// unsettled tells that the last write got no answer, once no write is under way.
func (o *object) unsettled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.acked < len(o.history)-1
}

// content is the object as a write makes it.
func (o *object) content(number int) *unstructured.Unstructured {
	text := fmt.Sprintf("%s %d %s", o.name, number, strings.Repeat("x", 64)) //nolint:mnd // some bytes
	if o.kind.name == "Secret" {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": o.kind.name, "data": map[string]any{"text": text},
	}}
	u.SetNamespace(o.namespace)
	u.SetName(o.name)
	return u
}

// number is that of the write which has made an object as it is, or -1 if none has.
func (o *object) number(u *unstructured.Unstructured) int {
	text, _, _ := unstructured.NestedString(u.Object, "data", "text")
	if o.kind.name == "Secret" {
		plain, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return -1
		}
		text = string(plain)
	}
	words := strings.Fields(text)
	if len(words) != 3 || words[0] != o.name {
		return -1
	}
	number, err := strconv.Atoi(words[1])
	if err != nil || number < 0 {
		return -1
	}
	return number
}

// write does the next thing to an object: it creates what is gone, and of four times three updates and one deletes what
// is there. An object of rule 2 is not written to.
func (o *object) write(ctx context.Context, in Instance) (verdict, bool) {
	o.mu.Lock()
	number, before := len(o.history), o.history[o.acked]
	if o.acked < number-1 {
		o.mu.Unlock()
		return verdict{}, false
	}
	const turns = 4
	deletes := !before.gone && number%turns == 0
	o.history = append(o.history, version{gone: deletes, uid: before.uid})
	if before.gone {
		o.history[number].uid = ""
	}
	o.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	uid, err := before.uid, error(nil)
	switch {
	case deletes:
		err = in.resource(o).Delete(ctx, o.name, metav1.DeleteOptions{})
	case before.gone:
		uid, err = uidOf(in.resource(o).Create(ctx, o.content(number), metav1.CreateOptions{}))
	default:
		// Without a resourceVersion: whoever rewrites the object meanwhile must not make this one fail.
		uid, err = uidOf(in.resource(o).Update(ctx, o.content(number), metav1.UpdateOptions{}))
	}
	return o.settle(number, uid, err)
}

func uidOf(u *unstructured.Unstructured, err error) (types.UID, error) {
	if err != nil {
		return "", err
	}
	return u.GetUID(), nil
}

// settle puts on record what became of a write. It tells whether it was answered.
func (o *object) settle(number int, uid types.UID, err error) (verdict, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.history[o.acked]
	switch {
	case err == nil && !before.gone && !o.history[number].gone && uid != before.uid:
		o.acked, o.history[number].uid = number, uid
		return verdict{lost, "an update has met another object of that name"}, true
	case err == nil:
		o.acked, o.history[number].uid = number, uid
		return verdict{kind: written}, true
	case before.gone && apierrors.IsAlreadyExists(err):
		return verdict{resurrected, "it is there again: " + err.Error()}, true
	case !before.gone && apierrors.IsNotFound(err):
		return verdict{vanished, "it is not there any more: " + err.Error()}, true
	case isAway(err):
		return verdict{}, false
	}
	return verdict{unreadable, "a write failed: " + err.Error()}, true
}

// isAway is rule 3.
func isAway(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true // no answer
	}
	switch code := status.Status().Code; code {
	case 401, 403, 429, 502, 503, 504:
		return true
	case 500:
		for _, etcd := range []string{"etcdserver: ", "rpc error: ", "context deadline exceeded", "context canceled", "connection refused"} {
			if strings.Contains(status.Status().Message, etcd) {
				return true
			}
		}
	}
	return false
}
