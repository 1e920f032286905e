// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package witness watches over the objects of a cluster while something goes wrong there: readers ask every
// kube-apiserver for every object, over and over, writers change some of them and keep a record, and at the end all
// of them are compared with the record.
//
// Rules of the package:
//
//  1. Each write has a number, which is in the value. What a read may show is the last write that was acknowledged before it
//     began, or any that was asked for since.
//  2. A write that got no answer may have been done or not, at any time. Its object is not written to again, and
//     either is right for it.
//  3. A kube-apiserver that does not serve (no connection, 401, 403, 429, 502 to 504, and 500 about its own way to etcd) proves
//     nothing and is counted apart. Any other failure to show an object is an unreadable moment: unknown is bad.
//  4. Some objects are never written to. Of those everything but the resourceVersion has to stay as it was.
//  5. Whoever reads the counts asks for a minimum of work: a witness that slept has seen nothing.
package witness

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// Instance is one kube-apiserver.
type Instance struct {
	Name   string
	Client dynamic.Interface
}

// Counts are what a witness has seen.
type Counts struct {
	// Reads and Writes were answered. Away were not, because the kube-apiserver did not serve; Unsettled are objects whose
	// last write got no answer.
	Reads, Writes, Away, Unsettled int
	// Unreadable are moments in which a kube-apiserver that served could not show an object as it was.
	Unreadable int
	// Lost are updates that were acknowledged and are gone, and objects that were altered otherwise; Vanished are objects that are
	// gone without a deletion, Resurrected those that are back after one.
	Lost, Vanished, Resurrected int
	// Details say what was wrong, one line each.
	Details []string
}

// Wrong is how much of what must never happen has happened.
func (c Counts) Wrong() int { return c.Unreadable + c.Lost + c.Vanished + c.Resurrected }

// The pace of the work: enough to meet short moments, little enough that a cluster on the same processors can work.
const (
	betweenSweeps = 250 * time.Millisecond
	betweenWrites = 25 * time.Millisecond
	// patience bounds one request.
	patience = 15 * time.Second
	// comeback is how long a kube-apiserver may be away when everything is compared at the end.
	comeback = 2 * time.Minute
)

// Witness is at work from Start to End.
type Witness struct {
	instances []Instance
	written   []*object
	still     []*object
	cancel    context.CancelFunc
	wg        sync.WaitGroup

	mu     sync.Mutex
	counts Counts
	// sweeps by instance.
	sweeps map[string]int
}

// Objects says how many objects a witness has, of each kind: those that stay as they are, and those that are written to.
type Objects struct{ Still, Written int }

