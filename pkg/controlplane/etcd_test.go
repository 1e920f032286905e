// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
)

func TestReadEtcdReadsWhatKubeadmWrites(t *testing.T) {
	t.Parallel()
	var p corev1.Pod
	require.NoError(t, yaml.UnmarshalStrict(read(t, "testdata/kubeadm-v1.37.1.manifest.yaml"), &p))
	got, err := controlplane.ReadEtcd(&p)
	require.NoError(t, err)
	assert.Equal(t, controlplane.Etcd{
		Prefix: "/registry", Servers: []string{"https://127.0.0.1:2379"},
		CA: "/etc/kubernetes/pki/etcd/ca.crt", Cert: "/etc/kubernetes/pki/apiserver-etcd-client.crt", Key: "/etc/kubernetes/pki/apiserver-etcd-client.key",
	}, got)
	assert.NoError(t, got.Usable(got.Servers))
}

func TestReadEtcdReadsFlags(t *testing.T) {
	t.Parallel()
	type want = controlplane.Etcd
	tests := map[string]struct {
		command []string
		want    want
	}{
		"no flag at all": {nil, want{Prefix: "/registry"}},
		"several servers, in one flag and in two": {
			[]string{"--etcd-servers=https://a:1,https://b:1", "--etcd-servers", "https://c:1"},
			want{Prefix: "/registry", Servers: []string{"https://a:1,https://b:1", "https://c:1"}},
		},
		"a prefix and overrides, with underscores": {
			[]string{"--etcd_prefix=/other", "--etcd_servers_overrides=/events#https://e:1;https://f:1"},
			want{Prefix: "/other", Overrides: []string{"/events#https://e:1;https://f:1"}},
		},
		"an empty prefix": {[]string{"--etcd-prefix="}, want{}},
		"files in the folders of the container": {
			[]string{"--etcd-cafile=/pki/etcd/ca.crt", "--etcd-certfile=/pki/a.crt", "--etcd-keyfile=/single.key"},
			want{Prefix: "/registry", CA: "/host/etcd/ca.crt", Cert: "/host/a.crt", Key: "/other"},
		},
		"empty names of files": {[]string{"--etcd-cafile=", "--etcd-certfile="}, want{Prefix: "/registry"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := controlplane.ReadEtcd(withFolders(pod(tt.command...)))
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

// withFolders mounts a folder of the node and a single file of it.
func withFolders(p *corev1.Pod) *corev1.Pod {
	p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{
		{Name: "host", MountPath: "/pki"}, {Name: "other", MountPath: "/single.key"}, {Name: "secret", MountPath: "/secret"},
	}
	p.Spec.Volumes = []corev1.Volume{
		hostPath("host"), hostPath("other"),
		{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}},
	}
	return p
}

func TestReadEtcdRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	shell := pod()
	shell.Spec.Containers[0].Command = []string{"sh", "-c", "kube-apiserver"}
	tests := map[string]struct {
		pod     *corev1.Pod
		message string
	}{
		"a shell":                          {shell, "does not run kube-apiserver directly"},
		"servers of the environment":       {pod("--etcd-servers=https://$(HOST):2379"), "--etcd-servers takes its value from the environment"},
		"a prefix twice":                   {pod("--etcd-prefix=/a", "--etcd-prefix=/b"), "--etcd-prefix is given twice"},
		"a certificate without its key":    {withFolders(pod("--etcd-certfile=/pki/a.crt")), "only one of the flags --etcd-certfile and --etcd-keyfile"},
		"a file that is not the node's":    {withFolders(pod("--etcd-cafile=/secret/ca.crt")), "--etcd-cafile is on no hostPath volume"},
		"a file of the image":              {withFolders(pod("--etcd-cafile=/etc/ssl/ca.crt")), "--etcd-cafile is on no hostPath volume"},
		"an override that is none":         {pod("--etcd-servers-overrides=events=https://u:canary@e:1"), "entry 1 is not of the form"},
		"a list that can't be taken apart": {pod(`--etcd-servers="https://u:canary@a:1`), "--etcd-servers"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := controlplane.ReadEtcd(tt.pod)
			require.ErrorContains(t, err, tt.message)
			assert.ErrorContains(t, err, "kube-apiserver-n1", "the pod is named")
			assert.NotContains(t, err.Error(), "canary", "an address may hold a password")
		})
	}
}

func TestEtcdRefusesAddressesThatAnAgentCouldNotAsk(t *testing.T) {
	t.Parallel()
	plain, secure := controlplane.Etcd{}, controlplane.Etcd{CA: "/ca.crt"}
	tests := map[string]struct {
		etcd    controlplane.Etcd
		servers []string
		message string
	}{
		"none":                                 {secure, nil, "--etcd-servers is not given"},
		"TLS":                                  {secure, []string{"https://a:1", "https://b:1"}, ""},
		"no TLS":                               {plain, []string{"http://a:1"}, ""},
		"TLS by authorities that are not told": {plain, []string{"http://a:1", "https://u:canary@b:1"}, "without --etcd-cafile"},
		"a socket":                             {secure, []string{"unix:///run/canary.sock"}, "not of the form https://host:port"},
		"no scheme":                            {secure, []string{"canary:2379"}, "not of the form"},
		"no URL":                               {secure, []string{"https://canary:x:1"}, "not of the form"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.etcd.Usable(tt.servers)
			if tt.message == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.message)
			assert.NotContains(t, err.Error(), "canary")
		})
	}
	assert.Equal(t, []string{"a:1", "b:2"}, controlplane.Hosts([]string{"https://u:canary@a:1", "http://b:2/x"}))
}

