// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"context"
	"fmt"
	"time"

	svmv1 "k8s.io/api/storagemigration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/kubernetes"
	typed "k8s.io/client-go/kubernetes/typed/storagemigration/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// component is the label that tells StorageVersionMigrations from our other objects.
const component = "migration"

// cleanupTimeout is how long a removal may take, also after an interrupt.
const cleanupTimeout = 30 * time.Second

func api(client kubernetes.Interface) typed.StorageVersionMigrationInterface {
	return client.StoragemigrationV1().StorageVersionMigrations()
}

func groupResource(r migrate.Resource) metav1.GroupResource {
	return metav1.GroupResource{Group: r.GVR.Group, Resource: r.GVR.Resource}
}

// request is what tells the controller to migrate a resource. The name is chosen here and not by the server, so that
// a creation whose answer was lost can be repeated, and undone.
func request(r migrate.Resource, run string) *svmv1.StorageVersionMigration {
	return &svmv1.StorageVersionMigration{
		ObjectMeta: metav1.ObjectMeta{
			Name: project.Plugin + "-" + rand.String(10),
			Labels: map[string]string{
				project.LabelName: project.Name, project.LabelComponent: component, project.LabelRun: run,
			},
		},
		Spec: svmv1.StorageVersionMigrationSpec{Resource: groupResource(r)},
	}
}

// create makes a StorageVersionMigration. That its name is taken can only mean that an earlier attempt made it.
func create(ctx context.Context, client kubernetes.Interface, m *svmv1.StorageVersionMigration) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		_, err := api(client).Create(ctx, m, metav1.CreateOptions{FieldManager: project.FieldManager})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("create StorageVersionMigration of %s: %w", m.Spec.Resource.String(), err)
	}
	return nil
}

// remove removes a StorageVersionMigration, if it is there, also after an interrupt.
func remove(ctx context.Context, client kubernetes.Interface, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	err := kube.Retry(ctx, func(ctx context.Context) error {
		err := api(client).Delete(ctx, name, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete StorageVersionMigration %s: %w", name, err)
	}
	return nil
}

// Sweep removes StorageVersionMigrations that earlier runs left behind, and tells how many. The caller holds the lock,
// so no command is alive that could still need them. Where the API is not served there are none.
func Sweep(ctx context.Context, client kubernetes.Interface, run string) (int, error) {
	selector := labels.Set{project.LabelName: project.Name, project.LabelComponent: component}.String()
	return removeAll(ctx, client, selector+","+project.LabelRun+"!="+run, func(*svmv1.StorageVersionMigration) bool { return true })
}

// removeFormer removes what an earlier attempt of the same run left of the resource.
func removeFormer(ctx context.Context, client kubernetes.Interface, r migrate.Resource, run string) error {
	selector := labels.Set{project.LabelName: project.Name, project.LabelComponent: component, project.LabelRun: run}
	_, err := removeAll(ctx, client, selector.String(), func(m *svmv1.StorageVersionMigration) bool {
		return m.Spec.Resource == groupResource(r)
	})
	return err
}

func removeAll(
	ctx context.Context, client kubernetes.Interface, selector string, choose func(*svmv1.StorageVersionMigration) bool,
) (int, error) {
	list, err := list(ctx, client, selector)
	if err != nil {
		return 0, err
	}
	removed := 0
	for i := range list {
		if !choose(&list[i]) {
			continue
		}
		if err := remove(ctx, client, list[i].Name); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// list lists StorageVersionMigrations: none where they are not served.
func list(ctx context.Context, client kubernetes.Interface, selector string) ([]svmv1.StorageVersionMigration, error) {
	var found []svmv1.StorageVersionMigration
	err := kube.Retry(ctx, func(ctx context.Context) error {
		list, err := api(client).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err == nil {
			found = list.Items
		}
		return err
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("list StorageVersionMigrations: %w", err)
	}
	return found, nil
}
