// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeadmconfig_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/kubeadmconfig"
)

const (
	v1beta3 = "kind: ClusterConfiguration\napiVersion: kubeadm.k8s.io/v1beta3\n"
	v1beta4 = "kind: ClusterConfiguration\napiVersion: kubeadm.k8s.io/v1beta4\n"
	args    = "apiServer:\n  extraArgs:\n"
	volumes = "apiServer:\n  extraVolumes:\n"
	config  = "  - {name: encryption-provider-config, value: /a/b}\n"
)

func TestRead_refuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ text, says string }{
		"an empty text":                    {"", "empty"},
		"JSON":                             {`{"kind":"ClusterConfiguration"}`, "line 1: the text is JSON"},
		"what is no YAML":                  {"a: [", "not one YAML document"},
		"two documents":                    {v1beta4 + "---\n" + v1beta4, "more than one YAML document"},
		"another kind":                     {"kind: InitConfiguration\napiVersion: kubeadm.k8s.io/v1beta4\n", "not kubeadm's ClusterConfiguration"},
		"an older version":                 {"kind: ClusterConfiguration\napiVersion: kubeadm.k8s.io/v1beta2\n", "only kubeadm.k8s.io/v1beta3, v1beta4 and v1"},
		"another group":                    {"kind: ClusterConfiguration\napiVersion: v1\n", "only kubeadm.k8s.io/v1beta3, v1beta4 and v1"},
		"a list where a mapping is due":    {v1beta3 + args + config, "line 5: extraArgs is not a mapping"},
		"a mapping where a list is due":    {v1beta4 + args + "    encryption-provider-config: /a/b\n", "line 5: extraArgs is not a list"},
		"an argument that is text":         {v1beta4 + args + "  - S3CRET\n", "line 5: an item of extraArgs is not a mapping"},
		"an argument given twice":          {v1beta4 + args + config + config, "line 6: the argument encryption-provider-config is given twice"},
		"an argument given twice, spelled": {v1beta3 + args + "    encryption-provider-config: /a\n    encryption_provider_config: /a\n", "line 6: the argument encryption-provider-config is given twice"},
		"an argument without a value":      {v1beta4 + args + "  - name: encryption-provider-config\n", "line 5: the argument encryption-provider-config has no value"},
		"a value that is not text":         {v1beta3 + args + "    encryption-provider-config-automatic-reload: true\n", "line 5: encryption-provider-config-automatic-reload is not text"},
		"a value from the environment":     {v1beta3 + args + "    encryption-provider-config: $(S3CRET)\n", "or one from the environment"},
		"a value that is merged":           {v1beta4 + args + "  - {name: encryption-provider-config, value: /a, mergeMethod: append}\n", "is merged with another value"},
		"reload that is neither":           {v1beta4 + args + "  - {name: encryption-provider-config-automatic-reload, value: S3CRET}\n", "neither true nor false"},
		"an apiServer that is text":        {v1beta4 + "apiServer: S3CRET\n", "line 3: apiServer is not a mapping"},
		"volumes that are text":            {v1beta4 + "apiServer:\n  extraVolumes: S3CRET\n", "line 4: extraVolumes is not a list"},
		"a volume without a path":          {v1beta4 + volumes + "  - name: a\n    mountPath: /a\n", "line 5: a volume has no name, or no absolute"},
		"a volume's path that is a number": {v1beta4 + volumes + "  - name: a\n    mountPath: 5\n", "line 6: mountPath is not text"},
		"two volumes of the same name":     {v1beta4 + volumes + "  - {name: a, hostPath: /a, mountPath: /a}\n  - {name: a, hostPath: /b, mountPath: /b}\n", "line 6: two volumes have the same name"},
		"a certificatesDir that is a list": {v1beta4 + "certificatesDir: []\n", "line 3: certificatesDir is not text"},
		"an anchor":                        {v1beta4 + "apiServer: &a {}\n", "line 3: anchors"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := kubeadmconfig.Read([]byte(row.text))
			requireRefusal(t, err, row.says)
			_, enableErr := kubeadmconfig.Enable([]byte(row.text), defaultFile)
			assert.Equal(t, err, enableErr)
			_, disableErr := kubeadmconfig.Disable([]byte(row.text))
			assert.Equal(t, err, disableErr)
		})
	}
}

