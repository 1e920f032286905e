// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// users is the group of all users of these tests. It may do everything, creating included, so that nothing but the
// code under test keeps it from doing harm. Other than the administrator's group, it is subject to priority and fairness.
const users = "integration:users"

// user is somebody whom the audit logs tell apart from everybody else.
type user string

// as is a configuration of the administrator who acts as the user.
func (u user) as(kubeconfig string) (*rest.Config, error) {
	config, err := load(kubeconfig)
	if err != nil {
		return nil, err
	}
	config.Impersonate = rest.ImpersonationConfig{UserName: string(u), Groups: []string{users}}
	return config, nil
}

// migrator migrates as the user, through the kube-apiserver or balancer of a kubeconfig.
func (u user) migrator(t *testing.T, kubeconfig string) migrate.Client {
	t.Helper()
	config, err := u.as(kubeconfig)
	require.NoError(t, err)
	client, err := migrate.NewClientForConfig(config)
	require.NoError(t, err)
	return client
}

// objects reads and writes as the user, through one kube-apiserver.
func (u user) objects(t *testing.T, in *instance) dynamic.Interface {
	t.Helper()
	config, err := u.as(in.Kubeconfig)
	require.NoError(t, err)
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// admitUsers lets the users of these tests do everything, and returns when each kube-apiserver knows of it.
func (cp *controlPlane) admitUsers(ctx context.Context) error {
	_, err := cp.typed.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: users},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: users}},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	for _, in := range cp.APIServers {
		config, err := user("integration:first").as(in.Kubeconfig)
		if err != nil {
			return err
		}
		typed, _, err := clients(config)
		if err != nil {
			return err
		}
		err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			_, err := typed.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: 1})
			return err == nil, nil
		})
		if err != nil {
			return fmt.Errorf("%s does not admit the users of the tests: %w", in.Name, err)
		}
	}
	return nil
}