func TestSameEtcd(t *testing.T) {
	t.Parallel()
	type etcd = controlplane.Etcd
	kubeadm := etcd{Prefix: "/registry", Servers: []string{"https://127.0.0.1:2379"}}
	at := func(servers ...string) etcd { return etcd{Prefix: "/registry", Servers: servers} }
	events := func(overrides ...string) etcd { return etcd{Prefix: "/registry", Overrides: overrides} }
	tests := map[string]struct {
		etcds   []etcd
		message string
	}{
		"no kube-apiserver":                        {nil, ""},
		"one":                                      {[]etcd{kubeadm}, ""},
		"each its own member":                      {[]etcd{kubeadm, kubeadm}, ""},
		"the same servers in another order":        {[]etcd{at("https://a:1,https://b:1"), at("https://b:1", "https://a:1")}, ""},
		"one on its loopback":                      {[]etcd{at("https://a:1"), at("https://b:1"), at("https://[::1]:1")}, ""},
		"one at localhost":                         {[]etcd{at("https://a:1"), at("https://localhost:1")}, ""},
		"one prefix in two spellings":              {[]etcd{kubeadm, {Prefix: "registry/", Servers: kubeadm.Servers}}, ""},
		"the same overrides in one flag and two":   {[]etcd{events("/events#https://e:1,/pods#https://p:1"), events("/events#https://e:1", "/pods#https://p:1")}, ""},
		"another prefix":                           {[]etcd{kubeadm, kubeadm, {Prefix: "/other", Servers: kubeadm.Servers}}, "nodes n0 and n2 have different values of the flag --etcd-prefix"},
		"other servers":                            {[]etcd{at("https://a:1"), at("https://u:canary@b:1")}, "nodes n0 and n1 have different values of the flag --etcd-servers"},
		"an override that the other does not have": {[]etcd{events(), events("/events#https://u:canary@e:1")}, "nodes n0 and n1 have different values of the flag --etcd-servers-overrides"},
		"overrides that are not understood":        {[]etcd{kubeadm, events("canary")}, "node n1 reaches etcd: --etcd-servers-overrides"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cp := &controlplane.ControlPlane{}
			for i, e := range tt.etcds {
				cp.Instances = append(cp.Instances, controlplane.Instance{Node: fmt.Sprint("n", i), Etcd: e})
			}
			err := cp.SameEtcd()
			if tt.message == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.message)
			assert.NotContains(t, err.Error(), "canary")
		})
	}
	odd := errors.New("odd")
	cp := &controlplane.ControlPlane{Instances: []controlplane.Instance{{Node: "n0", Etcd: kubeadm}, {Node: "n1", EtcdError: odd}}}
	require.ErrorIs(t, cp.SameEtcd(), odd)
	assert.ErrorContains(t, cp.SameEtcd(), "node n1")
}
