// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package repair_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agreement"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/repair"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	engine "github.com/kubectl-encryption/kubectl-encryption/pkg/repair"
)

var update = flag.Bool("update", false, "write the golden files anew")

func assertGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func gcm(name string) encconfig.Key {
	return encconfig.Key{Provider: encconfig.AESGCM, Name: name, Fingerprint: "fingerprint-" + name}
}

func config(digest string, keys ...encconfig.Key) encconfig.Description {
	return encconfig.Description{Digest: "sha256:" + digest, Rules: []encconfig.Rule{
		{Resources: []string{"secrets", "configmaps"}, Keys: append(keys, encconfig.Key{Provider: encconfig.Identity})},
	}}
}

func healthy(name string, d encconfig.Description) agreement.Node {
	return agreement.Node{
		Name: name, Digest: d.Digest, Config: &d, History: []encconfig.Description{d}, TellsLoaded: true, Loaded: d.Digest, Proven: true,
	}
}

// found is what a look at nodes has shown.
func found(t *testing.T, silent []engine.Silent, nodes ...agreement.Node) *engine.Finding {
	t.Helper()
	o := agreement.Observed{Nodes: nodes}
	for _, s := range silent {
		o.Silent = append(o.Silent, s.Node)
	}
	steps, err := agreement.Preview(o)
	require.NoError(t, err)
	return &engine.Finding{Observed: o, Silent: silent, Steps: steps}
}

// differing are three nodes: an older file, one with a key of its own, and none.
func differing(t *testing.T, silent ...engine.Silent) *engine.Finding {
	t.Helper()
	newest := config("bbbbbbbbbbbbbbbb", gcm("2"), gcm("1"))
	lost := healthy("n3", newest)
	lost.Config, lost.Digest, lost.Missing, lost.Proven = nil, "", true, false
	lost.Problem = "the encryption configuration is not there: look at config.yaml: no such file or directory"
	other := gcm("9")
	other.Fingerprint = "fingerprint-of-another"
	lost.History = append(lost.History, config("dddddddddddddddd", other), config("eeeeeeeeeeeeeeee", gcm("0")))
	return found(t, silent, healthy("n1", config("aaaaaaaaaaaaaaaa", gcm("1"))),
		healthy("n2", config("cccccccccccccccc", gcm("2"), gcm("1"), gcm("9"))), lost)
}

// repairer does nothing and says so.
type repairer struct {
	found, consented *engine.Finding
	done             bool
	findErr, doErr   error
	next             string
}

func (r *repairer) Find(context.Context) (*engine.Finding, error) { return r.found, r.findErr }

func (r *repairer) Do(_ context.Context, consented *engine.Finding) (*engine.Finding, error) {
	r.consented, r.done = consented, true
	return r.found, r.doErr
}

func (r *repairer) Result(context.Context) (result, next string) { return "repaired", r.next }

type outcome struct {
	out, errOut string
	events      []event.Event
	err         error
}

func run(t *testing.T, r *repairer, flags repair.Flags) outcome {
	t.Helper()
	streams, in, out, errOut := genericiooptions.NewTestIOStreams()
	require.NotNil(t, in)
	flags.Shared = options.Shared{IOStreams: streams}
	var o outcome
	command := &repair.Options{
		Flags: &flags, Repairer: r, Cluster: v1alpha1.Cluster{Context: "prod", Server: "https://192.0.2.10:6443", User: "ann"},
		Emit: func(e event.Event) { o.events = append(o.events, e) },
	}
	o.err = command.Run(t.Context())
	o.out, o.errOut = out.String(), errOut.String()
	return o
}

func TestRun_dryRunShowsWhatDiffers(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"", "json", "yaml"} {
		r := &repairer{found: differing(t, engine.Silent{Node: "n4", Reason: "the kube-apiserver on node n4 is not ready"})}
		o := run(t, r, repair.Flags{DryRun: true, Output: format})
		require.NoError(t, o.err)
		assert.False(t, r.done)
		assert.Empty(t, o.errOut)
		assertGolden(t, "plan."+map[string]string{"": "txt", "json": "json", "yaml": "yaml"}[format], o.out)
	}
}

