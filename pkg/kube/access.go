// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

// Permission is one thing that a command will do.
type Permission struct {
	Verb, Group, Resource, Subresource, Namespace string
	// Path is a non-resource path; Verb is then all that counts besides.
	Path string
}

// String is the permission as an administrator writes it into a role.
func (p Permission) String() string {
	if p.Path != "" {
		return p.Verb + " " + p.Path
	}
	s := p.Verb + " " + p.Resource
	if p.Subresource != "" {
		s += "/" + p.Subresource
	}
	if p.Group != "" {
		s += "." + p.Group
	}
	if p.Namespace != "" {
		s += " in namespace " + p.Namespace
	}
	return s
}

// CheckAccess asks whether the user may do all of it, before any of it is done. The error lists what is missing.
func (c *Cluster) CheckAccess(ctx context.Context, permissions []Permission) error {
	denied := make([]bool, len(permissions))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, p := range permissions {
		g.Go(func() error {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: p.spec()}
			answer, err := c.review(gctx, review)
			if err != nil {
				return &hint.Error{Err: fmt.Errorf("ask whether you may %s: %w", p, err), Safe: "nothing was changed"}
			}
			denied[i] = !answer.Status.Allowed
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var missing []string
	for i, p := range permissions {
		if denied[i] {
			missing = append(missing, p.String())
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &hint.Error{
		Err:   fmt.Errorf("you may not: %s", strings.Join(missing, "; ")),
		Safe:  "nothing was changed",
		Hints: []string{"docs/clusterrole.yaml holds a role with all that is needed"},
	}
}

// review asks one question.
func (c *Cluster) review(
	ctx context.Context, question *authorizationv1.SelfSubjectAccessReview,
) (answer *authorizationv1.SelfSubjectAccessReview, err error) {
	err = Shortly(ctx, func(ctx context.Context) (err error) {
		answer, err = c.Typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, question, metav1.CreateOptions{})
		return err
	})
	return answer, err
}

func (p Permission) spec() authorizationv1.SelfSubjectAccessReviewSpec {
	if p.Path != "" {
		return authorizationv1.SelfSubjectAccessReviewSpec{
			NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: p.Path, Verb: p.Verb},
		}
	}
	return authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Verb: p.Verb, Group: p.Group, Resource: p.Resource, Subresource: p.Subresource, Namespace: p.Namespace,
	}}
}
