// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/rig"
)

// svmLimit is how long the controller may take.
const svmLimit = 5 * time.Minute

// svm has kube-controller-manager do it, and follows. The controller begins when its cache is as new as the
// migration is, which on a quiet cluster takes more than a minute and on a busy one nothing: a Secret is made and
// removed so that it need not wait. Its work is counted from its first write.
func svm(ctx context.Context, config *rest.Config, job Job) (Outcome, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return Outcome{}, err
	}
	etcd, err := rig.NewEtcd(job.Etcd)
	if err != nil {
		return Outcome{}, err
	}
	defer func() { _ = etcd.Close() }()
	ctx, cancel := context.WithTimeout(ctx, svmLimit)
	defer cancel()

	first := firstWrite(ctx, etcd)
	began := time.Now()
	o, err := client.StoragemigrationV1().StorageVersionMigrations().Create(ctx, &storagemigrationv1.StorageVersionMigration{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "bench-"},
		Spec:       storagemigrationv1.StorageVersionMigrationSpec{Resource: metav1.GroupResource{Resource: secrets().Resource}},
	}, metav1.CreateOptions{})
	if err != nil {
		return Outcome{}, err
	}
	defer func() {
		_ = client.StoragemigrationV1().StorageVersionMigrations().Delete(context.WithoutCancel(ctx), o.Name, metav1.DeleteOptions{})
	}()
	events, err := client.StoragemigrationV1().StorageVersionMigrations().Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, o.Name).String(),
	})
	if err != nil {
		return Outcome{}, err
	}
	defer events.Stop()
	err = await(events, func(s storagemigrationv1.StorageVersionMigrationStatus) bool { return s.ResourceVersion != "" })
	if err != nil {
		return Outcome{}, err
	}
	if err := touch(ctx, client); err != nil {
		return Outcome{}, err
	}
	err = await(events, func(s storagemigrationv1.StorageVersionMigrationStatus) bool {
		return meta.IsStatusConditionTrue(s.Conditions, string(storagemigrationv1.MigrationSucceeded))
	})
	if err != nil {
		return Outcome{}, err
	}
	ended := time.Now()
	select {
	case at := <-first:
		return Outcome{Work: ended.Sub(at).Seconds(), Wait: at.Sub(began).Seconds()}, nil
	case <-ctx.Done():
		return Outcome{}, errors.New("etcd was not written to")
	}
}

// firstWrite tells when the first object of the dataset is written.
func firstWrite(ctx context.Context, etcd *clientv3.Client) <-chan time.Time {
	ctx, cancel := context.WithCancel(ctx)
	first := make(chan time.Time, 1)
	events := etcd.Watch(ctx, rig.Folder+rig.NamespacePrefix, clientv3.WithPrefix(), clientv3.WithFilterDelete())
	go func() {
		defer cancel()
		for event := range events {
			if len(event.Events) > 0 {
				first <- time.Now()
				return
			}
		}
	}()
	return first
}

// await takes events of the migration until one shows a status that is waited for. The watch is asked for nothing
// meanwhile: polling would cost the controller's server.
func await(events watch.Interface, done func(storagemigrationv1.StorageVersionMigrationStatus) bool) error {
	for event := range events.ResultChan() {
		o, ok := event.Object.(*storagemigrationv1.StorageVersionMigration)
		if !ok {
			return fmt.Errorf("watch the migration: %w", apierrors.FromObject(event.Object))
		}
		failed := meta.FindStatusCondition(o.Status.Conditions, string(storagemigrationv1.MigrationFailed))
		if failed != nil && failed.Status == metav1.ConditionTrue {
			return fmt.Errorf("the controller failed: %s", failed.Message)
		}
		if done(o.Status) {
			return nil
		}
	}
	return errors.New("the watch of the migration ended")
}

// touch moves the controller's cache of Secrets on.
func touch(ctx context.Context, client kubernetes.Interface) error {
	o, err := client.CoreV1().Secrets(metav1.NamespaceDefault).Create(ctx,
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{GenerateName: "bench-"}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return client.CoreV1().Secrets(metav1.NamespaceDefault).Delete(ctx, o.Name, metav1.DeleteOptions{})
}
