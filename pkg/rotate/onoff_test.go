// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// ruled is a configuration with a rule for each resource.
func ruled(rules map[string][]encconfig.Key) *encconfig.Description {
	d := &encconfig.Description{Digest: "sha256:r"}
	for _, resource := range []string{"secrets", "configmaps"} {
		if keys := rules[resource]; keys != nil {
			d.Rules = append(d.Rules, encconfig.Rule{Resources: []string{resource}, Keys: keys})
		}
	}
	return d
}

func TestWantedIsWhatTheCommandLineAsksForOnTopOfWhatIsThere(t *testing.T) {
	t.Parallel()
	plain := plan.Observed{Nodes: []plan.Node{{Name: "n1", Missing: true, Flags: plan.FlagsUnset}}}
	on := plan.Observed{Nodes: []plan.Node{{Name: "n1", Config: ruled(map[string][]encconfig.Key{"secrets": {key("3"), identity()}})}}}
	off := plan.Observed{Nodes: []plan.Node{{Name: "n1", Config: ruled(map[string][]encconfig.Key{"secrets": {identity(), key("3")}})}}}
	box := func(name string) encconfig.Key { return encconfig.Key{Provider: encconfig.Secretbox, Name: name} }
	tests := map[string]struct {
		seen    plan.Observed
		options Options
		want    plan.Goal
	}{
		"plaintext, nothing said => the defaults": {
			plain, Options{Mode: Enable}, plan.Goal{Target: key("1"), Resources: []string{"secrets", "configmaps"}, Flags: plan.SetFlags},
		},
		"plaintext, all said": {
			plain,
			Options{Mode: Enable, Provider: encconfig.Secretbox, Resources: []string{"*.*"}},
			plan.Goal{Target: box("1"), Resources: []string{"*.*"}, Flags: plan.SetFlags},
		},
		"on, a resource => the write key for it too": {
			on, Options{Mode: Enable, Resources: []string{"configmaps"}}, plan.Goal{Target: key("3"), Resources: []string{"configmaps"}, Flags: plan.SetFlags},
		},
		"on, another provider => a rotation to a new key": {
			on, Options{Mode: Enable, Provider: encconfig.Secretbox}, plan.Goal{Target: box("4"), Flags: plan.SetFlags},
		},
		"on, the same provider => what is there": {
			on, Options{Mode: Enable, Provider: encconfig.AESGCM}, plan.Goal{Target: key("3"), Flags: plan.SetFlags},
		},
		"turned off once => a new key": {
			off, Options{Mode: Enable, Resources: []string{"secrets"}}, plan.Goal{Target: key("4"), Resources: []string{"secrets"}, Flags: plan.SetFlags},
		},
		"off with everything": {on, Options{Mode: Disable}, plan.Goal{Target: identity(), Resources: []string{"secrets"}}},
		"off to the end": {
			on, Options{Mode: Disable, RemoveFlags: true}, plan.Goal{Target: identity(), Resources: []string{"secrets"}, Flags: plan.RemoveFlags},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := previewed(tc.options.Mode, &ledger.Ledger{}, "n1")
			r.Options = tc.options
			got, err := r.wanted(tc.seen, nil)
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
		})
	}
	r := previewed(Disable, &ledger.Ledger{}, "n1")
	r.Resources = []string{"nonsense"}
	_, err := r.wanted(on, nil)
	require.ErrorContains(t, err, `does not serve a resource "nonsense"`)
}

func TestMigrationsLastAsLongAsTheSameKeyWrites(t *testing.T) {
	t.Parallel()
	done := map[string]ledger.Migration{"secrets": {Complete: true}, "configmaps": {Complete: true}}
	before := ruled(map[string][]encconfig.Key{"secrets": {key("1"), identity()}, "configmaps": {key("1"), identity()}})
	after := ruled(map[string][]encconfig.Key{"secrets": {key("1"), identity()}, "configmaps": {identity(), key("1")}})
	assert.Equal(t, map[string]ledger.Migration{"secrets": {Complete: true}}, lasting(done, before, after))
	assert.Empty(t, lasting(done, nil, after), "what was before is not known")
	assert.Empty(t, lasting(done, before, ruled(nil)), "no rule any more")
}

