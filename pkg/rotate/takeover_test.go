// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

func TestEnableTakesOverWhatCantGoOnWithoutFlags(t *testing.T) {
	t.Parallel()
	file := config(key("1"))
	waiting := config(key("1"), key("2"))
	before := []encconfig.Description{*file}
	lacking := []plan.Node{{Name: "n1", Config: file}, {Name: "n2", Config: file, Flags: plan.FlagsUnset}}
	for name, tc := range map[string]struct {
		mode  Mode
		nodes []plan.Node
		open  *ledger.Rotation
		want  bool
	}{
		"a rotation, a node without flags => yes":              {Enable, lacking, &ledger.Rotation{}, true},
		"a rotation, a node that does not reload => yes":       {Enable, []plan.Node{{Config: file, Flags: plan.FlagsWithoutReload}}, &ledger.Rotation{}, true},
		"a rotation, all flags => it goes on by itself":        {Enable, lacking[:1], &ledger.Rotation{}, false},
		"a prune, a node without flags => yes":                 {Enable, lacking, &ledger.Rotation{Command: string(Prune)}, true},
		"a disable that keeps flags => yes":                    {Enable, lacking, &ledger.Rotation{Command: string(Disable)}, true},
		"a disable that removes flags => it goes on by itself": {Enable, lacking, &ledger.Rotation{Command: string(Disable), RemoveFlags: true}, false},
		"an enable => it goes on by itself":                    {Enable, lacking, &ledger.Rotation{Command: string(Enable)}, false},
		"nothing under way => there is nothing to take over":   {Enable, lacking, nil, false},
		"a key that waits, its record lost => yes":             {Enable, []plan.Node{{Config: waiting, History: before}, {Flags: plan.FlagsUnset}}, nil, true},
		"a disable takes nothing over":                         {Disable, lacking, &ledger.Rotation{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, (&Run{Options: Options{Mode: tc.mode}}).takesOver(plan.Observed{Nodes: tc.nodes}, tc.open))
		})
	}
}

func TestTheKeyOfARotationThatIsTakenOverIsTheGoal(t *testing.T) {
	t.Parallel()
	g := plan.Goal{Target: key("1"), Resources: []string{"secrets"}, Flags: plan.SetFlags}
	before := plan.Observed{Nodes: []plan.Node{{Config: config(key("1"))}}}
	waits := plan.Observed{Nodes: []plan.Node{{Config: config(key("1"), key("2")), History: []encconfig.Description{*config(key("1"))}}}}
	rotation := &ledger.Rotation{To: encconfig.Key{Provider: encconfig.AESGCM, Name: "2", Fingerprint: "f"}}
	assert.Equal(t, key("2"), taken(g, before, rotation).Target, "its key is nowhere yet")
	assert.Equal(t, key("2").Name, taken(g, waits, nil).Target.Name, "its record is lost")
	assert.Equal(t, key("1"), taken(g, before, &ledger.Rotation{Command: string(Rollback), To: key("2")}).Target, "a rollback ends")
	newer := plan.Observed{Nodes: []plan.Node{{Config: config(key("5"), key("2"))}}}
	assert.Equal(t, key("1"), taken(g, newer, rotation).Target, "a newer key has written since")
	assert.Contains(t, overtaken(newer, rotation), "was left behind by a newer key, and ends with this")
	assert.Equal(t, g.Resources, taken(g, waits, nil).Resources)
}

func TestTheFlagsComeBackBeforeTheKeyThatWaitsWrites(t *testing.T) {
	t.Parallel()
	file := config(key("1"), key("2"), identity())
	before := []encconfig.Description{*config(key("1"), identity())}
	o := plan.Observed{Nodes: []plan.Node{
		{Name: "n1", Config: file, Loaded: file.Digest, History: before}, {Name: "n2", Config: file, Flags: plan.FlagsUnset},
	}}
	steps, err := plan.Preview(o, taken(plan.Goal{Target: key("1"), Flags: plan.SetFlags, Keep: plan.DefaultKeep}, o, nil))
	require.NoError(t, err)
	edit := slices.IndexFunc(steps, func(s plan.Step) bool { return s.Kind == plan.EditManifest })
	promote := slices.IndexFunc(steps, func(s plan.Step) bool {
		return s.Kind == plan.Push && s.Change.Kind == encconfig.Promote && s.Change.Keys[0].Is(key("2"))
	})
	require.NotEqual(t, -1, edit)
	assert.Greater(t, promote, edit)
	assert.Contains(t, overtaken(o, &ledger.Rotation{To: key("2")}), "the rotation to key aesgcm/2")
	assert.Contains(t, overtaken(o, &ledger.Rotation{Command: string(Prune)}), "run it again later")
}
