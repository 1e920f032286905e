// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/status"
)

var update = flag.Bool("update", false, "write the golden files")

func assess(change func(*status.Seen)) *v1alpha1.EncryptionStatus {
	s := seen()
	change(s)
	return status.Assess(s, v1alpha1.Cluster{Context: "prod", Server: "https://192.0.2.10:6443", User: "ann"})
}

// The tables that people see of the same scenarios are in pkg/cmd/status.
func TestAssess(t *testing.T) {
	t.Parallel()
	for name, change := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got bytes.Buffer
			enc := json.NewEncoder(&got)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			require.NoError(t, enc.Encode(assess(change)))
			golden := filepath.Join("testdata", strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(name)+".json")
			if *update {
				require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), got.String())
		})
	}
}

// healthy are all scenarios of which may be said that all is well.
func healthy() []string {
	return []string{
		"all is well", "all is well and verified", "verified before the configuration changed",
		"verified before the last migration, with values that were stale", "verified everything, without proof", "one node, all is well", "a rotation was taken back", "objects that are not newer were found current",
		"one resource is decrypted", "kubeadm keeps the flags",
	}
}

func TestAssessCallsNothingWellThatIsNotProven(t *testing.T) {
	t.Parallel()
	for name, change := range scenarios() {
		st := assess(change)
		assert.Equal(t, slices.Contains(healthy(), name), st.Healthy, name)
		require.Len(t, st.Conditions, 1)
		assert.Equal(t, st.Healthy, st.Conditions[0].Status == metav1.ConditionTrue, name)
		assert.Equal(t, st.Healthy, strings.HasPrefix(st.Summary, "All is well"), name)
		assert.Equal(t, st.Summary, st.Conditions[0].Message, name)
	}
}

// Whatever one more thing is wrong with a healthy cluster, it is not healthy any more.
func TestAssessIsNotHealthyWithAnythingWrong(t *testing.T) {
	t.Parallel()
	wrongs := map[string]func(*status.Seen, string){
		"another hash": func(s *status.Seen, n string) { s.View.Evidence[n] = evidence(n, digest("c")) },
		"no hash":      func(s *status.Seen, n string) { s.View.Evidence[n] = evidence(n, "") },
		"not reached":  func(s *status.Seen, n string) { delete(s.View.Evidence, n) },
		"failed reload": func(s *status.Seen, n string) {
			e := s.View.Evidence[n]
			e.LastFailure = day(11)
			s.View.Evidence[n] = e
		},
		"stale object":      func(s *status.Seen, _ string) { s.Counts["secrets"] = status.Count{Objects: 1, NotNewer: 1} },
		"uncounted objects": func(s *status.Seen, _ string) { s.Counts["secrets"] = status.Count{Err: os.ErrPermission} },
		"open rotation":     func(s *status.Seen, _ string) { s.View.Ledger.Last().CompletionTime = nil },
		"disagreement":      func(s *status.Seen, _ string) { s.View.ControlPlane.Disagreements = []string{"x"} },
		"no record":         func(s *status.Seen, _ string) { s.View.Ledger, s.Config = &ledger.Ledger{}, nil },
		"old version": func(s *status.Seen, _ string) {
			each(s, func(e *reload.Evidence) { e.TellsHash, e.Hash = false, "" })
		},
		"kubeadm would undo it": func(s *status.Seen, _ string) { s.Kubeadm.Found = true },
		"no baseline":           func(s *status.Seen, _ string) { delete(s.View.Ledger.Last().Migrations, "configmaps") },
	}
	names := make([]string, 0, len(wrongs))
	for name := range wrongs {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		s := seen()
		record(s, nil)
		require.True(t, status.Assess(s, v1alpha1.Cluster{}).Healthy)
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID).Draw(t, "wrong") {
			if name == "failed reload" && len(s.View.Evidence) < 3 {
				continue
			}
			if last := s.View.Ledger.Last(); last == nil && (name == "open rotation" || name == "no baseline") {
				continue
			}
			wrongs[name](s, rapid.SampledFrom([]string{"n1", "n2", "n3"}).Draw(t, "node"))
		}
		st := status.Assess(s, v1alpha1.Cluster{})
		assert.False(t, st.Healthy, st.Summary)
		assert.NotEqual(t, metav1.ConditionTrue, st.Conditions[0].Status)
	})
}