func TestEnable_refuses(t *testing.T) {
	t.Parallel()
	volume := func(name, host, mount string) string {
		return v1beta4 + volumes + "  - {name: " + name + ", hostPath: " + host + ", mountPath: " + mount + "}\n"
	}
	enabledIn := func(file, text string) string {
		return strings.Replace(text, "  extraVolumes", "  extraArgs:\n  - {name: encryption-provider-config, value: "+file+"}\n  extraVolumes", 1)
	}
	for name, row := range map[string]struct{ text, file, says string }{
		"a file that is not absolute":            {v1beta4, "config.yaml", "must be an absolute path"},
		"a folder that is not the file's own":    {v1beta4, "/etc/config.yaml", "in a folder of its own"},
		"the folder that holds the certificates": {v1beta4 + "certificatesDir: /srv/kubernetes/pki\n", "/srv/kubernetes/config.yaml", "not in one with the certificates"},
		"an apiServer in flow style":             {v1beta4 + "apiServer: {certSANs: [a]}\n", defaultFile, "line 3: a mapping in flow style"},
		"arguments in flow style":                {v1beta4 + "apiServer:\n  extraArgs: [{name: a, value: b}]\n", defaultFile, "line 4: a list in flow style"},
		"another file":                           {enabledIn("/e/config.yaml", volume("e", "/e", "/e")), defaultFile, "names another file"},
		"a configuration outside every volume":   {v1beta4 + args + config, defaultFile, "outside every volume"},
		"a volume of the file alone":             {enabledIn(defaultFile, volume("e", defaultFile, defaultFile)), defaultFile, "the single file"},
		"a file mounted at the path":             {volume("e", defaultFile, defaultFile), defaultFile, "shows something else"},
		"another folder mounted at the path":     {volume("e", "/e", "/etc/kubernetes/encryption"), defaultFile, "shows something else"},
		"another folder mounted below":           {volume("e", "/e", "/etc/kubernetes/encryption/e"), defaultFile, "mounted below"},
		"a volume of the name":                   {volume("encryption-provider-config", "/e", "/e"), defaultFile, "line 5: there is a volume encryption-provider-config already"},
		"another argument that uses the folder":  {v1beta4 + args + "  - {name: audit-policy-file, value: /etc/kubernetes/encryption/audit.yaml}\n", defaultFile, "could not be taken back"},
		"an empty list on a line of its own":     {v1beta4 + "apiServer:\n  extraArgs: # []\n    []\n", defaultFile, "line 4: nothing can be changed here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := kubeadmconfig.Enable([]byte(row.text), row.file)
			requireRefusal(t, err, row.says)
		})
	}
}

func TestDisable_keeps_a_volume_that_something_else_names(t *testing.T) {
	t.Parallel()
	enabled, err := kubeadmconfig.Enable([]byte(v1beta4+args+"  - {name: v, value: \"2\"}\n"), defaultFile)
	require.NoError(t, err)
	audited := strings.Replace(string(enabled), `{name: v, value: "2"}`, "{name: audit-policy-file, value: /etc/kubernetes/encryption/audit.yaml}", 1)
	disabled, err := kubeadmconfig.Disable([]byte(audited))
	require.NoError(t, err)
	assert.Contains(t, string(disabled), "mountPath: /etc/kubernetes/encryption\n")
	assert.NotContains(t, string(disabled), "automatic-reload")
}

func TestRead_finds_the_configuration_on_the_node(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		text string
		want kubeadmconfig.Encryption
	}{
		"no argument => off": {v1beta4, kubeadmconfig.Encryption{}},
		"in a volume => the path on the node": {
			v1beta3 + "apiServer:\n  extraArgs:\n    encryption-provider-config: /a/b/c\n  extraVolumes: [{name: a, hostPath: /x, mountPath: /a/}]\n",
			kubeadmconfig.Encryption{ConfigPath: "/a/b/c", HostPath: "/x/b/c", MountPath: "/a"},
		},
		"with the certificates => the path itself": {
			v1beta4 + "certificatesDir: /pki\n" + args + "  - {name: encryption-provider-config, value: /pki/c}\n",
			kubeadmconfig.Encryption{ConfigPath: "/pki/c", HostPath: "/pki/c", MountPath: "/pki"},
		},
		"outside every volume => not known": {v1beta4 + args + config, kubeadmconfig.Encryption{ConfigPath: "/a/b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := kubeadmconfig.Read([]byte(row.text))
			require.NoError(t, err)
			assert.Equal(t, row.want, got)
		})
	}
}

func requireRefusal(t *testing.T, err error, says string) {
	t.Helper()
	require.ErrorIs(t, err, kubeadmconfig.ErrRefused)
	assert.ErrorContains(t, err, says)
	assert.NotContains(t, err.Error(), "S3CRET")
}
