// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
)

func TestWhoMaySendManyRequests(t *testing.T) {
	t.Parallel()
	reviews := schema.GroupResource{Group: "authentication.k8s.io", Resource: "selfsubjectreviews"}
	tests := map[string]struct {
		user    string
		err     error
		message string // empty for whom it may
	}{
		"a user":            {user: "kubernetes-admin"},
		"a service account": {user: "system:serviceaccount:ops:rotator"},
		"a service account of a namespace like it": {user: "system:serviceaccount:kube-system-2:rotator"},
		"a service account of kube-system": {
			user: "system:serviceaccount:kube-system:rotator",
			message: "you are system:serviceaccount:kube-system:rotator: a migration by a service account of kube-system " +
				"would compete with the cluster's own controllers",
		},
		"a server before 1.28":          {err: apierrors.NewNotFound(reviews, "")},
		"a user who may not ask":        {err: apierrors.NewForbidden(reviews, "", errors.New("no"))},
		"a server that does not answer": {err: errors.New("connection refused"), message: "ask the API server who you are: connection refused"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := fake.NewClientset()
			client.PrependReactor("create", "selfsubjectreviews", func(kubetesting.Action) (bool, runtime.Object, error) {
				return true, &authenticationv1.SelfSubjectReview{
					Status: authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: tt.user}},
				}, tt.err
			})
			err := (&kube.Cluster{Typed: client}).CheckBulk(t.Context())
			if tt.message == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, tt.message)
		})
	}
}
