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

func TestUsable(t *testing.T) {
	t.Parallel()
	manifest := func(v *observe.View) *controlplane.Manifest { return &v.ControlPlane.Instances[1].Manifest }
	tests := map[string]struct {
		change        func(*observe.View)
		message, hint string
	}{
		"a control plane in order": {func(*observe.View) {}, "", ""},
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
		"a manifest that is not understood": {
			func(v *observe.View) { v.ControlPlane.Instances[1].ManifestError = errors.New("given twice") },
			"the kube-apiserver on node n2 is set up in a way that is not understood: given twice", "",
		},
		"no flag": {
			func(v *observe.View) { *manifest(v) = controlplane.Manifest{} },
			"encryption is not configured: the kube-apiserver on node n2 runs without --encryption-provider-config", "enable",
		},
		"no automatic reload": {
			func(v *observe.View) { manifest(v).AutomaticReload = false },
			"the kube-apiserver on node n2 does not reload its configuration by itself", "--encryption-provider-config-automatic-reload=true",
		},
		"a file on no hostPath volume": {
			func(v *observe.View) { manifest(v).File, manifest(v).HostDir = "", "" },
			"the configuration /enc/config.yaml of the kube-apiserver on node n2 is on no hostPath volume", "hostPath",
		},
		"a single file that is mounted": {
			func(v *observe.View) { manifest(v).FileMount = true },
			"it would never see the file replaced", "mount the folder",
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
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := inOrder()
			tt.change(v)
			err := v.Usable()
			if tt.message == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.message)
			text := hint.Render(err)
			assert.Contains(t, text, "state: nothing was changed\n")
			assert.Contains(t, text, tt.hint)
		})
	}
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
	interval, known := v.CompactionInterval()
	assert.True(t, known)
	assert.Equal(t, time.Hour, interval)
	v.ControlPlane.Instances[1].Manifest.CompactionInterval = 0
	_, known = v.CompactionInterval()
	assert.False(t, known, "one that does not compact keeps superseded revisions, nobody knows how long")
}
