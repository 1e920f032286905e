// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Count tells how many objects a resource has, by the server's own count behind the first page. It costs one small
// request, and is as exact as the server's count is.
func Count(ctx context.Context, client Client, r Resource) (int64, error) {
	page, err := newEngine(client, r, Options{}).page(ctx, "", metav1.ListOptions{Limit: 1})
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", r, err)
	}
	objects := int64(len(page.Items))
	if page.RemainingItemCount != nil {
		objects += *page.RemainingItemCount
	}
	return objects, nil
}
