// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

// systemAccounts are the service accounts that priority and fairness serves together with the cluster's own
// controllers, in flow schema kube-system-service-accounts, priority level workload-high
// (k8s.io/apiserver@v0.37.2 pkg/apis/flowcontrol/bootstrap/default.go).
const systemAccounts = "system:serviceaccount:kube-system:"

// CheckBulk refuses a user whose many requests would stand in line with those of the cluster's own controllers. A server
// that does not tell who the user is refuses nobody.
func (c *Cluster) CheckBulk(ctx context.Context) error {
	var review *authenticationv1.SelfSubjectReview
	err := Shortly(ctx, func(ctx context.Context) (err error) {
		review, err = c.Typed.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		return err
	})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return nil
	case err != nil:
		return &hint.Error{Err: fmt.Errorf("ask the API server who you are: %w", err), Safe: "nothing was changed"}
	}
	name := review.Status.UserInfo.Username
	if !strings.HasPrefix(name, systemAccounts) {
		return nil
	}
	return &hint.Error{
		Err:   fmt.Errorf("you are %s: a migration by a service account of kube-system would compete with the cluster's own controllers", name),
		Safe:  "nothing was changed",
		Hints: []string{"run it as a user, or as a service account of another namespace; docs/clusterrole.yaml holds the role"},
	}
}
