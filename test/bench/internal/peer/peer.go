// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package peer holds the ways of storing every Secret again that are compared. Each runs in a process of its own, so
// that the processor time and the memory of that process are the peer's.
package peer

import (
	"context"
	"fmt"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// The peers.
const (
	// Ours is pkg/migrate with all that a migration does: baseline, canary, progress, and the count that proves it.
	Ours = "ours"
	// Kubectl is the pipeline that Kubernetes' documentation names. It is two processes, not one of this package.
	Kubectl = "kubectl"
	// KSVM is kube-storage-version-migrator's own library.
	KSVM = "ksvm"
	// SVM is the StorageVersionMigration controller of kube-controller-manager.
	SVM = "svm"
	// LibraryGo is a loop of the shape of OpenShift's library-go.
	LibraryGo = "library-go"
	// K3s is a loop of the shape of k3s's.
	K3s = "k3s"
	// Floor is a patch of each object and nothing else: keys known before, no receipts, no count.
	Floor = "floor"
)

// Job says what a peer is to do.
type Job struct {
	Peer string `json:"peer"`
	// Workers is the number of writes in flight of Ours and Floor; 0 leaves it to Ours.
	Workers int `json:"workers,omitempty"`
	// PatchType is the kind of no-op of Ours and Floor.
	PatchType types.PatchType `json:"patchType,omitempty"`
	// QPS and Burst limit KSVM, 0 does not.
	QPS   float32 `json:"qps,omitempty"`
	Burst int     `json:"burst,omitempty"`
	// Kubeconfig is the file by which the API is reached.
	Kubeconfig string `json:"kubeconfig"`
	// Etcd is where etcd is reached, for SVM to see when the controller begins.
	Etcd string `json:"etcd,omitempty"`
	// Profile is the file for a processor profile of the peer's process; empty for none.
	Profile string `json:"profile,omitempty"`
}

// Outcome is what a peer tells of its work.
type Outcome struct {
	// Work is how long the work itself took, in seconds, without the start of the process.
	Work float64 `json:"work"`
	// Written is how many objects were written, by the peer's own count; 0 where it has none.
	Written int64 `json:"written,omitempty"`
	// Wait is how long, in seconds, a controller waited before it wrote the first object.
	Wait float64 `json:"wait,omitempty"`
	// Workers is the most writes that Ours had in flight.
	Workers int `json:"workers,omitempty"`
	// Rate is the rate, in objects per second, at the end of the work; 0 where it is not looked at.
	Rate float64 `json:"rate,omitempty"`
	// Peak is the most memory, in bytes, that the process ever held.
	Peak int64 `json:"peak,omitempty"`
}

// Run does a job of any peer but Kubectl.
func Run(ctx context.Context, config *rest.Config, job Job) (Outcome, error) {
	works := map[string]func(context.Context, *rest.Config, Job) (Outcome, error){
		Ours: ours, KSVM: ksvm, SVM: svm, LibraryGo: libraryGo, K3s: k3s, Floor: floor,
	}
	work, ok := works[job.Peer]
	if !ok {
		return Outcome{}, fmt.Errorf("no peer is called %q", job.Peer)
	}
	outcome, err := work(ctx, config, job)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", job.Peer, err)
	}
	return outcome, nil
}

func secrets() schema.GroupVersionResource { return corev1.SchemeGroupVersion.WithResource("secrets") }

// Resource is what is migrated.
func Resource() migrate.Resource {
	return migrate.Resource{GVR: secrets(), Kind: "Secret", Namespaced: true}
}

func since(began time.Time) float64 { return time.Since(began).Seconds() }
