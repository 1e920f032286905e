// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
)

// libraryGo has the shape of InProcessMigrator in github.com/openshift/library-go
// pkg/operator/encryption/controllers/migrators: a dynamic client, pages of 500, 10 workers, a PUT of the whole
// object, and after a conflict a GET and a PUT again. That is not on the Go module proxy by itself.
func libraryGo(ctx context.Context, config *rest.Config, _ Job) (Outcome, error) {
	const workers = 10
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return Outcome{}, err
	}
	began := time.Now()
	todo := make(chan *unstructured.Unstructured, workers)
	var written atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	for range workers {
		work.Go(func() error {
			for o := range todo {
				if err := putAgain(ctx, client.Resource(secrets()).Namespace(o.GetNamespace()), o); err != nil {
					return err
				}
				written.Add(1)
			}
			return nil
		})
	}
	work.Go(func() error {
		defer close(todo)
		pages := pager.New(func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			return client.Resource(secrets()).List(ctx, opts)
		})
		pages.FullListIfExpired = false
		return pages.EachListItem(ctx, metav1.ListOptions{}, func(o runtime.Object) error {
			item, ok := o.(*unstructured.Unstructured)
			if !ok {
				return fmt.Errorf("listed a %T", o)
			}
			select {
			case todo <- item:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	if err := work.Wait(); err != nil {
		return Outcome{}, err
	}
	return Outcome{Work: since(began), Written: written.Load()}, nil
}

// putAgain writes an object as it is. One that is gone is done.
func putAgain(ctx context.Context, client dynamic.ResourceInterface, o *unstructured.Unstructured) error {
	for {
		_, err := client.Update(ctx, o, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			if o, err = client.Get(ctx, o.GetName(), metav1.GetOptions{}); err == nil {
				continue
			}
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
}

// k3s has the shape of updateSecrets in github.com/k3s-io/k3s pkg/secretsencrypt: typed objects, pages of 20, one PUT
// after the other, conflicts left alone.
func k3s(ctx context.Context, config *rest.Config, _ Job) (Outcome, error) {
	const page = 20
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return Outcome{}, err
	}
	began := time.Now()
	written := int64(0)
	pages := pager.New(func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return client.CoreV1().Secrets(metav1.NamespaceAll).List(ctx, opts)
	})
	pages.PageSize = page
	err = pages.EachListItem(ctx, metav1.ListOptions{}, func(o runtime.Object) error {
		secret, ok := o.(*corev1.Secret)
		if !ok {
			return fmt.Errorf("listed a %T", o)
		}
		_, err := client.CoreV1().Secrets(secret.Namespace).Update(ctx, secret, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return nil
		}
		written++
		return err
	})
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Work: since(began), Written: written}, nil
}