// Bytes that a kube-apiserver has loaded it does not load again: after a repair that put them back, it goes on telling that its
// last reload failed.
func TestAssessTellsOfNoReloadThatARepairHasOvercome(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		failed  int
		healthy bool
	}{
		"the one that the repair saw": {11, true},
		"one after it":                {12, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := assess(func(s *status.Seen) {
				record(s, nil)
				e := s.View.Evidence["n2"]
				e.LastFailure = day(tt.failed)
				s.View.Evidence["n2"] = e
				s.View.Ledger.Overcome = map[string]time.Time{"n2": day(11)}
			})
			assert.Equal(t, tt.healthy, st.Healthy, st.Summary)
		})
	}
}

func TestAssessNamesAWriteKeyOnlyWhereItIsCertain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		writes   map[reload.KeyPrefix]float64
		reloaded bool
		provider string
		writeKey string
	}{
		"one key has written since the start":      {map[reload.KeyPrefix]float64{"k8s:enc:aesgcm:v1:": 3, "7:": 3}, false, "aesgcm", "7"},
		"it has reloaded since":                    {map[reload.KeyPrefix]float64{"k8s:enc:aesgcm:v1:": 3, "7:": 3}, true, "Unknown", ""},
		"nothing was written":                      {nil, false, "Unknown", ""},
		"two keys of one provider have written":    {map[reload.KeyPrefix]float64{"k8s:enc:aesgcm:v1:": 3, "7:": 3, "8:": 1}, false, "aesgcm", ""},
		"two providers have written":               {map[reload.KeyPrefix]float64{"k8s:enc:aesgcm:v1:": 3, "k8s:enc:aescbc:v1:": 3, "7:": 3}, false, "Unknown", ""},
		"a provider without names of keys (KMS)":   {map[reload.KeyPrefix]float64{"k8s:enc:kms:v2:": 3}, false, "kms", ""},
		"plaintext was written as well as a key's": {map[reload.KeyPrefix]float64{"": 1, "k8s:enc:aesgcm:v1:": 3, "7:": 3}, false, "Unknown", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := assess(func(s *status.Seen) {
				each(s, func(e *reload.Evidence) {
					e.Writes = map[string]map[reload.KeyPrefix]float64{"secrets": tt.writes}
					if !tt.reloaded {
						e.LastSuccess = e.LastFailure
					}
				})
			})
			at := slices.IndexFunc(st.Resources, func(r v1alpha1.ResourceStatus) bool { return r.Name == "secrets" })
			assert.Equal(t, tt.provider, st.Resources[at].Provider)
			assert.Equal(t, tt.writeKey, st.Resources[at].WriteKey)
		})
	}
}

// A baseline outlasts commands that were about other resources alone, and nothing else.
func TestAssessTrustsABaselineFromBeforeCommandsAboutOthers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*ledger.Rotation)
		proven bool
	}{
		"a disable of another resource":             {func(*ledger.Rotation) {}, true},
		"one that began with another configuration": {func(r *ledger.Rotation) { r.StartDigest = digest("c") }, false},
		"one that was about the resource as well":   {func(r *ledger.Rotation) { r.Resources = []string{"configmaps", "secrets"} }, false},
		"one by a wildcard":                         {func(r *ledger.Rotation) { r.Resources = []string{"*.*"} }, false},
		"a rotation of everything":                  {func(r *ledger.Rotation) { r.Command, r.Resources, r.To = "", nil, key("3") }, false},
		"one whose end is not on record":            {func(r *ledger.Rotation) { r.Config.Digest = digest("c") }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := assess(func(s *status.Seen) {
				disabled(s, nil, "configmaps")
				s.Config = decrypting("b", "configmaps")
				tt.change(s.View.Ledger.Last())
			})
			at := slices.IndexFunc(st.Resources, func(r v1alpha1.ResourceStatus) bool { return r.Name == "secrets" })
			assert.Equal(t, tt.proven, st.Resources[at].Stale != nil)
		})
	}
}
