// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"fmt"
	"time"
)

const (
	hintCompact = "compact and defragment etcd: etcdctl endpoint status -w json shows the revision, then etcdctl compact REVISION " +
		"once, and etcdctl defrag on one member after the other, the leader last"
	hintDefragment = "defragment etcd: etcdctl defrag on one member after the other, the leader last"
	hintDisarm     = "then, if etcdctl alarm list shows NOSPACE, clear it: etcdctl alarm disarm"
	// The limit is etcd's own: go.etcd.io/etcd/server/v3@v3.7.0 storage/quota.go, MaxQuotaBytes.
	hintQuota = "raise etcd's --quota-backend-bytes in the manifest of every member; etcd suggests no more than 8589934592 (8Gi)"
)

// fits is the reason of a migration that fits.
func (v Verdict) fits() string {
	s := v.Space
	if !s.limited() {
		return fmt.Sprintf("etcd on node %s has no quota", s.Member)
	}
	return fmt.Sprintf("%s; the migration adds %s at most before etcd is compacted, %s stay free", s.inUse(), size(v.Growth), size(v.Left))
}

// explain gives reason and hints of one that is refused.
func (v *Verdict) explain() {
	s := v.Space
	if s.fileFull() {
		v.Reason = s.file()
		v.Hints = []string{hintDefragment, hintQuota}
		if s.passed() {
			v.Hints = []string{hintDefragment, hintDisarm, hintQuota}
		}
		return
	}
	left := "nothing would stay free"
	if v.Left > 0 {
		left = fmt.Sprintf("%s would stay free", size(v.Left))
	}
	v.Reason = fmt.Sprintf("%s; the migration adds %s before etcd is compacted: %s, and %s (%.0f%%) must",
		s.inUse(), size(v.Growth), left, size(s.Quota-s.mayUse()), 100*Reserve)
	v.Hints = []string{hintCompact, hintQuota}
	if v.Rate > 0 {
		v.Hints = append([]string{fmt.Sprintf("--max-rate %.0f lets etcd compact in time", v.Rate)}, v.Hints...)
	}
}

func (s Space) inUse() string {
	return fmt.Sprintf("etcd on node %s has %s of its quota of %s in use", s.Member, size(s.InUse), size(s.Quota))
}

func (s Space) file() string {
	return fmt.Sprintf("the file of etcd on node %s has grown to %s, over %.0f%% of its quota of %s; compaction does not make it smaller",
		s.Member, size(s.File), 100*FullFile, size(s.Quota))
}

// paused says why a migration is held by a full member, and what ends that.
func paused(s Space) string {
	if s.fileFull() {
		return "the migration is paused: " + s.file() + "; it goes on by itself when that member was defragmented (etcdctl defrag)" + s.disarm()
	}
	return fmt.Sprintf("the migration is paused: %s, and %.0f%% must stay free; it goes on by itself when etcd has been compacted",
		s.inUse(), 100*Reserve)
}

// disarm says what else there is to do where the quota is passed.
func (s Space) disarm() string {
	if !s.passed() {
		return ""
	}
	return "; over the quota, etcd raises the alarm NOSPACE and refuses all writes until that is cleared as well (etcdctl alarm list, etcdctl " +
		"alarm disarm)"
}

// pausedEarly says why a migration is held by a member that is not full yet and would be after so much time, and that it is
// let go at the end of the window if the member has not become full by then.
func pausedEarly(now, later Space, after, window time.Duration) string {
	in := after.Round(time.Second)
	if later.scarce() {
		return fmt.Sprintf("the migration is paused: %s and would have %s in %s, and %.0f%% must stay free; it goes on by itself when "+
			"etcd has been compacted, at the latest after %s unless it is full then", now.inUse(), size(later.InUse), in, 100*Reserve, window)
	}
	return fmt.Sprintf("the migration is paused: the file of etcd on node %s has %s of its quota of %s and would have %s in %s, over %.0f%%; "+
		"it goes on by itself after %s unless it is over that by then",
		now.Member, size(now.File), size(now.Quota), size(later.File), in, 100*FullFile, window)
}