func TestAManifestIsBeingEditedWhileAGuardIsAtWorkOrTheKubeletIsBehind(t *testing.T) {
	t.Parallel()
	off, on := controlplane.Instance{}, controlplane.Instance{Manifest: controlplane.Manifest{ConfigPath: "/f", AutomaticReload: true}}
	said := staticpod.Encryption{ConfigPath: "/f", AutomaticReload: true}
	tests := map[string]struct {
		instance controlplane.Instance
		manifest *agentapi.Manifest
		want     bool
	}{
		"the agent has not looked":              {on, nil, false},
		"both say the same":                     {on, &agentapi.Manifest{Encryption: said}, false},
		"the file says more":                    {off, &agentapi.Manifest{Encryption: said}, true},
		"the file says less":                    {on, &agentapi.Manifest{}, true},
		"a guard is at work":                    {on, &agentapi.Manifest{Encryption: said, Edit: &agentapi.Edit{Stage: agentapi.EditWatched}}, true},
		"a guard has ended":                     {on, &agentapi.Manifest{Encryption: said, Edit: &agentapi.Edit{Stage: agentapi.EditReverted}}, false},
		"a manifest that nobody can understand": {on, &agentapi.Manifest{Problem: &agentapi.Error{}}, false},
	}
	for name, tc := range tests {
		assert.Equal(t, tc.want, edited(tc.instance, agentapi.State{Manifest: tc.manifest}), name)
	}
}

func TestWhatAGuardHasToSay(t *testing.T) {
	t.Parallel()
	w := &editWait{run: &Run{Operation: &operation.Operation{}, Options: Options{Mode: Enable}}, node: "n1"}
	for _, stage := range []agentapi.Stage{agentapi.EditPrepared, agentapi.EditWatched, agentapi.EditReverting} {
		ended, err := w.judge(&agentapi.Edit{Stage: stage})
		require.NoError(t, err)
		assert.False(t, ended)
		assert.Contains(t, w.last, string(stage))
	}
	ended, err := w.judge(&agentapi.Edit{Stage: agentapi.EditDone})
	require.NoError(t, err)
	assert.True(t, ended)
	for stage, says := range map[agentapi.Stage]string{
		agentapi.EditReverted: "its manifest is back as it was", agentapi.EditRefused: "nothing was changed there", agentapi.EditAbandoned: "/manifests there",
	} {
		_, err := w.judge(&agentapi.Edit{Stage: stage, Reason: "it\nhangs", Log: []string{"one", "two"}})
		require.ErrorIs(t, err, errEdit)
		for _, part := range []string{says, "node n1", "it hangs", "\n    one\n    two", "enable --resume"} {
			assert.Contains(t, hint.Render(err), part)
		}
	}
}

func TestTextsOfWhatTurnsEncryptionOnAndOff(t *testing.T) {
	t.Parallel()
	step := func(kind encconfig.ChangeKind) plan.Step {
		return plan.Step{Kind: plan.Push, Source: "n1", Targets: []string{"n1"}, Change: encconfig.Change{Kind: kind}}
	}
	edit := func(flags plan.Flags) plan.Step {
		return plan.Step{Kind: plan.EditManifest, Targets: []string{"n2"}, Flags: flags}
	}
	tests := map[string]struct {
		target encconfig.Key
		step   plan.Step
		text   string
	}{
		"read key":  {key("1"), step(encconfig.AddReadKey), "add key aesgcm/1 as read key for secrets, configmaps on n1"},
		"write key": {key("1"), step(encconfig.Promote), "promote key aesgcm/1 to write key for secrets, configmaps on n1"},
		"a file unread": {key("1"), plan.Step{Kind: plan.Push, Targets: []string{"n1"}, Change: encconfig.Change{
			Kind: encconfig.Promote, Keys: []encconfig.Key{identity()}, Resources: []string{"secrets"},
		}}, "let identity write secrets on n1, since no kube-apiserver reads the file that is there; its keys stay"},
		"plaintext read":     {identity(), step(encconfig.AddReadKey), "let plaintext be read for secrets, configmaps on n1"},
		"plaintext written":  {identity(), step(encconfig.Promote), "write plaintext for secrets, configmaps on n1; the keys stay, to read what is encrypted"},
		"flags set":          {key("1"), edit(plan.FlagsSet), "set flags and mount in the manifest of the kube-apiserver on n2, which restarts; it comes back as it was unless ready within 3m0s"},
		"flags removed":      {identity(), edit(plan.FlagsUnset), "take flags and mount out of the manifest of the kube-apiserver on n2, which restarts; it comes back as it was unless ready within 3m0s"},
		"guard awaited":      {key("1"), plan.Step{Kind: plan.AwaitEdit, Targets: []string{"n2"}}, "wait until the kube-apiserver on n2 is ready again, watched by a guard on the node"},
		"kubeadm":            {key("1"), plan.Step{Kind: plan.KubeadmConfig}, "set the flags in ConfigMap kube-system/kubeadm-config, so that upgrades and joins keep them"},
		"kubeadm without":    {identity(), plan.Step{Kind: plan.KubeadmConfig, Flags: plan.FlagsUnset}, "take the flags out of ConfigMap kube-system/kubeadm-config, so that upgrades and joins do without them too"},
		"migrate to a key":   {key("1"), plan.Step{Kind: plan.Migrate}, "migrate secrets, configmaps to key aesgcm/1"},
		"migrate to nothing": {identity(), plan.Step{Kind: plan.Migrate}, "migrate secrets, configmaps to plaintext"},
		"age":                {identity(), plan.Step{Kind: plan.Age}, "wait until encrypted revisions that were superseded are compacted"},
	}
	for name, tc := range tests {
		r := at(Enable, map[string]*encconfig.Description{"n1": nil, "n2": nil})
		r.RollbackAfter = 3 * time.Minute
		r.goal = plan.Goal{Target: tc.target, Resources: DefaultResources()}
		assert.Equal(t, tc.text, r.text(tc.step), name)
	}
}

