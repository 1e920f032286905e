// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

// inOrder is a control plane of two nodes on which everything may be done.
func inOrder() *observe.View {
	v := &observe.View{ControlPlane: &controlplane.ControlPlane{}, Evidence: map[string]reload.Evidence{}, Errors: map[string]error{}}
	for _, node := range []string{"n1", "n2"} {
		v.ControlPlane.Instances = append(v.ControlPlane.Instances, controlplane.Instance{
			Node: node, Pod: "kube-apiserver-" + node, Ready: true, Manifest: controlplane.Manifest{
				ConfigPath: "/enc/config.yaml", AutomaticReload: true, HostDir: "/srv", File: "config.yaml",
				SecurePort: 6443, CompactionInterval: 5 * time.Minute,
			},
		})
		v.Evidence[node] = reload.Evidence{Version: "v1.37.1", TellsHash: true, Hash: "sha256:a"}
	}
	return v
}

// refusal is a change to a control plane in order, and what is then said.
type refusal struct {
	change        func(*observe.View)
	message, hint string
}

func manifest(v *observe.View) *controlplane.Manifest { return &v.ControlPlane.Instances[1].Manifest }

// unconfigured are control planes on which encryption may be turned on, and nothing else may be done.
func unconfigured() map[string]refusal {
	return map[string]refusal{
		"no flag": {
			func(v *observe.View) { *manifest(v) = controlplane.Manifest{} },
			"encryption is not configured: the kube-apiserver on node n2 runs without --encryption-provider-config",
			"turn it on with: kubectl encryption enable",
		},
		"no automatic reload": {
			func(v *observe.View) { manifest(v).AutomaticReload = false },
			"the kube-apiserver on node n2 does not reload its configuration by itself", "let it reload with: kubectl encryption enable",
		},
	}
}

// unknown are control planes on which nothing may be done.
func unknown() map[string]refusal {
	return map[string]refusal{
		"another tool's, whatever else is wrong": {
			func(v *observe.View) {
				v.ControlPlane.Instances, v.ControlPlane.Disagreements = nil, []string{"one thing"}
				v.ControlPlane.Foreign = controlplane.Foreign{Name: "k3s", Command: "k3s secrets-encrypt rotate-keys"}
			},
			"this control plane is run by k3s, which keeps its encryption configuration itself",
			"use its own command: k3s secrets-encrypt rotate-keys",
		},
		"no control-plane node": {
			func(v *observe.View) { v.ControlPlane.Instances = nil },
			"no control-plane node was found", "static pods, as kubeadm makes them",
		},
		"a control plane that runs without pods, as k3s does": {
			func(v *observe.View) {
				for i := range v.ControlPlane.Instances {
					v.ControlPlane.Instances[i].Pod = ""
				}
				v.ControlPlane.Disagreements = []string{"node n1 is a control-plane node without a kube-apiserver pod"}
			},
			"this control plane is run by something else", "static pods, as kubeadm makes them",
		},
		"sources that disagree": {
			func(v *observe.View) { v.ControlPlane.Disagreements = []string{"one thing", "another"} },
			"the kube-apiservers can't be told for certain: one thing; another", "bring the control plane into order first",
		},
		"a node that may not be left out, before what is wrong with it": {
			func(v *observe.View) {
				v.ControlPlane.Disagreements = []string{"one thing"}
				v.NotLeftOut = errors.New("node n2 can't be left out: its kube-apiserver answers")
			},
			"node n2 can't be left out: its kube-apiserver answers", "If it is back, go on without --ignore-node",
		},
		"a manifest that is not understood": {
			func(v *observe.View) { v.ControlPlane.Instances[1].ManifestError = errors.New("given twice") },
			"the kube-apiserver on node n2 is set up in a way that is not understood: given twice", "",
		},
		"a file on no hostPath volume": {
			func(v *observe.View) { manifest(v).File, manifest(v).HostDir = "", "" },
			"the configuration /enc/config.yaml of the kube-apiserver on node n2 is on no hostPath volume", "hostPath",
		},
		"a single file that is mounted": {
			func(v *observe.View) { manifest(v).FileMount = true },
			"it would never see the file replaced", "mount the folder",
		},
		"a kube-apiserver that is not root": {
			func(v *observe.View) { manifest(v).RunAsUser = 1000 },
			"the kube-apiserver on node n2 runs as user 1000, who could not read a file of root's", "run as root",
		},
		"an instance that is not reached": {
			func(v *observe.View) { v.Errors["n2"] = errors.New("403") },
			"the kube-apiserver on node n2 can't be asked what it has loaded: 403", "port-forward",
		},
		"two versions": {
			func(v *observe.View) { v.Evidence["n2"] = reload.Evidence{Version: "v1.36.3"} },
			"the kube-apiservers have different versions: n1 v1.37.1, n2 v1.36.3", "finish the upgrade first",
		},
	}
}

func TestKnownAndUsableOfAControlPlaneInOrder(t *testing.T) {
	t.Parallel()
	assert.NoError(t, inOrder().Known())
	assert.NoError(t, inOrder().Usable())
}

func TestUsableRefusesWhatIsNotConfigured(t *testing.T) {
	t.Parallel()
	for name, tt := range unconfigured() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := inOrder()
			tt.change(v)
			assert.NoError(t, v.Known(), "encryption may be turned on")
			tt.check(t, v.Usable())
		})
	}
}

func TestKnownAndUsableRefuseWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	for name, tt := range unknown() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := inOrder()
			tt.change(v)
			tt.check(t, v.Known())
			tt.check(t, v.Usable())
		})
	}
}

func (r refusal) check(t *testing.T, err error) {
	t.Helper()
	require.ErrorContains(t, err, r.message)
	text := hint.Render(err)
	assert.Contains(t, text, "state: nothing was changed\n")
	assert.Contains(t, text, r.hint)
}

func TestLoadedDigestIsTheOneThatAllReport(t *testing.T) {
	t.Parallel()
	v := inOrder()
	assert.Equal(t, "sha256:a", v.LoadedDigest())
	v.Evidence["n2"] = reload.Evidence{Hash: "sha256:b", TellsHash: true}
	assert.Empty(t, v.LoadedDigest(), "they differ")
	v.Evidence["n2"] = reload.Evidence{}
	assert.Empty(t, v.LoadedDigest(), "one does not tell")
	delete(v.Evidence, "n1")
	assert.Empty(t, v.LoadedDigest(), "one was not reached")
	assert.Empty(t, (&observe.View{ControlPlane: &controlplane.ControlPlane{}}).LoadedDigest())
}

func TestCompactionIntervalIsTheLongest(t *testing.T) {
	t.Parallel()
	v := inOrder()
	v.ControlPlane.Instances[1].Manifest.CompactionInterval = time.Hour
	interval, known := v.ControlPlane.CompactionInterval()
	assert.True(t, known)
	assert.Equal(t, time.Hour, interval)
	v.ControlPlane.Instances[1].Manifest.CompactionInterval = 0
	_, known = v.ControlPlane.CompactionInterval()
	assert.False(t, known, "one that does not compact keeps superseded revisions, nobody knows how long")
}
