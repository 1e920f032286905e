// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

const (
	kib int64 = 1 << 10
	mib int64 = 1 << 20
	gib int64 = 1 << 30
)

// defaultWindow is two of kube-apiserver's intervals of compaction (k8s.io/apiserver@v0.37.2
// pkg/storage/storagebackend/config.go, DefaultCompactInterval).
const defaultWindow = 10 * time.Minute

// node1 has so much in use, in a file of that size, of a quota of 2 GiB.
func node1(inUse int64) Space { return Space{Member: "n1", Quota: 2 * gib, File: inUse, InUse: inUse} }

func TestDecideRefusesWhatWouldNotLeaveTheReserve(t *testing.T) {
	t.Parallel()
	million := Demand{Objects: 1_000_000, Bytes: 1000 * mib}
	tests := map[string]struct {
		reading Reading
		demand  Demand
		maxRate float64
		want    Outcome
		rate    float64
		reason  string
	}{
		"a small migration fits": {
			Reading{Members: []Space{node1(300 * mib)}},
			Demand{1000, 100 * mib},
			0, Fits, 0,
			"etcd on node n1 has 300Mi of its quota of 2Gi in use; the migration adds 150Mi at most before etcd is compacted, 1598Mi stay free",
		},
		"one that would pass the quota does not, and a rate is named": {
			Reading{Members: []Space{node1(700 * mib)}},
			million, 0, Refused, 1042,
			"etcd on node n1 has 700Mi of its quota of 2Gi in use; the migration adds 1500Mi before etcd is compacted: " +
				"nothing would stay free, and 410Mi (20%) must",
		},
		"one that would pass the reserve alone does not": {
			Reading{Members: []Space{node1(200 * mib)}},
			million, 0, Refused, 1598,
			"etcd on node n1 has 200Mi of its quota of 2Gi in use; the migration adds 1500Mi before etcd is compacted: " +
				"348Mi would stay free, and 410Mi (20%) must",
		},
		"the rate that was named fits": {
			Reading{Members: []Space{node1(700 * mib)}}, million, 1042, Fits, 0, "",
		},
		"a higher one does not": {Reading{Members: []Space{node1(700 * mib)}}, million, 1043, Refused, 1042, ""},
		"where too much is in use already, no rate is named": {
			Reading{Members: []Space{node1(1700 * mib)}}, million, 0, Refused, 0, "",
		},
		"a file that is full is refused, whatever is free in it": {
			Reading{Members: []Space{{"n1", 2 * gib, 1990 * mib, 300 * mib}}},
			Demand{10, kib},
			0, Refused, 0,
			"the file of etcd on node n1 has grown to 1990Mi, over 95% of its quota of 2Gi; compaction does not make it smaller",
		},
		"the member with the least room decides": {
			Reading{Members: []Space{node1(100 * mib), {"n2", 2 * gib, gib, gib}, {"n3", 8 * gib, gib, gib}}},
			Demand{1000, 500 * mib},
			0, Refused, 1,
			"etcd on node n2 has 1Gi of its quota of 2Gi in use; the migration adds 750Mi before etcd is compacted: 274Mi would stay free, and 410Mi (20%) must",
		},
		"a size that is not known is taken for all that is in use": {
			Reading{Members: []Space{node1(gib)}}, Demand{Unknown, Unknown}, 0, Refused, 0, "",
		},
		"a size that is not known may fit all the same": {
			Reading{Members: []Space{node1(100 * mib)}},
			Demand{Unknown, Unknown},
			0, Fits, 0,
			"etcd on node n1 has 100Mi of its quota of 2Gi in use; the migration adds 150Mi at most before etcd is compacted, 1798Mi stay free",
		},
		"where there is nothing to write, everything fits": {Reading{Members: []Space{node1(2 * gib)}}, Demand{}, 0, Fits, 0, ""},
		"without a quota everything fits": {
			Reading{Members: []Space{{"n1", -1, 100 * gib, 100 * gib}}}, million, 0, Fits, 0, "etcd on node n1 has no quota",
		},
		"a quota counts where another member has none": {
			Reading{Members: []Space{{"n0", -1, gib, gib}, node1(300 * mib)}},
			Demand{1000, mib},
			0, Fits, 0,
			"etcd on node n1 has 300Mi of its quota of 2Gi in use; the migration adds 1536Ki at most before etcd is compacted, 1747Mi stay free",
		},
		"without a member nothing is known": {
			Reading{},
			million, 0, NotKnown, 0,
			"the room left in etcd is not known: no etcd runs as a static pod of this cluster, so its quota can't be read",
		},
		"without a member the size of the file is told": {
			Reading{File: 700 * mib}, million, 0, NotKnown, 0, "the room left in etcd is not known: no etcd runs as a static pod " +
				"of this cluster, so its quota can't be read (its file has 700Mi, says kube-apiserver)",
		},
		"where one member is not read, the others do not stand for it": {
			Reading{Members: []Space{node1(mib)}, Unread: []Unread{{"n2", errNotReady}, {"n3", errors.New("gone")}}},
			Demand{1, 1},
			0, NotKnown, 0,
			"the room left in etcd is not known: etcd on node n2: its pod is not ready; etcd on node n3: gone",
		},
		"where one member is not read, another may refuse": {
			Reading{Members: []Space{node1(2 * gib)}, Unread: []Unread{{"n2", errNotReady}}}, million, 0, Refused, 0, "",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := Decide(tt.reading, tt.demand, tt.maxRate, defaultWindow)
			assert.Equal(t, tt.want, v.Outcome, v.Reason)
			assert.InDelta(t, tt.rate, v.Rate, 0)
			if tt.reason != "" {
				assert.Equal(t, tt.reason, v.Reason)
			}
			assert.NotEmpty(t, v.Reason)
			assert.Equal(t, v.Outcome == Refused, len(v.Hints) > 0)
		})
	}
}

