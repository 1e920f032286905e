// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// Dataset is a number of Secrets of one size.
type Dataset struct {
	// Name of the dataset, such as 1KiB.
	Name string
	// Objects in it.
	Objects int
	// Size of the data of each, in bytes.
	Size int
}

const (
	// namespaces over which a dataset is spread.
	namespaces = 8
	// makers is how many Secrets are made at a time.
	makers = 8
)

// NamespacePrefix is what the names of the datasets' namespaces begin with.
const NamespacePrefix = "bench-data-"

// Fill replaces the dataset: after it, these are the only Secrets of the control plane, so that a peer that
// migrates all Secrets of all namespaces does the same work as every other.
func (r *Rig) Fill(ctx context.Context, d Dataset) error {
	if err := r.empty(ctx); err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(makers)
	for i := range d.Objects {
		work.Go(func() error { return r.makeSecret(ctx, i, d.Size) })
	}
	if err := work.Wait(); err != nil {
		return fmt.Errorf("make dataset %s: %w", d.Name, err)
	}
	return nil
}

func namespaceOf(i int) string { return fmt.Sprintf("%s%d", NamespacePrefix, i%namespaces) }

func (r *Rig) makeSecret(ctx context.Context, i, size int) error {
	data := make([]byte, size)
	if _, err := rand.Read(data); err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("object-%06d", i), Labels: map[string]string{"app": "bench", "part": fmt.Sprint(i % 100)},
		},
		Data: map[string][]byte{"value": data},
	}
	_, err := r.typed.CoreV1().Secrets(namespaceOf(i)).Create(ctx, secret, metav1.CreateOptions{FieldManager: "bench"})
	return err
}

// empty makes the namespaces and removes every Secret there is.
func (r *Rig) empty(ctx context.Context) error {
	for i := range namespaces {
		_, err := r.typed.CoreV1().Namespaces().Create(ctx,
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespaceOf(i)}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("make namespace: %w", err)
		}
		err = r.typed.CoreV1().Secrets(namespaceOf(i)).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("remove dataset: %w", err)
		}
	}
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		left, err := r.Versions(ctx)
		return len(left) == 0, err
	})
	if err != nil {
		return fmt.Errorf("await that no Secret is left: %w", err)
	}
	return nil
}

// Versions are the resourceVersions of all Secrets, by namespace and name.
func (r *Rig) Versions(ctx context.Context) (map[string]string, error) {
	const page = 1000
	versions := map[string]string{}
	opts := metav1.ListOptions{Limit: page}
	for {
		list, err := r.meta.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).List(ctx, opts)
		if err != nil {
			return nil, fmt.Errorf("list Secrets: %w", err)
		}
		for i := range list.Items {
			versions[list.Items[i].Namespace+"/"+list.Items[i].Name] = list.Items[i].ResourceVersion
		}
		if opts.Continue = list.Continue; opts.Continue == "" {
			return versions, nil
		}
	}
}
