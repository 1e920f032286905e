// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics reads the Prometheus text format, as much of it as is asked for.
package metrics

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

// Pick reads metrics in the Prometheus text format and keeps the series of the given names. All else is passed over
// line by line: the metrics of a kube-apiserver may have tens of MB, what is kept has some KB. Without the comments, all
// series are untyped.
func Pick(r io.Reader, names ...string) (map[string]*dto.MetricFamily, error) {
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

// Each calls do with the labels and the value of every series: of the three kinds that have one value, it has one.
func Each(f *dto.MetricFamily, do func(labels map[string]string, value float64)) {
	for _, m := range f.GetMetric() {
		labels := make(map[string]string, len(m.GetLabel()))
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		do(labels, m.GetGauge().GetValue()+m.GetCounter().GetValue()+m.GetUntyped().GetValue())
	}
}
