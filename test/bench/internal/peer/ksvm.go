// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/kube-storage-version-migrator/pkg/apis/migration/v1alpha1"
	client "sigs.k8s.io/kube-storage-version-migrator/pkg/clients/clientset/typed/migration/v1alpha1"
	"sigs.k8s.io/kube-storage-version-migrator/pkg/migrator"
)

// ksvm runs kube-storage-version-migrator's own library: pages of 500, one PUT of the whole object after the other.
func ksvm(ctx context.Context, config *rest.Config, job Job) (Outcome, error) {
	config = rest.CopyConfig(config)
	if job.QPS > 0 {
		config.QPS, config.Burst = job.QPS, job.Burst
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return Outcome{}, err
	}
	record := &checkpoints{}
	began := time.Now()
	err = migrator.NewMigrator(secrets(), objects, migrator.NewProgressTracker(record, "bench")).Run(ctx)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Work: since(began), Rate: record.lastRate()}, nil
}

// checkpoints is where the library saves how far it is, once a page but for the last. It stands in for the object in
// the API that the library's own program saves it to, which costs the peer a request and a page a little less.
type checkpoints struct {
	client.StorageVersionMigrationInterface

	object v1alpha1.StorageVersionMigration
	saved  []time.Time
}

// Get implements client.StorageVersionMigrationInterface.
func (c *checkpoints) Get(context.Context, string, metav1.GetOptions) (*v1alpha1.StorageVersionMigration, error) {
	return c.object.DeepCopy(), nil
}

// Update implements client.StorageVersionMigrationInterface.
func (c *checkpoints) Update(
	_ context.Context, o *v1alpha1.StorageVersionMigration, _ metav1.UpdateOptions,
) (*v1alpha1.StorageVersionMigration, error) {
	c.object, c.saved = *o, append(c.saved, time.Now())
	return o, nil
}

// lastRate is the rate of the last page that was followed by another; 0 if there were not two of them.
func (c *checkpoints) lastRate() float64 {
	const page = 500
	n := len(c.saved)
	if n < 2 {
		return 0
	}
	return page / c.saved[n-1].Sub(c.saved[n-2]).Seconds()
}