func TestDecideSaysWhatCanBeDone(t *testing.T) {
	t.Parallel()
	v := Decide(Reading{Members: []Space{node1(700 * mib)}}, Demand{1_000_000, 1000 * mib}, 0, defaultWindow)
	assert.Equal(t, []string{"--max-rate 1042 lets etcd compact in time", hintCompact, hintQuota}, v.Hints)
	v = Decide(Reading{Members: []Space{node1(1700 * mib)}}, Demand{1000, mib}, 0, defaultWindow)
	assert.Equal(t, []string{hintCompact, hintQuota}, v.Hints)
	v = Decide(Reading{Members: []Space{{"n1", gib, gib - 1, mib}}}, Demand{1000, mib}, 0, defaultWindow)
	assert.Equal(t, []string{hintDefragment, hintQuota}, v.Hints)
	v = Decide(Reading{Members: []Space{{"n1", gib, gib, mib}}}, Demand{1000, mib}, 0, defaultWindow)
	assert.Equal(t, []string{hintDefragment, hintDisarm, hintQuota}, v.Hints)
}

func TestWithoutCompactionNoRateHelps(t *testing.T) {
	t.Parallel()
	reading, demand := Reading{Members: []Space{node1(700 * mib)}}, Demand{1_000_000, 1000 * mib}
	assert.Zero(t, Decide(reading, demand, 0, 0).Rate)
	assert.Equal(t, Refused, Decide(reading, demand, 1, 0).Outcome)
}

func anySpace(name string) *rapid.Generator[Space] {
	return rapid.Custom(func(t *rapid.T) Space {
		quota := rapid.SampledFrom([]int64{-1, 16 * mib, 2 * gib, 8 * gib}).Draw(t, "quota")
		file := rapid.Int64Range(0, max(quota, gib)).Draw(t, "file")
		return Space{Member: name, Quota: quota, File: file, InUse: rapid.Int64Range(0, file).Draw(t, "in use")}
	})
}

func anyDemand() *rapid.Generator[Demand] {
	return rapid.Custom(func(t *rapid.T) Demand {
		return Demand{rapid.Int64Range(Unknown, 2_000_000).Draw(t, "objects"), rapid.Int64Range(Unknown, 8*gib).Draw(t, "bytes")}
	})
}

// Whatever is decided, by whatever figures.
func TestDecideKeepsItsRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		reading := Reading{Members: []Space{anySpace("a").Draw(t, "a"), anySpace("b").Draw(t, "b")}}
		demand := anyDemand().Draw(t, "demand")
		maxRate := rapid.Float64Range(0, 2000).Draw(t, "max rate")
		window := time.Duration(rapid.IntRange(0, 1200).Draw(t, "window")) * time.Second
		v := Decide(reading, demand, maxRate, window)
		if v.Outcome == Fits && demand.Objects != 0 {
			for _, s := range reading.Members {
				after := s
				after.InUse += demand.growth(s.InUse, maxRate, window)
				assert.False(t, after.full(), "what fits leaves the reserve of every member")
			}
		}
		if v.Rate > 0 {
			assert.Equal(t, Refused, v.Outcome)
			assert.Equal(t, Fits, Decide(reading, demand, v.Rate, window).Outcome, "the rate that is named fits every member")
		}
		if v.Outcome == Refused && demand.Bytes > 0 {
			more := Decide(reading, Demand{demand.Objects, 2 * demand.Bytes}, maxRate, window)
			assert.Equal(t, Refused, more.Outcome, "more of it does not fit either")
		}
		if maxRate > 0 && v.Outcome == Refused {
			assert.Equal(t, Refused, Decide(reading, demand, 0, window).Outcome, "nor does it without a limit")
		}
	})
}

func TestDemandAddsUpAndIsCorrected(t *testing.T) {
	t.Parallel()
	assert.Equal(t, Demand{3, 30}, Demand{1, 10}.Plus(Demand{2, 20}))
	assert.Equal(t, Demand{3, Unknown}, Demand{1, 10}.Plus(Demand{2, Unknown}))
	assert.Equal(t, Demand{Unknown, 30}, Demand{1, 10}.Plus(Demand{Unknown, 20}))
	assert.Equal(t, Demand{20, 200}, Demand{10, 100}.Counted(20), "by the mean size")
	assert.Equal(t, Demand{0, 0}, Demand{10, 100}.Counted(0))
	assert.Equal(t, Demand{10, 100}, Demand{10, 100}.Counted(Unknown))
	assert.Equal(t, Demand{20, Unknown}, Demand{0, 0}.Counted(20), "there was no object whose size was known")
	assert.Equal(t, Demand{20, Unknown}, Demand{10, Unknown}.Counted(20))
}

func TestSizeIsShort(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]string{
		0: "0", 512: "512", 1023: "1023", kib: "1Ki", 1536: "2Ki", 9 * mib: "9Mi", 1843*mib + 5: "1843Mi", 2 * gib: "2Gi", 2*gib + 1: "2Gi",
		10*mib - 1: "10Mi",
	} {
		assert.Equal(t, want, size(bytes))
	}
}
