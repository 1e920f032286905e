// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refuseEnable is for a cluster that is plaintext. After each refusal it still is.
func (c *cluster) refuseEnable(t *testing.T) {
	for name, row := range map[string]struct {
		args []string
		says []string
	}{
		"without consent and without a terminal": {nil, []string{"no terminal", "nothing was changed", "--yes"}},
		"a provider that does not exist":         {[]string{"--provider", "rot13"}, []string{"rot13", "secretbox"}},
		"a resource that does not exist":         {[]string{"--resources", "nonsense"}, []string{"nonsense"}},
		"a resource of a group that kube-apiserver does not take": {
			[]string{"--resources", "secrets,events.events.k8s.io"}, []string{"events"},
		},
		"a folder that is the manifests' own":            {[]string{"--config-dir", "/etc/kubernetes/manifests"}, []string{"/etc/kubernetes/manifests"}},
		"a folder that holds certificates":               {[]string{"--config-dir", "/etc/kubernetes/pki"}, []string{"/etc/kubernetes/pki"}},
		"a folder whose mount would hide kube-apiserver": {[]string{"--config-dir", "/usr/local/bin"}, []string{"/usr/local/bin"}},
		"a folder that is not an absolute path":          {[]string{"--config-dir", "encryption"}, []string{"encryption", "absolute"}},
		"a time to roll back after that is none":         {[]string{"--rollback-after", "-1s"}, []string{"rollback-after"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"enable"}, row.args...)
			if row.args != nil {
				args = append(args, "--yes")
			}
			c.refuseUnchanged(t, row.says, args...)
		})
	}
	t.Run("disable has nothing to do", func(t *testing.T) {
		before := c.setting(t)
		c.succeed(t, "disable", "--yes", "--remove-flags")
		assert.Equal(t, before, c.setting(t))
	})
	t.Run("a resource that costs more than it brings is warned of", c.warnOfEvents)
	t.Run("a configuration of kubeadm that is not understood", c.refuseKubeadm)
}

// refuseUnchanged is refuse, and requires that no manifest and no configuration of kubeadm is changed either.
func (c *cluster) refuseUnchanged(t *testing.T, says []string, args ...string) {
	t.Helper()
	before := c.setting(t)
	c.refuse(t, says, args...)
	assert.Equal(t, before, c.setting(t))
	assert.NoFileExists(t, c.nodes[0].configFile())
}

func (c *cluster) warnOfEvents(t *testing.T) {
	administrator := "--kubeconfig=" + filepath.Join(c.dir, "kubeconfig") // the shipped roles have no rights to events
	r := c.succeed(t, "enable", "--dry-run", "--resources", "secrets,events", "-o", "json", administrator)
	var plan struct{ Warnings []string }
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &plan))
	assert.True(t, slices.ContainsFunc(plan.Warnings, func(w string) bool { return strings.Contains(w, "events") }), "%v", plan.Warnings)
	assert.NoFileExists(t, c.nodes[0].configFile(), "a plan changes nothing")
}

// refuseKubeadm tries enable where kubeadm's configuration could not be made to keep the flags.
func (c *cluster) refuseKubeadm(t *testing.T) {
	original := c.kubeadmConfig(t)
	defer c.setKubeadmConfig(t, original)
	for name, text := range map[string]string{
		"no YAML":                     "{[",
		"a version that is not known": strings.Replace(original, "kubeadm.k8s.io/", "kubeadm.k8s.io/v9", 1),
		"another path that it has":    withArgument(original, "encryption-provider-config", "/etc/other.yaml"),
		"nothing":                     "",
	} {
		t.Run(name, func(t *testing.T) {
			require.NotEqual(t, original, text)
			c.setKubeadmConfig(t, text)
			c.refuseUnchanged(t, []string{"kubeadm-config"}, "enable", "--yes")
		})
	}
}

// withArgument adds an argument of the kube-apiserver to kubeadm's configuration, which has some.
func withArgument(config, name, value string) string {
	const list = "extraArgs:\n"
	at := strings.Index(config, list)
	if at < 0 {
		return config
	}
	at += len(list)
	return config[:at] + "  - name: " + name + "\n    value: " + value + "\n" + config[at:]
}
