// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/network"
)

func TestSpec_arrivesAsItWasSent(t *testing.T) {
	t.Parallel()
	spec := Spec{
		Name: "n1", Root: "/root-of-n1", Binary: "/kubernetes", BackendsDirectory: "/b", Hosts: []string{"10.209.1.12 n2"},
		Network: network.Subnet{Number: 1}.InteriorOf(1, netip.MustParseAddr("10.96.0.1")),
	}
	var pipe bytes.Buffer
	require.NoError(t, spec.Send(&pipe))
	got, err := ReadSpec(&pipe)
	require.NoError(t, err)
	assert.Equal(t, spec, got)
}

func TestReadSpec_seesThatTheHarnessDied(t *testing.T) {
	t.Parallel()
	_, err := ReadSpec(strings.NewReader(""))
	require.ErrorContains(t, err, "gave up")
	_, err = ReadSpec(strings.NewReader(`{"name":`))
	require.Error(t, err, "half a message is none")
}

func TestAwaitReady(t *testing.T) {
	t.Parallel()
	require.NoError(t, AwaitReady(strings.NewReader(ready)))
	require.ErrorContains(t, AwaitReady(strings.NewReader("mount usr: no")), "mount usr: no")
	require.ErrorContains(t, AwaitReady(strings.NewReader("")), "died")
}

func TestParseKubeletFlags(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		content string
		want    []string
		fails   bool
	}{
		"two flags => two":       {content: "KUBELET_KUBEADM_ARGS=\"--node-ip=10.0.0.1 --cgroup-root=/a/b\"\n", want: []string{"--node-ip=10.0.0.1", "--cgroup-root=/a/b"}},
		"no flag => none":        {content: "KUBELET_KUBEADM_ARGS=\"\"\n", want: []string{}},
		"half written => not so": {content: "KUBELET_KUBE", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseKubeletFlags(row.content)
			if row.fails {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, row.want, got)
		})
	}
}

func TestLayOut_keepsWhatTheNodeWrote(t *testing.T) {
	t.Parallel()
	spec := Spec{Name: "n1", Root: t.TempDir(), Hosts: []string{"10.209.1.12 n2"}}
	require.NoError(t, layOut(spec))
	hosts, err := os.ReadFile(filepath.Join(spec.Root, "etc/hosts"))
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1 localhost\n10.209.1.12 n2\n", string(hosts))

	manifest := filepath.Join(spec.Root, "etc/kubernetes/manifests/etcd.yaml")
	require.NoError(t, os.WriteFile(manifest, []byte("kind: Pod\n"), 0o600))
	require.NoError(t, layOut(spec), "a node that is switched on again")
	assert.FileExists(t, manifest)
	target, err := os.Readlink(filepath.Join(spec.Root, programs, "kubelet"))
	require.NoError(t, err)
	assert.Equal(t, "kubernetes", target)
}
