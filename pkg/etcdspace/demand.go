// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"math"
	"time"
)

// Unknown stands for a number that is not known, as it does in kube-apiserver's metrics.
const Unknown = -1

// Demand is what a migration writes again: the objects of the resources and the bytes that they have in etcd.
type Demand struct {
	// Objects, or Unknown.
	Objects int64
	// Bytes, or Unknown.
	Bytes int64
}

// Mean is the size of an object in bytes, 0 if that is not known.
func (d Demand) Mean() int64 {
	if d.Objects <= 0 || d.Bytes < 0 {
		return 0
	}
	return d.Bytes / d.Objects
}

// Plus adds what another resource demands. What is not known of one is not known of both.
func (d Demand) Plus(other Demand) Demand {
	return Demand{Objects: plus(d.Objects, other.Objects), Bytes: plus(d.Bytes, other.Bytes)}
}

func plus(a, b int64) int64 {
	if a < 0 || b < 0 {
		return Unknown
	}
	return a + b
}

// Counted is the demand with the number of objects that was counted since. The bytes follow from the mean size, and are
// Unknown if there was no object to have one: kube-apiserver's numbers are up to two minutes old.
func (d Demand) Counted(objects int64) Demand {
	switch {
	case objects < 0 || objects == d.Objects:
		return d
	case d.Objects <= 0 || d.Bytes < 0:
		return Demand{Objects: objects, Bytes: Unknown}
	}
	return Demand{Objects: objects, Bytes: int64(math.Ceil(float64(objects) * float64(d.Bytes) / float64(d.Objects)))}
}

// bytesIn is the size of what is written again, in a member where so much is in use: the smaller of the two (rule 6).
func (d Demand) bytesIn(inUse int64) int64 {
	switch {
	case d.Objects == 0:
		return 0
	case d.Bytes < 0:
		return inUse
	}
	return d.Bytes
}

// growth is what comes into use in a member before it is compacted (rule 1), in bytes. No limit of the rate is 0, no
// compaction is a window of 0.
func (d Demand) growth(inUse int64, maxRate float64, window time.Duration) int64 {
	all := Amplification * float64(d.bytesIn(inUse))
	if maxRate <= 0 || window <= 0 || d.Objects <= 0 {
		return int64(math.Ceil(all))
	}
	return int64(math.Ceil(min(all, maxRate*d.perRate(inUse, window))))
}

// perRate is the growth for each object per second.
func (d Demand) perRate(inUse int64, window time.Duration) float64 {
	mean := float64(d.bytesIn(inUse)) / float64(d.Objects)
	return Amplification * mean * window.Seconds()
}

// rateFor is the highest whole rate, in objects per second, whose growth fits into so many bytes. 0 if none does.
func (d Demand) rateFor(room, inUse int64, window time.Duration) float64 {
	if room <= 0 || window <= 0 || d.Objects <= 0 {
		return 0
	}
	rate := math.Floor(float64(room) / d.perRate(inUse, window))
	for rate >= 1 && d.growth(inUse, rate, window) > room {
		rate-- // the growth is rounded up to whole bytes
	}
	return max(rate, 0)
}
