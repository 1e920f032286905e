// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"encoding/json"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// patch is one prepared write.
type patch struct {
	namespace, name string
	body            []byte
}

// floor is the least that any migration must do: the same no-op patch of each object, of which nothing but the error
// is looked at. What it needs to know is listed before the clock runs.
func floor(ctx context.Context, config *rest.Config, job Job) (Outcome, error) {
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return Outcome{}, err
	}
	patches, err := prepare(ctx, client, job.PatchType)
	if err != nil {
		return Outcome{}, err
	}
	opts := metav1.PatchOptions{FieldManager: "bench"}
	if job.PatchType == types.ApplyPatchType {
		opts.Force = new(bool)
	}
	began := time.Now()
	todo := make(chan patch)
	work, ctx := errgroup.WithContext(ctx)
	for range max(1, job.Workers) {
		work.Go(func() error {
			for p := range todo {
				_, err := client.Resource(secrets()).Namespace(p.namespace).Patch(ctx, p.name, job.PatchType, p.body, opts)
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	work.Go(func() error {
		defer close(todo)
		for _, p := range patches {
			select {
			case todo <- p:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	if err := work.Wait(); err != nil {
		return Outcome{}, err
	}
	return Outcome{Work: since(began), Written: int64(len(patches))}, nil
}

// prepare makes the no-op of every Secret.
func prepare(ctx context.Context, client metadata.Interface, kind types.PatchType) ([]patch, error) {
	list, err := client.Resource(secrets()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	patches := make([]patch, 0, len(list.Items))
	for i := range list.Items {
		o := &list.Items[i]
		meta := map[string]any{"uid": o.UID, "resourceVersion": o.ResourceVersion}
		noop := map[string]any{"metadata": meta}
		if kind == types.ApplyPatchType {
			meta["name"], meta["namespace"] = o.Name, o.Namespace
			noop["apiVersion"], noop["kind"] = "v1", "Secret"
		}
		body, err := json.Marshal(noop)
		if err != nil {
			return nil, err
		}
		patches = append(patches, patch{o.Namespace, o.Name, body})
	}
	return patches, nil
}
