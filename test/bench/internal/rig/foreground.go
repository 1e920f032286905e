// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// What the foreground works on, and as whom. They are ConfigMaps, so that the datasets are the only Secrets, and so
// many that the writes of a second do not wait for each other.
const (
	ForegroundNamespace = "bench-foreground"
	ForegroundObjects   = 20
	foregroundUser      = "bench-foreground"
	// flowSchema is that of users with no special rights: kubeadm's administrators are there as well.
	flowSchema = "global-default"
)

// ForegroundObject is the name of one of the objects; i may be any number from 0.
func ForegroundObject(i int) string { return fmt.Sprintf("probe-%d", i%ForegroundObjects) }

// AsForeground is the administrator's configuration, to act as a user to whom priority and fairness applies: it is
// judged after impersonation (k8s.io/apiserver@v0.37.2 pkg/server/config.go, DefaultBuildHandlerChain).
func AsForeground(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: foregroundUser, Groups: []string{"system:authenticated"}}
	return config
}

// PrepareForeground makes the objects and the rights, and makes sure that the user's requests are not exempt.
func (r *Rig) PrepareForeground(ctx context.Context) error {
	meta := metav1.ObjectMeta{Name: "probe", Namespace: ForegroundNamespace}
	_, err := r.typed.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ForegroundNamespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make foreground: %w", err)
	}
	for i := range ForegroundObjects {
		_, err = r.typed.CoreV1().ConfigMaps(ForegroundNamespace).Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: ForegroundObject(i)}, Data: map[string]string{"value": "0"},
		}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("make foreground: %w", err)
		}
	}
	_, err = r.typed.RbacV1().Roles(ForegroundNamespace).Create(ctx, &rbacv1.Role{
		ObjectMeta: meta,
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "patch"}}},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make foreground: %w", err)
	}
	_, err = r.typed.RbacV1().RoleBindings(ForegroundNamespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta,
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: foregroundUser}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make foreground: %w", err)
	}
	return r.requireNotExempt(ctx)
}

// requireNotExempt looks at the flow schema that a request of the foreground was put to.
func (r *Rig) requireNotExempt(ctx context.Context) error {
	config, err := Load(r.Kubeconfig)
	if err != nil {
		return err
	}
	config = AsForeground(config)
	var uid string
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil {
				uid = resp.Header.Get("X-Kubernetes-Pf-Flowschema-Uid")
			}
			return resp, err
		})
	})
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connect as the foreground: %w", err)
	}
	// The rights count as soon as kube-apiserver has seen them.
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ConfigMaps(ForegroundNamespace).Get(ctx, ForegroundObject(0), metav1.GetOptions{})
		return err == nil, ignoreForbidden(err)
	})
	if err != nil {
		return fmt.Errorf("read as the foreground: %w", err)
	}
	schema, err := r.typed.FlowcontrolV1().FlowSchemas().Get(ctx, flowSchema, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read flow schema: %w", err)
	}
	if string(schema.UID) != uid {
		return fmt.Errorf("the foreground's requests are not in the flow schema %s", flowSchema)
	}
	return nil
}

func ignoreForbidden(err error) error {
	if apierrors.IsForbidden(err) {
		return nil
	}
	return err
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
