// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package bare

import (
	"io"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeconfig"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
)

func newTestHarness(t *testing.T, encryption string) *Harness {
	t.Helper()
	options := Options{Kubernetes: "v1.37.1", APIServers: 3, Encryption: encryption, ReloadPoll: time.Second}
	require.NoError(t, options.Validate())
	plan, err := newState(t.Context(), t.TempDir(), options, "/kubernetes")
	require.NoError(t, err)
	harness, err := newHarness(plan, io.Discard)
	require.NoError(t, err)
	return harness
}

func TestValidate_refuses(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]Options{
		"no kube-apiserver => refused":    {APIServers: 0, Encryption: "none", ReloadPoll: 1},
		"four kube-apiservers => refused": {APIServers: 4, Encryption: "none", ReloadPoll: 1},
		"no poll => refused":              {APIServers: 1, Encryption: "none"},
		"unknown provider => refused":     {APIServers: 1, Encryption: "rot13", ReloadPoll: 1},
		"an override without a group":     {APIServers: 1, Encryption: "none", ReloadPoll: 1, EtcdOverrides: []string{"events"}},
		"an override with a server":       {APIServers: 1, Encryption: "none", ReloadPoll: 1, EtcdOverrides: []string{"/events#http://a:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Error(t, options.Validate())
		})
	}
}

func TestNewState_givesInstancesOnePortAndAnAddressEach(t *testing.T) {
	t.Parallel()
	harness := newTestHarness(t, "aesgcm")
	var hosts, ports []string
	for _, server := range harness.state.APIServers {
		address, err := url.Parse(server.URL)
		require.NoError(t, err)
		hosts, ports = append(hosts, address.Hostname()), append(ports, address.Port())
	}
	assert.Equal(t, []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}, hosts)
	assert.Equal(t, ports[0], ports[1])
	assert.Equal(t, ports[0], ports[2])
}

func TestFurnish_writesTheSameConfigurationForEach(t *testing.T) {
	t.Parallel()
	harness := newTestHarness(t, "aesgcm")
	require.NoError(t, harness.furnish())
	first := harness.state.APIServers[0].EncryptionConfig
	assert.Equal(t, filepath.Join(harness.state.Dir, "apiserver-1/encryption/config.yaml"), first)
	for _, server := range harness.state.APIServers {
		assert.FileExists(t, server.EncryptionConfig)
		config, err := kubeconfig.Load(server.Kubeconfig)
		require.NoError(t, err)
		assert.Equal(t, server.URL, config.Server)
	}
}

func TestArguments_followTheEncryption(t *testing.T) {
	t.Parallel()
	with := newTestHarness(t, "secretbox")
	config := with.state.APIServers[1].EncryptionConfig
	assert.Contains(t, with.apiServerArguments(2), "--encryption-provider-config="+config)
	assert.Contains(t, with.apiServerEnvironment(), reloadPollVariable+"=1s")

	without := newTestHarness(t, "none")
	assert.Empty(t, without.state.APIServers[1].EncryptionConfig)
	for _, argument := range without.apiServerArguments(2) {
		assert.NotContains(t, argument, "encryption")
	}
}

func TestArguments_writeAnAuditLogEachWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	options := Options{Kubernetes: "v1.37.1", APIServers: 2, Encryption: "none", ReloadPoll: time.Second, Audit: true}
	plan, err := newState(t.Context(), t.TempDir(), options, "/kubernetes")
	require.NoError(t, err)
	with, err := newHarness(plan, io.Discard)
	require.NoError(t, err)
	require.NoError(t, with.furnish())
	assert.Contains(t, with.apiServerArguments(1), "--audit-log-path="+with.path("apiserver-1", "audit.log"))
	assert.Contains(t, with.apiServerArguments(2), "--audit-log-path="+with.path("apiserver-2", "audit.log"))
	assert.Contains(t, with.apiServerArguments(2), "--audit-policy-file="+with.auditPolicy())
	assert.FileExists(t, with.auditPolicy())
	require.NoError(t, with.state.Save())
	require.NoError(t, with.takeDown(t.Context()))
	assert.NoFileExists(t, with.auditPolicy())

	for _, argument := range newTestHarness(t, "none").apiServerArguments(1) {
		assert.NotContains(t, argument, "audit")
	}
}

func TestArguments_keepResourcesInASecondEtcdWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	options := Options{
		Kubernetes: "v1.37.1", APIServers: 1, Encryption: "none", ReloadPoll: time.Second,
		EtcdPrefix: "/elsewhere", EtcdOverrides: []string{"/events", "apps/*"},
	}
	require.NoError(t, options.Validate())
	plan, err := newState(t.Context(), t.TempDir(), options, "/kubernetes")
	require.NoError(t, err)
	with, err := newHarness(plan, io.Discard)
	require.NoError(t, err)
	first, second := plan.Etcds()[0], plan.Etcds()[1]
	assert.NotEqual(t, first.Endpoint, second.Endpoint)
	assert.Contains(t, with.etcdArguments(first), "--data-dir="+with.path("etcd", "data"))
	assert.Contains(t, with.etcdArguments(second), "--data-dir="+with.path("etcd-2", "data"))
	assert.Subset(t, with.apiServerArguments(1), []string{
		"--etcd-servers=" + first.Endpoint, "--etcd-prefix=/elsewhere",
		"--etcd-servers-overrides=/events#" + second.Endpoint + ",apps/*#" + second.Endpoint,
	})
	assert.Subset(t, with.files(), []string{"etcd", "etcd-2"})

	without := newTestHarness(t, "none")
	assert.Len(t, without.state.Etcds(), 1)
	for _, argument := range without.apiServerArguments(1) {
		assert.NotContains(t, argument, "overrides")
		assert.NotContains(t, argument, "prefix")
	}
}

func TestFiles_namesAllThatIsMade(t *testing.T) {
	t.Parallel()
	harness := newTestHarness(t, "aescbc")
	require.NoError(t, harness.furnish())
	require.NoError(t, harness.state.Save())
	require.NoError(t, harness.takeDown(t.Context()))
	left, err := filepath.Glob(harness.path("*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestTakeDown_endsNothingThatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	harness := newTestHarness(t, "none")
	// The id of this very test, as of another start.
	harness.state.Etcd.Process = &state.Process{PID: 1, Started: 1, BootID: "another boot"}
	require.NoError(t, harness.takeDown(t.Context()))
}