func TestRun_nothingToRepairDoesNothing(t *testing.T) {
	t.Parallel()
	r := &repairer{found: found(t, nil, healthy("n1", config("aaaaaaaaaaaaaaaa", gcm("1"))))}
	o := run(t, r, repair.Flags{})
	require.NoError(t, o.err, "nobody is asked")
	assert.False(t, r.done)
	assert.Empty(t, o.errOut)
	require.Len(t, o.events, 1)
	assert.Equal(t, "finished", o.events[0].Kind())
	o = run(t, r, repair.Flags{DryRun: true})
	assertGolden(t, "nothing.txt", o.out)
}

func TestRun_asksFirst(t *testing.T) {
	t.Parallel()
	r := &repairer{found: differing(t)}
	o := run(t, r, repair.Flags{})
	require.ErrorContains(t, o.err, "this needs your consent, and there is no terminal to ask on")
	assert.False(t, r.done)
	assert.Contains(t, o.errOut, "Node n3: the encryption configuration is not there", "what differs is shown before")
}

func TestRun_withConsent(t *testing.T) {
	t.Parallel()
	r := &repairer{found: differing(t), next: "then migrate"}
	o := run(t, r, repair.Flags{Consent: options.Consent{Yes: true}})
	require.NoError(t, o.err)
	assert.True(t, r.done)
	assert.Nil(t, r.consented, "--yes is to whatever is found")
	assert.Equal(t, event.Notice{Text: "then migrate"}, o.events[0])
	assert.Equal(t, "finished", o.events[1].Kind())

	o = run(t, r, repair.Flags{Consent: options.Consent{Yes: true}, Output: "json"})
	require.NoError(t, o.err)
	assert.Empty(t, o.errOut, "events alone")
}

func TestRun_errorsAreTold(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	o := run(t, &repairer{findErr: broken}, repair.Flags{})
	require.ErrorIs(t, o.err, broken)
	o = run(t, &repairer{found: differing(t), doErr: broken}, repair.Flags{Consent: options.Consent{Yes: true}})
	require.ErrorIs(t, o.err, broken)
	require.Len(t, o.events, 1)
	assert.Equal(t, event.Failed{Error: "broken"}, o.events[0])
}

func TestRun_aNodeThatIsDownIsNamedWithTheCommandsThatMendIt(t *testing.T) {
	t.Parallel()
	r := &repairer{found: differing(t, engine.Silent{Node: "n4", Reason: "the kube-apiserver on node n4 is not ready"})}
	o := run(t, r, repair.Flags{Consent: options.Consent{Yes: true}})
	require.Error(t, o.err)
	assert.Equal(t, 1, hint.ExitCode(o.err))
	var text bytes.Buffer
	text.WriteString(hint.Render(o.err))
	assertGolden(t, "silent.txt", text.String())
}

func TestValidate(t *testing.T) {
	t.Parallel()
	agent := options.Agent{Image: "agent", JobTimeout: 1, ConvergeTimeout: 1}
	for name, tt := range map[string]struct {
		flags   repair.Flags
		message string
	}{
		"nothing said":          {repair.Flags{Agent: agent}, ""},
		"events as JSON":        {repair.Flags{Agent: agent, Output: "json"}, ""},
		"a plan as YAML":        {repair.Flags{Agent: agent, Output: "yaml", DryRun: true}, ""},
		"events as YAML":        {repair.Flags{Agent: agent, Output: "yaml"}, "--output yaml is for --dry-run"},
		"a table":               {repair.Flags{Agent: agent, Output: "wide"}, `--output "wide" is not one of json, yaml`},
		"no image of the agent": {repair.Flags{Agent: options.Agent{JobTimeout: 1, ConvergeTimeout: 1}}, "--agent-image must name an image"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.flags.Validate()
			if tt.message == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.message)
		})
	}
}
