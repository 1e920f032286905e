// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package lock_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	clienttesting "k8s.io/client-go/testing"
)

// server keeps the one Lease as kube-apiserver does: it counts resourceVersions, gives uids and holds writes to
// their preconditions, which client-go's fake clientset does not.
type server struct {
	mu      sync.Mutex
	current *coordinationv1.Lease
	counter int
	err     error
	// mute is the verb whose next answer is lost.
	mute string
	fake *fake.Clientset
}

func newServer() *server {
	s := &server{fake: &fake.Clientset{}}
	s.fake.AddReactor("*", "leases", s.react)
	return s
}

func (s *server) client() coordinationclient.LeasesGetter { return s.fake.CoordinationV1() }

func (s *server) react(action clienttesting.Action) (bool, runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return true, nil, s.err
	}
	handled, answer, err := s.do(action)
	if err == nil && s.mute == action.GetVerb() {
		s.mute = ""
		return true, nil, apierrors.NewServiceUnavailable("the answer was lost")
	}
	return handled, answer, err
}

func (s *server) do(action clienttesting.Action) (bool, runtime.Object, error) {
	switch a := action.(type) {
	case clienttesting.CreateActionImpl:
		return s.create(a.Object.(*coordinationv1.Lease))
	case clienttesting.UpdateActionImpl:
		return s.update(a.Object.(*coordinationv1.Lease))
	case clienttesting.DeleteActionImpl:
		return s.delete(a.DeleteOptions.Preconditions)
	case clienttesting.GetActionImpl:
		return s.answer()
	}
	return true, nil, fmt.Errorf("unexpected %s", action.GetVerb())
}

// answer gives a copy of what is stored.
func (s *server) answer() (bool, runtime.Object, error) {
	if s.current == nil {
		return true, nil, apierrors.NewNotFound(resource(), "kubectl-encryption")
	}
	return true, s.current.DeepCopy(), nil
}

func (s *server) create(l *coordinationv1.Lease) (bool, runtime.Object, error) {
	if s.current != nil {
		return true, nil, apierrors.NewAlreadyExists(resource(), l.Name)
	}
	s.store(l)
	return s.answer()
}

func (s *server) update(l *coordinationv1.Lease) (bool, runtime.Object, error) {
	switch {
	case s.current == nil:
		return s.answer()
	case l.ResourceVersion != s.current.ResourceVersion, l.UID != s.current.UID:
		return true, nil, conflict()
	}
	s.store(l)
	return s.answer()
}

func (s *server) delete(p *metav1.Preconditions) (bool, runtime.Object, error) {
	switch {
	case s.current == nil:
		return s.answer()
	case *p.UID != s.current.UID, *p.ResourceVersion != s.current.ResourceVersion:
		return true, nil, conflict()
	}
	s.current = nil
	return true, nil, nil
}

func (s *server) store(l *coordinationv1.Lease) {
	s.counter++
	s.current = l.DeepCopy()
	s.current.ResourceVersion = fmt.Sprint(s.counter)
	if s.current.UID == "" {
		s.current.UID = types.UID(fmt.Sprintf("uid-%d", s.counter))
	}
}

func resource() schema.GroupResource {
	return schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
}

func conflict() error {
	return apierrors.NewConflict(resource(), "kubectl-encryption", errors.New("it was changed"))
}

// put stores a Lease, whatever was there.
func (s *server) put(l *coordinationv1.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store(l)
}

func (s *server) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
}

// fail has every request fail, until it is called with nil.
func (s *server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// loseAnswer has the server do what the next request of a verb asks, and not say so.
func (s *server) loseAnswer(verb string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = verb
}

func (s *server) stored() *coordinationv1.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.DeepCopy()
}

func (s *server) lease(t *testing.T) *coordinationv1.Lease {
	t.Helper()
	l := s.stored()
	require.NotNil(t, l)
	return l
}

// dead is the Lease of a holder that will not renew it.
func dead(holder string) *coordinationv1.Lease {
	at := metav1.NewMicroTime(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: "kubectl-encryption", Namespace: "kube-system"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, AcquireTime: &at, RenewTime: &at},
	}
}

// advance moves the clock of the test's bubble.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
