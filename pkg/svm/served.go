// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	svmv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
)

// ErrNotServed is that the API server does not offer the API by which the controller is told what to do.
var ErrNotServed = errors.New("this cluster does not serve " + svmv1.SchemeGroupVersion.String())

// Served tells whether the API serves storagemigration.k8s.io/v1: by default since Kubernetes 1.37.
func Served(ctx context.Context, client kubernetes.Interface) (bool, error) {
	versions, err := servedVersions(ctx, client)
	return slices.Contains(versions, svmv1.SchemeGroupVersion.Version), err
}

// servedVersions are the versions of the group storagemigration.k8s.io, none if it is not served.
func servedVersions(ctx context.Context, client kubernetes.Interface) ([]string, error) {
	var versions []string
	err := kube.Retry(ctx, func(ctx context.Context) error {
		groups, err := discovery.ToServerGroupsInterfaceWithContext(client.Discovery()).ServerGroupsWithContext(ctx)
		if err != nil {
			return err
		}
		versions = nil
		for _, g := range groups.Groups {
			for _, v := range g.Versions {
				if g.Name == svmv1.GroupName {
					versions = append(versions, v.Version)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", svmv1.SchemeGroupVersion, err)
	}
	return versions, nil
}

// RequireServed is Served as an error that says what is there instead, and what to do.
func RequireServed(ctx context.Context, client kubernetes.Interface) error {
	versions, err := servedVersions(ctx, client)
	if err != nil || slices.Contains(versions, svmv1.SchemeGroupVersion.Version) {
		return err
	}
	seen := "nothing of that group"
	if len(versions) > 0 {
		seen = "only " + strings.Join(versions, ", ") + " of that group"
	}
	if info, err := client.Discovery().ServerVersion(); err == nil {
		seen += ", Kubernetes " + info.GitVersion
	}
	return &hint.Error{
		Err:   fmt.Errorf("%w (it serves %s)", ErrNotServed, seen),
		Safe:  "nothing was changed",
		Hints: []string{"use --engine=native, which works with every version; the controller comes with Kubernetes 1.37"},
	}
}
