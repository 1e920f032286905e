// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubeadm reads and edits what kubeadm keeps in the cluster, of which its upgrades and joins make manifests.
package kubeadm

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/retry"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Where it is (k8s.io/kubernetes@v1.37.1 cmd/kubeadm/app/constants/constants.go).
const (
	// ConfigMap is the name, in the namespace kube-system.
	ConfigMap = "kubeadm-config"
	key       = "ClusterConfiguration"
)

// Store is kubeadm's ConfigMap.
type Store struct {
	Client corev1client.ConfigMapsGetter
}

// Load gives the ClusterConfiguration. False if there is none: the cluster is not kubeadm's.
func (s Store) Load(ctx context.Context) (data []byte, found bool, err error) {
	cm, err := s.get(ctx)
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read ConfigMap %s: %w", ConfigMap, err)
	}
	return []byte(cm.Data[key]), true, nil
}

// Edit replaces the ClusterConfiguration by what edit makes of it. Nothing else in the ConfigMap is touched, and what
// somebody else writes meanwhile is edited, not overwritten. Where there is none, nothing is done.
func (s Store) Edit(ctx context.Context, edit func([]byte) ([]byte, error)) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		cm, err := s.get(ctx)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read ConfigMap %s: %w", ConfigMap, err)
		}
		next, err := edit([]byte(cm.Data[key]))
		if err != nil || string(next) == cm.Data[key] {
			return err
		}
		cm.Data[key] = string(next)
		return kube.Retry(ctx, func(ctx context.Context) error {
			_, err := s.Client.ConfigMaps(project.Namespace).Update(ctx, cm, metav1.UpdateOptions{FieldManager: project.FieldManager})
			return err
		})
	})
}

func (s Store) get(ctx context.Context) (cm *corev1.ConfigMap, err error) {
	err = kube.Retry(ctx, func(ctx context.Context) error {
		cm, err = s.Client.ConfigMaps(project.Namespace).Get(ctx, ConfigMap, metav1.GetOptions{})
		return err
	})
	return cm, err
}
