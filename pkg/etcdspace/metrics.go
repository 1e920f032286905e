// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"fmt"
	"io"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/metrics"
)

// The gauges of a member, of the same names in etcd 3.5 to 3.7 (go.etcd.io/etcd/server/v3@v3.7.0 storage/metrics.go and
// storage/mvcc/metrics.go; v3.6.4 the same; v3.5.21 etcdserver/metrics.go and mvcc/metrics.go).
const (
	memberQuota = "etcd_server_quota_backend_bytes"
	memberFile  = "etcd_mvcc_db_total_size_in_bytes"
	memberInUse = "etcd_mvcc_db_total_size_in_use_in_bytes"
)

// ParseMember reads the metrics of one member of etcd. A quota that is switched off comes out below 0.
func ParseMember(r io.Reader) (Space, error) {
	var s Space
	gauges := map[string]*int64{memberQuota: &s.Quota, memberFile: &s.File, memberInUse: &s.InUse}
	families, err := metrics.Pick(r, memberQuota, memberFile, memberInUse)
	if err != nil {
		return Space{}, err
	}
	for name, into := range gauges {
		series := families[name].GetMetric()
		if len(series) != 1 {
			return Space{}, fmt.Errorf("%s is given %d times", name, len(series))
		}
		*into = int64(series[0].GetUntyped().GetValue())
	}
	return s, nil
}
