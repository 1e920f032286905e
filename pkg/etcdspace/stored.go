// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"io"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/metrics"
)

// The gauges of a kube-apiserver (k8s.io/apiserver@v0.37.2 pkg/storage/etcd3/metrics/metrics.go, the same in v0.34.4 and
// v0.35.4; v0.33.4 has no sizes). Each is -1 where kube-apiserver could not find out.
const (
	// From 1.34, with the labels group and resource. The size is the mean length of the values that this kube-apiserver has
	// seen in etcd, times their number (pkg/storage/etcd3/stats.go): as they are stored, encryption included.
	resourceSize    = "apiserver_resource_size_estimate_bytes"
	resourceObjects = "apiserver_resource_objects"
	// Before, with the label resource, "deployments.apps".
	storageObjects = "apiserver_storage_objects"
	// The size of etcd's file, and two older names, of which the first is deprecated since 1.28.
	storageSize       = "apiserver_storage_size_bytes"
	storageSizeOld    = "apiserver_storage_db_total_size_in_bytes"
	storageSizeOldest = "etcd_db_total_size_in_bytes"
)

// Stored is what one kube-apiserver tells of what etcd holds.
type Stored struct {
	// File is the size of etcd's file in bytes, the largest if there are several. 0 if it does not tell.
	File int64

	resources map[schema.GroupResource]Demand
}

// ParseServer reads the metrics of a kube-apiserver, as they stream in.
func ParseServer(r io.Reader) (Stored, error) {
	families, err := metrics.Pick(r, resourceSize, resourceObjects, storageObjects, storageSize, storageSizeOld, storageSizeOldest)
	if err != nil {
		return Stored{}, err
	}
	s := Stored{resources: map[schema.GroupResource]Demand{}}
	metrics.Each(families[storageObjects], func(l map[string]string, v float64) {
		s.set(schema.ParseGroupResource(l["resource"]), func(d *Demand) { d.Objects = known(v) })
	})
	metrics.Each(families[resourceObjects], func(l map[string]string, v float64) {
		s.set(groupResource(l), func(d *Demand) { d.Objects = known(v) })
	})
	metrics.Each(families[resourceSize], func(l map[string]string, v float64) {
		s.set(groupResource(l), func(d *Demand) { d.Bytes = known(v) })
	})
	for _, name := range []string{storageSize, storageSizeOld, storageSizeOldest} {
		metrics.Each(families[name], func(_ map[string]string, v float64) { s.File = max(s.File, int64(v)) })
	}
	return s, nil
}

func groupResource(labels map[string]string) schema.GroupResource {
	return schema.GroupResource{Group: labels["group"], Resource: labels["resource"]}
}

func known(v float64) int64 { return max(int64(v), Unknown) }

func (s Stored) set(resource schema.GroupResource, change func(*Demand)) {
	d := s.Demand(resource)
	change(&d)
	s.resources[resource] = d
}

// Demand is what all objects of a resource come to. Both numbers are up to two minutes old: kube-apiserver asks etcd once in a
// minute, more or less (k8s.io/apiserver@v0.37.2 pkg/registry/generic/registry/store.go, startObservingCount).
func (s Stored) Demand(resource schema.GroupResource) Demand {
	if d, ok := s.resources[resource]; ok {
		return d
	}
	return Demand{Objects: Unknown, Bytes: Unknown}
}
