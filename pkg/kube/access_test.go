// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
)

func TestAPermissionReadsAsInARole(t *testing.T) {
	t.Parallel()
	tests := map[string]kube.Permission{
		"list nodes":                            {Verb: "list", Resource: "nodes"},
		"get /metrics":                          {Verb: "get", Path: "/metrics"},
		"patch widgets.example.com":             {Verb: "patch", Group: "example.com", Resource: "widgets"},
		"create jobs.batch in namespace ns":     {Verb: "create", Group: "batch", Resource: "jobs", Namespace: "ns"},
		"create pods/attach in namespace ns":    {Verb: "create", Resource: "pods", Subresource: "attach", Namespace: "ns"},
		"get widgets/scale.apps in namespace n": {Verb: "get", Group: "apps", Resource: "widgets", Subresource: "scale", Namespace: "n"},
	}
	for want, p := range tests {
		assert.Equal(t, want, p.String())
	}
}

// allowing answers each question by a function.
func allowing(allowed func(authorizationv1.SelfSubjectAccessReviewSpec) (bool, error)) *kube.Cluster {
	client := fake.NewClientset()
	client.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
		var err error
		review.Status.Allowed, err = allowed(review.Spec)
		return true, review, err
	})
	return &kube.Cluster{Typed: client}
}

func TestCheckAccessNamesEverythingThatIsMissing(t *testing.T) {
	t.Parallel()
	c := allowing(func(s authorizationv1.SelfSubjectAccessReviewSpec) (bool, error) {
		return s.ResourceAttributes != nil && s.ResourceAttributes.Resource == "nodes", nil
	})
	err := c.CheckAccess(t.Context(), []kube.Permission{
		{Verb: "list", Resource: "nodes"},
		{Verb: "get", Path: "/metrics"},
		{Verb: "create", Group: "batch", Resource: "jobs", Namespace: "kube-system"},
	})
	require.EqualError(t, err, "you may not: get /metrics; create jobs.batch in namespace kube-system")
	assert.Contains(t, hint.Render(err), "state: nothing was changed")
	assert.Contains(t, hint.Render(err), "docs/clusterrole.yaml")
}

func TestCheckAccessAsksForExactlyWhatWillBeDone(t *testing.T) {
	t.Parallel()
	asked := make(chan authorizationv1.SelfSubjectAccessReviewSpec, 2)
	c := allowing(func(s authorizationv1.SelfSubjectAccessReviewSpec) (bool, error) { asked <- s; return true, nil })
	p := kube.Permission{Verb: "create", Group: "g", Resource: "r", Subresource: "s", Namespace: "n"}
	require.NoError(t, c.CheckAccess(t.Context(), []kube.Permission{p}))
	assert.Equal(t, authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Verb: "create", Group: "g", Resource: "r", Subresource: "s", Namespace: "n",
	}}, <-asked)
	require.NoError(t, c.CheckAccess(t.Context(), []kube.Permission{{Verb: "get", Path: "/metrics"}}))
	assert.Equal(t, authorizationv1.SelfSubjectAccessReviewSpec{
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"},
	}, <-asked)
	require.NoError(t, c.CheckAccess(t.Context(), nil))
}

func TestCheckAccessTakesNoAnswerForNo(t *testing.T) {
	t.Parallel()
	c := allowing(func(authorizationv1.SelfSubjectAccessReviewSpec) (bool, error) { return true, errors.New("503") })
	err := c.CheckAccess(t.Context(), []kube.Permission{{Verb: "list", Resource: "nodes"}})
	assert.EqualError(t, err, "ask whether you may list nodes: 503")
}

func TestCheckAccessOutlastsAHiccup(t *testing.T) {
	t.Parallel()
	for name, passing := range map[string]error{
		"too many requests":       apierrors.NewTooManyRequests("later", 0),
		"a connection that broke": io.ErrUnexpectedEOF,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				c := allowing(func(authorizationv1.SelfSubjectAccessReviewSpec) (bool, error) {
					if asked++; asked < 3 {
						return false, passing
					}
					return true, nil
				})
				require.NoError(t, c.CheckAccess(t.Context(), []kube.Permission{{Verb: "list", Resource: "nodes"}}))
				assert.Equal(t, 3, asked)
			})
		})
	}
}

func TestCheckAccessDoesNotKeepAPersonWaiting(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err    error
		at     time.Duration
		repeat bool
	}{
		"nobody listens":                     {syscall.ECONNREFUSED, 0, false},
		"the server does not answer for now": {apierrors.NewServiceUnavailable("away"), 10 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began, asked := time.Now(), 0
				c := allowing(func(authorizationv1.SelfSubjectAccessReviewSpec) (bool, error) { asked++; return false, row.err })
				err := c.CheckAccess(t.Context(), []kube.Permission{{Verb: "list", Resource: "nodes"}})
				require.ErrorIs(t, err, row.err)
				assert.Equal(t, row.at, time.Since(began))
				assert.Equal(t, row.repeat, asked > 1)
			})
		})
	}
}
