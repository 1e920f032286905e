// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

func key(name string) encconfig.Key { return encconfig.Key{Provider: encconfig.AESGCM, Name: name} }

func config(keys ...encconfig.Key) *encconfig.Description {
	return &encconfig.Description{Digest: "sha256:x", Rules: []encconfig.Rule{{
		Resources: []string{"secrets", "configmaps"}, Keys: append(keys, encconfig.Key{Provider: encconfig.Identity}),
	}}}
}

// at is a run to key 2 on nodes that have the given configurations.
func at(mode Mode, configs map[string]*encconfig.Description) *Run {
	r := &Run{Operation: &operation.Operation{}, Options: Options{Mode: mode}}
	r.goal = plan.Goal{Target: key("2"), Abort: mode == Abort}
	r.View = &observe.View{ControlPlane: &controlplane.ControlPlane{}}
	r.Files = map[string]agentapi.State{}
	for _, node := range slices.Sorted(maps.Keys(configs)) {
		c := configs[node]
		r.View.ControlPlane.Instances = append(r.View.ControlPlane.Instances, controlplane.Instance{
			Node: node, Manifest: controlplane.Manifest{ConfigPath: "/enc/config.yaml", HostDir: "/enc", File: "config.yaml", AutomaticReload: true},
		})
		r.Files[node] = agentapi.State{Config: c}
	}
	return r
}

func TestStageAndTextOfEachStep(t *testing.T) {
	t.Parallel()
	push := func(kind encconfig.ChangeKind) plan.Step {
		return plan.Step{
			Kind: plan.Push, Source: "n1", Targets: []string{"n1", "n2"}, Change: encconfig.Change{Kind: kind, Keys: []encconfig.Key{key("1")}},
		}
	}
	tests := map[string]struct {
		mode        Mode
		step        plan.Step
		stage, text string
	}{
		"add":     {Begin, push(encconfig.AddReadKey), "add-read-key", "add key aesgcm/2 as read key on n1, n2"},
		"alone":   {Begin, push(encconfig.AddWriteKey), "add-write-key", "add key aesgcm/2 as write key on n1, n2 (one kube-apiserver: no other has to read it first)"},
		"promote": {Begin, push(encconfig.Promote), "promote", "promote key aesgcm/2 to write key on n1, n2"},
		"prune":   {Begin, push(encconfig.Remove), "prune", "take keys out that nothing needs any more (aesgcm/1) on n1, n2"},
		"finish":  {Resume, push(encconfig.KeepAll), "finish-push", "give n1, n2 the file of n1"},
		"undo":    {Abort, push(encconfig.Remove), "undo", "take key aesgcm/2 out again on n1, n2"},
		"await":   {Begin, plan.Step{Kind: plan.Await}, "await", "wait until each of the 2 kube-apiservers has loaded the file of its node (it looks once a minute)"},
		"settle":  {Begin, plan.Step{Kind: plan.Settle}, "settle", "let writes in flight end and record baselines"},
		"migrate": {Begin, plan.Step{Kind: plan.Migrate}, "migrate", "migrate every encrypted resource to key aesgcm/2"},
		"verify":  {Begin, plan.Step{Kind: plan.Verify}, "verify", "count in etcd under which keys values are stored"},
		"close":   {Begin, plan.Step{Kind: plan.Close}, "close", "finish the record"},
		"done":    {Begin, plan.Step{Kind: plan.Done}, "done", "done"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := at(tt.mode, map[string]*encconfig.Description{"n1": config(key("1")), "n2": config(key("1"))})
			assert.Equal(t, tt.stage, r.stage(tt.step))
			assert.Equal(t, tt.text, r.text(tt.step))
		})
	}
	alone := at(Begin, map[string]*encconfig.Description{"n1": config(key("1"))})
	assert.Equal(t, "wait until the kube-apiserver has loaded the file of its node (it looks once a minute)", alone.text(plan.Step{Kind: plan.Await}))
}

// Whatever goes wrong, people are told whether they may stop there, and which command goes on or back.
func TestStanding(t *testing.T) {
	t.Parallel()
	const resume, abort = "go on with: kubectl encryption rotate --resume", "take back with: kubectl encryption rotate --abort"
	type nodes = map[string]*encconfig.Description
	before, added, promoted := config(key("1")), config(key("1"), key("2")), config(key("2"), key("1"))
	tests := map[string]struct {
		mode   Mode
		nodes  nodes
		change func(*Run)
		safe   string
		hints  []string
	}{
		"before anything": {
			Begin, nodes{"n1": before}, func(r *Run) { r.goal.Target = encconfig.Key{} }, "nothing was changed", nil,
		},
		"with a record and nothing on a node": {
			Begin, nodes{"n1": before, "n2": before}, func(r *Run) { r.record.ID = "run1" }, "nothing was changed on any node", []string{resume, abort},
		},
		"a push has begun, and may have reached a node": {
			Begin,
			nodes{"n1": before, "n2": before},
			func(r *Run) { r.record.ID, r.Pushed = "run1", true },
			"safe to stop here: nothing is written with the new key yet",
			[]string{resume, abort},
		},
		"the key is on one node": {
			Begin, nodes{"n1": before, "n2": added}, nil, "safe to stop here: nothing is written with the new key yet", []string{resume, abort},
		},
		"the key writes on one node": {
			Resume,
			nodes{"n1": added, "n2": promoted},
			nil,
			"safe to stop here: every kube-apiserver can read the old key and the new one",
			[]string{resume},
		},
		"the key writes everywhere": {
			Begin,
			nodes{"n1": promoted, "n2": promoted},
			nil,
			"safe to stop here: every kube-apiserver can read the old key and the new one",
			[]string{resume},
		},
		"a file is not understood, the other has the key": {
			Begin, nodes{"n1": nil, "n2": added}, nil, "safe to stop here: nothing is written with the new key yet", []string{resume, abort},
		},
		"the key is taken back": {
			Abort,
			nodes{"n1": added, "n2": before},
			nil,
			"safe to stop here: nothing is written with the key that is taken back",
			[]string{"go on with: kubectl encryption rotate --abort"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := at(tt.mode, tt.nodes)
			if tt.change != nil {
				tt.change(r)
			}
			safe, hints := r.standing()
			assert.Equal(t, tt.safe, safe)
			assert.Equal(t, tt.hints, hints)
		})
	}
}