// Start makes objects in a namespace, which it makes too, and begins to read and to write.
func Start(ctx context.Context, namespace string, n Objects, instances ...Instance) (*Witness, error) {
	w := &Witness{instances: instances, sweeps: map[string]int{}}
	if err := w.makeNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	for _, k := range kinds {
		for i := range n.Still {
			o := &object{kind: k, namespace: namespace, name: fmt.Sprintf("still-%02d", i)}
			if err := w.makeStill(ctx, o); err != nil {
				return nil, err
			}
			w.still = append(w.still, o)
		}
		for i := range n.Written {
			w.written = append(w.written, &object{
				kind: k, namespace: namespace, name: fmt.Sprintf("written-%02d", i), history: []version{{gone: true}},
			})
		}
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.cancel = cancel
	for i, in := range instances {
		w.wg.Go(func() { w.readAlways(work, in) })
		w.wg.Go(func() { w.writeAlways(work, in, w.share(i)) })
	}
	return w, nil
}

// share are the objects that the writer through one instance has to itself.
func (w *Witness) share(i int) (own []*object) {
	for j, o := range w.written {
		if j%len(w.instances) == i {
			own = append(own, o)
		}
	}
	return own
}

func (w *Witness) makeNamespace(ctx context.Context, name string) error {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	o.SetName(name)
	_, err := w.instances[0].Client.Resource(namespaces).Create(ctx, o, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("make namespace %s: %w", name, err)
	}
	return nil
}

func (w *Witness) makeStill(ctx context.Context, o *object) error {
	o.history = []version{{}}
	made := o.content(0)
	made.SetLabels(map[string]string{"app": "witness", "name": o.name})
	made.SetAnnotations(map[string]string{"said": "nobody touches this"})
	made, err := w.instances[0].resource(o).Create(ctx, made, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("make %s: %w", o, err)
	}
	o.history[0].uid, o.whole = made.GetUID(), made
	return nil
}

func (in Instance) resource(o *object) dynamic.ResourceInterface {
	return in.Client.Resource(o.kind.resource).Namespace(o.namespace)
}

// readAlways reads every object through one instance until the context ends.
func (w *Witness) readAlways(ctx context.Context, in Instance) {
	for ctx.Err() == nil {
		for _, o := range append(append([]*object{}, w.still...), w.written...) {
			if ctx.Err() != nil {
				return
			}
			w.read(ctx, in, o)
		}
		w.mu.Lock()
		w.sweeps[in.Name]++
		w.mu.Unlock()
		pause(ctx, betweenSweeps)
	}
}

// read reads one object and judges what it is shown. It is false if nobody served. A get without a resourceVersion is answered
// from etcd, not from the watch cache (k8s.io/apiserver@v0.37.2 pkg/storage/cacher/delegator.go): the value is decrypted.
func (w *Witness) read(ctx context.Context, in Instance, o *object) bool {
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	from := o.acknowledged()
	seen, err := in.resource(o).Get(short, o.name, metav1.GetOptions{})
	if ctx.Err() != nil {
		return false
	}
	v := o.judge(from, seen, err)
	w.note(in, o, v)
	return v.kind != away
}

// writeAlways writes to objects of its own through one instance until the context ends. What it has begun it finishes.
func (w *Witness) writeAlways(ctx context.Context, in Instance, own []*object) {
	for ctx.Err() == nil && len(own) > 0 {
		o := own[rand.IntN(len(own))] //nolint:gosec // which object comes next is no secret
		if v, wrote := o.write(context.WithoutCancel(ctx), in); wrote {
			w.mu.Lock()
			w.counts.Writes++
			w.mu.Unlock()
			w.note(in, o, v)
		}
		pause(ctx, betweenWrites)
	}
}

func (w *Witness) note(in Instance, o *object, v verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch v.kind {
	case fine:
		w.counts.Reads++
		return
	case written:
		return
	case away:
		w.counts.Away++
		return
	case unreadable:
		w.counts.Unreadable++
	case lost:
		w.counts.Lost++
	case vanished:
		w.counts.Vanished++
	case resurrected:
		w.counts.Resurrected++
	}
	const enough = 10
	if len(w.counts.Details) < enough {
		w.counts.Details = append(w.counts.Details, fmt.Sprintf("%s %s through %s: %s", time.Now().Format(time.TimeOnly), o, in.Name, v.text))
	}
}

// End ends readers and writers and compares every object with the record, through every instance. The error says that
// this could not be done: some instance did not come back, or was never read from.
func (w *Witness) End(ctx context.Context) (Counts, error) {
	w.cancel()
	w.wg.Wait()
	ctx, cancel := context.WithTimeout(ctx, comeback)
	defer cancel()
	for _, in := range w.instances {
		if w.sweeps[in.Name] == 0 {
			return w.counts, fmt.Errorf("%s was never read from to the end", in.Name)
		}
		for _, o := range append(append([]*object{}, w.still...), w.written...) {
			for !w.read(ctx, in, o) {
				if ctx.Err() != nil {
					return w.counts, fmt.Errorf("%s does not show %s: %w", in.Name, o, ctx.Err())
				}
				pause(ctx, betweenSweeps)
			}
		}
	}
	for _, o := range w.written {
		if o.unsettled() {
			w.counts.Unsettled++
		}
	}
	return w.counts, nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
