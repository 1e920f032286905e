// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reload tells from a kube-apiserver's metrics which encryption configuration it has loaded.
//
// It is pure: metrics text in, evidence and a verdict out. All metrics are alpha in Kubernetes; where one is missing
// the verdict is "not proven", never "proven".
//
// Two proofs, by version (k8s.io/apiserver@v0.37.2 pkg/server/options/encryptionconfig/metrics/metrics.go and the same
// file of v0.29.15 to v0.36.3):
//
//  1. From 1.34: apiserver_encryption_config_controller_last_config_info{hash} is the SHA-256 of the bytes that the
//     process runs with, set at start and after each reload, after the new transformers serve.
//  2. Before: the process started after the file was written, or it has reloaded successfully since. Both times and
//     the file's are of one node's clock, so no two clocks are compared. The metric counts a reload when the bytes
//     differ from those loaded before; a reload that was under way when the file was written could be taken for
//     one of the new file, hence files are only written after the one before is proven.
package reload

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/metrics"
)

const prefix = "apiserver_encryption_config_controller_"

// startMargin covers that a process's start time is computed from the kernel's ticks.
const startMargin = 2 * time.Second

// Evidence is what one kube-apiserver tells of itself.
type Evidence struct {
	// IDHash is the apiserver_id_hash of the metrics, empty if no metric of the controller is there.
	IDHash string
	// Version is the kube-apiserver's version, such as "v1.37.1".
	Version string
	// Hash is the digest of the loaded configuration, empty before 1.34 and without a configuration.
	Hash string
	// TellsHash is true from 1.34 on: an empty Hash then means that there is no configuration.
	TellsHash bool
	// Started is when the process started, by its node's clock.
	Started time.Time
	// LastSuccess and LastFailure are the last reloads, zero if there was none since the start.
	LastSuccess, LastFailure time.Time
	// Writes counts what was encrypted since the start, by resource and key.
	Writes map[string]map[KeyPrefix]float64
	// Reads counts what was decrypted since the start.
	Reads map[string]map[KeyPrefix]float64
}

// KeyPrefix is the label transformer_prefix: a provider's "k8s:enc:aesgcm:v1:" or a key's "key1:".
type KeyPrefix string

// Verdict is whether a kube-apiserver is proven to have loaded a file.
type Verdict struct {
	Loaded bool
	// Reason says what proves it, or what is missing.
	Reason string
}

// Parse reads metrics in the Prometheus text format.
func Parse(r io.Reader) (Evidence, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return Evidence{}, fmt.Errorf("parse metrics: %w", err)
	}
	e := Evidence{Writes: map[string]map[KeyPrefix]float64{}, Reads: map[string]map[KeyPrefix]float64{}}
	metrics.Each(families["kubernetes_build_info"], func(l map[string]string, _ float64) { e.Version = l["git_version"] })
	metrics.Each(families["process_start_time_seconds"], func(_ map[string]string, v float64) { e.Started = seconds(v) })
	metrics.Each(families[prefix+"last_config_info"], func(l map[string]string, v float64) {
		if v == 1 {
			e.Hash, e.IDHash = l["hash"], l["apiserver_id_hash"]
		}
	})
	metrics.Each(families[prefix+"automatic_reload_last_timestamp_seconds"], func(l map[string]string, v float64) {
		e.IDHash = l["apiserver_id_hash"]
		switch l["status"] {
		case "success":
			e.LastSuccess = seconds(v)
		case "failure":
			e.LastFailure = seconds(v)
		}
	})
	e.TellsHash = e.Hash != "" || tellsHash(e.Version)
	metrics.Each(families["apiserver_storage_transformation_operations_total"], e.count)
	return e, nil
}

func (e *Evidence) count(l map[string]string, v float64) {
	if l["status"] != "OK" || l["resource"] == "" || v == 0 {
		return
	}
	into := e.Reads
	if l["transformation_type"] == "to_storage" {
		into = e.Writes
	}
	if into[l["resource"]] == nil {
		into[l["resource"]] = map[KeyPrefix]float64{}
	}
	into[l["resource"]][KeyPrefix(l["transformer_prefix"])] += v
}

// tellsHash is true from 1.34 on.
func tellsHash(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "v%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 1 || major == 1 && minor >= 34
}

// Proves tells whether the evidence proves that the process has loaded the file with the given digest, which was
// written at the given time of the node's clock. A zero time stands for "not known".
func (e Evidence) Proves(digest string, written time.Time) Verdict {
	switch {
	case e.TellsHash && e.Hash == digest:
		return Verdict{true, "it reports the file's hash"}
	case e.TellsHash && e.Hash == "":
		return Verdict{false, "it runs without an encryption configuration"}
	case e.TellsHash:
		return Verdict{false, "it still runs another configuration"}
	case written.IsZero():
		return Verdict{false, "it does not report a hash (before 1.34), and the time of the file is not known"}
	case e.Started.After(written.Add(startMargin)):
		return Verdict{true, "it started after the file was written"}
	case e.LastSuccess.After(written):
		return Verdict{true, "it has reloaded since the file was written"}
	}
	return Verdict{false, "it has not reloaded since the file was written"}
}

// Failed tells whether the last reload failed.
func (e Evidence) Failed() bool { return !e.LastFailure.IsZero() && e.LastFailure.After(e.LastSuccess) }

// FailedSince tells whether the last reload failed, and was after the file was written.
func (e Evidence) FailedSince(written time.Time) bool {
	return e.LastFailure.After(written) && e.LastFailure.After(e.LastSuccess)
}

// Provider is the provider that a prefix names, empty if it names a key: "k8s:enc:aesgcm:v1:" is aesgcm.
func (p KeyPrefix) Provider() string {
	rest, ok := strings.CutPrefix(string(p), "k8s:enc:")
	if !ok {
		return ""
	}
	provider, _, _ := strings.Cut(rest, ":")
	return provider
}

// Key is the key that a prefix names, empty if it names a provider.
func (p KeyPrefix) Key() string {
	if p.Provider() != "" {
		return ""
	}
	return strings.TrimSuffix(string(p), ":")
}

func seconds(v float64) time.Time {
	whole, frac := math.Modf(v)
	return time.Unix(int64(whole), int64(frac*float64(time.Second)))
}
