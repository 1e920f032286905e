// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/measure"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/rig"
)

// Scale is how much is measured.
type Scale struct {
	// Rounds of all peers.
	Rounds int
	// Small and Large are the datasets of the rounds.
	Small, Large rig.Dataset
	// Shipped is the dataset of KSVM with its rate limit. It is larger than the burst, below which no limit is felt, and
	// by so much that a whole page is beyond it.
	Shipped rig.Dataset
	// ForegroundRounds, the dataset of each, and how long the foreground is alone before.
	ForegroundRounds int
	Foreground       rig.Dataset
	Idle             time.Duration
	// Repeats of the workers and of the patch types.
	Repeats int
	// Workers is the dataset of the workers, PatchTypes are those of the patch types: of several seconds each, since they
	// differ by less than what one collection of kube-apiserver's garbage more or less makes of a second.
	Workers    rig.Dataset
	PatchTypes []rig.Dataset
	// Memory are the numbers of objects.
	Memory []int
}

const kib = 1 << 10

// The names of the datasets of the rounds.
const (
	SmallName = "1KiB"
	LargeName = "256KiB"
)

// Full is what the published numbers are of: about half an hour on two cores.
func Full() Scale {
	return Scale{
		Rounds: 10, Small: rig.Dataset{Name: SmallName, Objects: 1000, Size: kib}, Large: rig.Dataset{Name: LargeName, Objects: 120, Size: 256 * kib},
		Shipped:          rig.Dataset{Name: SmallName, Objects: 2500, Size: kib},
		ForegroundRounds: 5, Foreground: rig.Dataset{Name: SmallName, Objects: 4000, Size: kib}, Idle: 10 * time.Second,
		Repeats: 5, Workers: rig.Dataset{Name: SmallName, Objects: 1000, Size: kib},
		PatchTypes: []rig.Dataset{
			{Name: SmallName, Objects: 3000, Size: kib}, {Name: "16KiB", Objects: 1200, Size: 16 * kib}, {Name: LargeName, Objects: 120, Size: 256 * kib},
		},
		Memory: []int{1_000, 100_000, 1_000_000},
	}
}

// Quick shows within ten minutes that everything runs and about where it stands.
func Quick() Scale {
	return Scale{
		Rounds: 3, Small: rig.Dataset{Name: SmallName, Objects: 500, Size: kib}, Large: rig.Dataset{Name: LargeName, Objects: 60, Size: 256 * kib},
		Shipped:          rig.Dataset{Name: SmallName, Objects: 2500, Size: kib},
		ForegroundRounds: 2, Foreground: rig.Dataset{Name: SmallName, Objects: 2000, Size: kib}, Idle: 5 * time.Second,
		Repeats: 1, Workers: rig.Dataset{Name: SmallName, Objects: 500, Size: kib},
		PatchTypes: []rig.Dataset{
			{Name: SmallName, Objects: 400, Size: kib}, {Name: "16KiB", Objects: 200, Size: 16 * kib}, {Name: LargeName, Objects: 30, Size: 256 * kib},
		},
		Memory: []int{1_000, 100_000},
	}
}

// pinned is a job with a number of writes in flight.
func pinned(name string, workers int) peer.Job { return peer.Job{Peer: name, Workers: workers} }

// sized is a pinned job on objects of a size, with the kind of no-op that the plugin chooses for them.
func sized(name string, workers int, d rig.Dataset) peer.Job {
	job := pinned(name, workers)
	job.PatchType = migrate.KindFor(peer.Resource(), int64(d.Size))
	return job
}

// Peers are compared in every round.
func Peers(d rig.Dataset) []measure.Spec {
	return []measure.Spec{
		{Name: peer.Ours, Job: sized(peer.Ours, 0, d)},
		{Name: "ours-16", Job: sized(peer.Ours, 16, d)},
		{Name: "floor-16", Job: sized(peer.Floor, 16, d)},
		{Name: "floor-32", Job: sized(peer.Floor, 32, d)},
		{Name: peer.LibraryGo, Job: peer.Job{Peer: peer.LibraryGo}},
		{Name: peer.K3s, Job: peer.Job{Peer: peer.K3s}},
		{Name: peer.KSVM, Job: peer.Job{Peer: peer.KSVM}},
		{Name: peer.SVM, Job: peer.Job{Peer: peer.SVM}},
		{Name: peer.Kubectl, Job: peer.Job{Peer: peer.Kubectl}},
	}
}

// shipped is KSVM with the limits of its manifests/migrator.yaml.
func shipped() measure.Spec {
	return measure.Spec{Name: "ksvm-shipped", Job: peer.Job{Peer: peer.KSVM, QPS: 40, Burst: 1000}}
}

// patchTypes are the kinds of no-op that ours can write.
func patchTypes() map[string]types.PatchType {
	return map[string]types.PatchType{
		"apply": types.ApplyPatchType, "strategic": types.StrategicMergePatchType, "merge": types.MergePatchType,
	}
}