func TestEventsAreEncryptedWithAWarning(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options Options
		warned  bool
	}{
		"enable with events":    {Options{Mode: Enable, Resources: []string{"secrets", "events"}}, true},
		"enable without events": {Options{Mode: Enable, Resources: DefaultResources()}, false},
		"disable with events":   {Options{Mode: Disable, Resources: []string{"events"}}, false},
	} {
		warnings := (&Run{Options: tc.options}).warnOfEvents()
		assert.Equal(t, tc.warned, len(warnings) > 0, name)
	}
}

func TestNothingIsOnWhenNobodyReadsAFileOrIsAboutTo(t *testing.T) {
	t.Parallel()
	off := plan.Node{Name: "n1", Flags: plan.FlagsUnset}
	for name, tc := range map[string]struct {
		observed plan.Observed
		want     bool
	}{
		"no flags":                       {plan.Observed{Nodes: []plan.Node{off}}, true},
		"no flags, and kubeadm has them": {plan.Observed{Nodes: []plan.Node{off}, KubeadmStale: true}, false},
		"no flags, and a guard at work":  {plan.Observed{Nodes: []plan.Node{{Name: "n1", Flags: plan.FlagsUnset, Edited: true}}}, false},
		"flags on one node":              {plan.Observed{Nodes: []plan.Node{off, {Name: "n2"}}}, false},
	} {
		assert.Equal(t, tc.want, (&Run{}).nothingOn(tc.observed), name)
	}
}

func TestAnEnableUnderWayCanBeGoneOnWithOrTakenBack(t *testing.T) {
	t.Parallel()
	text := hint.Render(underWay(ledger.Rotation{Command: string(Enable)}))
	assert.Contains(t, text, "enable --resume")
	assert.Contains(t, text, "disable --remove-flags")
	assert.NotContains(t, hint.Render(underWay(ledger.Rotation{Command: string(Disable)})), "take it back")
}

func TestOnlyWhatBeganInPlaintextIsTakenBackByTurningOff(t *testing.T) {
	t.Parallel()
	first := ledger.Rotation{Command: string(Enable)}
	convert := ledger.Rotation{Command: string(Enable), From: []encconfig.Key{key("1")}}
	assert.Contains(t, hint.Render(underWay(first)), "disable --remove-flags")
	assert.NotContains(t, hint.Render(underWay(convert)), "disable")
	r := at(Enable, map[string]*encconfig.Description{"n1": nil})
	r.record = convert
	r.record.ID = "x"
	_, hints := r.standing()
	assert.Equal(t, []string{"go on with: kubectl encryption enable --resume"}, hints)
}

func TestNothingIsProvenWhileANodeWritesPlaintext(t *testing.T) {
	t.Parallel()
	config := ruled(map[string][]encconfig.Key{"secrets": {key("1"), identity()}})
	rec := &ledger.Rotation{Migrations: map[string]ledger.Migration{"secrets": {Baseline: "7", Complete: true}}}
	r := previewed(Enable, &ledger.Ledger{}, "n1", "n2")
	r.goal = plan.Goal{Target: key("1"), Resources: []string{"secrets"}, Flags: plan.SetFlags}
	assert.Equal(t, plan.Progress{Settled: true, Migrated: true}, r.followed(rec, *config))
	r.View.ControlPlane.Instances[1].Manifest = controlplane.Manifest{}
	assert.Equal(t, plan.Progress{}, r.followed(rec, *config))
}

func TestFlagsLeaveOnlyAfterAllWasSettled(t *testing.T) {
	t.Parallel()
	config := ruled(map[string][]encconfig.Key{"secrets": {identity(), key("1")}})
	rec := &ledger.Rotation{Migrations: map[string]ledger.Migration{"secrets": {Baseline: "7", Complete: true}}}
	r := previewed(Disable, &ledger.Ledger{}, "n1")
	r.goal = plan.Goal{Target: identity(), Resources: []string{"secrets"}, Flags: plan.RemoveFlags}
	assert.Equal(t, plan.Progress{Migrated: true}, r.followed(rec, *config), "when everything else was settled is not on record")
	rec.SettleTime = new(time.Now())
	assert.True(t, r.followed(rec, *config).Settled)
}
