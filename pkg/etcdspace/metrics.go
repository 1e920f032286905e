// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// longestLine of metrics, in bytes, that is accepted.
const longestLine = 1 << 20

// pick reads metrics in the Prometheus text format and keeps the series of the given names. All else is passed over
// line by line: the metrics of a kube-apiserver may have tens of MB, what is kept has some KB. Without the comments, all
// series are untyped.
func pick(r io.Reader, names ...string) (map[string]*dto.MetricFamily, error) {
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = true
	}
	var kept bytes.Buffer
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		if line := lines.Bytes(); wanted[string(seriesName(line))] {
			kept.Write(line)
			kept.WriteByte('\n')
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(&kept)
	if err != nil {
		return nil, fmt.Errorf("parse metrics: %w", err)
	}
	return families, nil
}

// seriesName is what stands before labels and value; "#" in a comment.
func seriesName(line []byte) []byte {
	if end := bytes.IndexAny(line, "{ \t"); end >= 0 {
		return line[:end]
	}
	return line
}

// each calls do with the labels and the value of every series.
func each(f *dto.MetricFamily, do func(labels map[string]string, value float64)) {
	for _, m := range f.GetMetric() {
		labels := make(map[string]string, len(m.GetLabel()))
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		do(labels, m.GetUntyped().GetValue())
	}
}

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
	families, err := pick(r, memberQuota, memberFile, memberInUse)
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
