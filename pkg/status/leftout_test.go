// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/status"
)

func TestANodeThatWasLeftOutIsNamedUntilItIsAsTheOthers(t *testing.T) {
	t.Parallel()
	const problem = "node n3 was left out of the rotation to key aesgcm/2 and does not run its configuration: " +
		"it may not be able to read what is written with that key, and may write with an older one"
	for name, tt := range map[string]struct {
		change func(*status.Seen)
		named  bool
	}{
		"it is silent": {
			func(s *status.Seen) {
				delete(s.View.Evidence, "n3")
				s.View.Errors = map[string]error{"n3": errors.New("no answer")}
			}, true,
		},
		"it is back with an old file": {
			func(s *status.Seen) { s.View.Evidence["n3"] = evidence("n3", digest("a")) }, true,
		},
		"it is taken out of the cluster": {
			func(s *status.Seen) { s.View.ControlPlane.Instances = s.View.ControlPlane.Instances[:2] }, false,
		},
		"it has the file": {func(*status.Seen) {}, false},
		"a rotation with all nodes came after it": {
			func(s *status.Seen) {
				record(s, func(r *ledger.Rotation) {
					r.ID, r.StartDigest, r.Config = "run2", digest("b"), config("c", key("3"), key("2"))
				})
			}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := seen()
			record(s, func(r *ledger.Rotation) { r.LeftOut = []string{"n3"} })
			tt.change(s)
			st := status.Assess(s, v1alpha1.Cluster{})
			assert.False(t, st.Healthy, "what a node may have written since is not proven")
			if !tt.named {
				assert.NotContains(t, st.Problems, problem)
				return
			}
			assert.Equal(t, problem, st.Problems[0])
			assert.Contains(t, st.Summary, problem)
			assert.Contains(t, st.Hints, "Before its kube-apiserver starts again, give it the file, by hand: encryption-agent recipient on the node, "+
				"then kubectl encryption join --name n3 --recipient KEY (docs/join.md). If it has started: kubectl encryption repair.")
		})
	}
}
