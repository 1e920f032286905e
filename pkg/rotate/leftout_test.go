// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
)

// without is a run on n1 and n2 that goes on without n3.
func without(mode Mode, config *encconfig.Description, left ...controlplane.LeftOut) *Run {
	r := at(mode, map[string]*encconfig.Description{"n1": config, "n2": config})
	r.View.LeftOut, r.Ignore = left, []string{"n3"}
	return r
}

func TestARunSaysWhatItGoesOnWithout(t *testing.T) {
	t.Parallel()
	silent := without(Begin, config(key("2"), key("1")), controlplane.LeftOut{Node: "n3", SilentFor: 90*time.Second + time.Millisecond})
	assert.Equal(t, []string{
		"node n3 is left out: its kubelet has been silent for 1m30s, and its kube-apiserver does not serve. It keeps the file that it has, " +
			"with which it may not be able to read what is written with the new key. Before its kube-apiserver starts again, give it the file, by hand: " +
			"encryption-agent recipient on the node, then kubectl encryption join --name n3 --recipient KEY (docs/join.md). " +
			"If it has started: kubectl encryption repair. No key is pruned while a node is left out",
	}, silent.warnOfLeftOut())
	silent.record.ID = "one"
	assert.Contains(t, silent.Result(), "it writes on every kube-apiserver but the left out one on n3; ")
	safe, hints := silent.standing()
	assert.Equal(t, "safe to stop here: every kube-apiserver but the left out one on n3 can read the old key and the new one", safe)
	assert.Equal(t, []string{"go on with: kubectl encryption rotate --resume --ignore-node n3"}, hints)

	begun := without(Begin, nil, controlplane.LeftOut{Node: "n3"})
	begun.record.ID = "one"
	_, hints = begun.standing()
	assert.Equal(t, []string{"go on with: kubectl encryption rotate --resume --ignore-node n3"}, hints, "no way back while a node is left out")

	gone := without(Begin, config(key("1")), controlplane.LeftOut{Node: "n3", Gone: true})
	assert.Contains(t, gone.warnOfLeftOut()[0], "its Node object is gone, and its kube-apiserver does not serve")

	nobody := without(Begin, config(key("1")))
	assert.Equal(t, []string{"there is no control-plane node n3: nothing is left out for it"}, nobody.warnOfLeftOut())
	assert.Empty(t, nobody.butLeftOut())
}

func TestOnlyWhoIgnoresNodesIsAskedForTheRightToSeeKubeletsLeases(t *testing.T) {
	t.Parallel()
	assert.NotSubset(t, at(Begin, nil).permissions(), observe.LeaveOutPermissions())
	assert.Subset(t, without(Begin, nil).permissions(), observe.LeaveOutPermissions())
}

// What is proven without a node is proven for those that were there.
func TestWhatIsInheritedFromARecord(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		earlier, now []string
		inherits     bool
	}{
		"all were there, and are":       {nil, nil, true},
		"all were there, one is not":    {nil, []string{"n3"}, true},
		"the same one is not there":     {[]string{"n3"}, []string{"n3"}, true},
		"one was not there, and is now": {[]string{"n3"}, nil, false},
		"another one is not there":      {[]string{"n3"}, []string{"n2"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			record, agreed := ledger.Rotation{LeftOut: tt.now}, *config(key("1"))
			inherit(&record, &ledger.Rotation{LeftOut: tt.earlier, Used: true, Config: &encconfig.Description{Digest: agreed.Digest}}, agreed)
			assert.Equal(t, tt.inherits, record.Used)
			if tt.inherits {
				assert.Equal(t, &agreed, record.Config, "with the rules, of which an earlier record may have kept none")
			}
		})
	}
}

// A rotation that was stopped has baselines of without the node: when the node is back, what it has written since may be under an
// older key, and is later than they are.
func TestAMigrationTakesNoBaselinesFromARotationThatLeftANodeOut(t *testing.T) {
	t.Parallel()
	for name, left := range map[string][]string{"of all nodes": nil, "without one": {"n3"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := after(t, MigrateOnly, nil, nil)
			r.ID, r.Cluster.Config = "again", timed(t)
			require.NoError(t, r.Ledger().Update(t.Context(), func(l *ledger.Ledger) { l.Rotations[0].LeftOut = left }))
			require.NoError(t, r.adopt(t.Context(), key("2"), *r.Files["n1"].Config))
			assert.Equal(t, left == nil, r.record.ID == "run")
			assert.Equal(t, left == nil, r.record.Settled([]string{"secrets"}))
		})
	}
}
