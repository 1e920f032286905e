// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package krew_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

const tag = "v1.2.3"

// render fills the template in as the release bot does, with checksums that are made up.
func render(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(project.Plugin + ".yaml")
	require.NoError(t, err)
	functions := template.FuncMap{"addURIAndSha": func(address, tag string) (string, error) {
		var uri bytes.Buffer
		parsed, err := template.New("address").Parse(address)
		if err != nil {
			return "", err
		}
		err = parsed.Execute(&uri, map[string]string{"TagName": tag})
		return fmt.Sprintf("uri: %s\n    sha256: %s", &uri, strings.Repeat("0a", 32)), err
	}}
	parsed, err := template.New("manifest").Funcs(functions).Parse(string(text))
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, parsed.Execute(&out, map[string]string{"TagName": tag}))
	return out.Bytes()
}

func TestTemplate_gives_a_manifest_that_krew_takes(t *testing.T) {
	t.Parallel()
	m, problems := check(project.Plugin+".yaml", render(t))
	require.Empty(t, problems)
	assert.Equal(t, project.Plugin, m.Metadata.Name)
	assert.Equal(t, "https://"+project.Module, m.Spec.Homepage)
	assert.Equal(t, tag, m.Spec.Version)
	require.Len(t, m.Spec.Platforms, 6)
	for _, p := range m.Spec.Platforms {
		assert.Equal(t, project.Name, strings.TrimSuffix(p.Bin, ".exe"))
		assert.Contains(t, p.URI, "https://"+project.Module+"/releases/download/"+tag+"/"+project.Name+"_"+tag+"_")
	}
}

func TestPlugins_are_manifests_that_krew_takes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "plugins", "*.yaml"))
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		_, problems := check(filepath.Base(file), data)
		assert.Empty(t, problems, file)
		assert.NotContains(t, string(data), "{{", "a template in place of a manifest")
	}
}

func TestPlugins_holds_nothing_that_krew_could_take_for_a_manifest(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(filepath.Join("..", "plugins"))
	require.NoError(t, err)
	for _, entry := range entries {
		assert.True(t, entry.Name() == "README.md" || filepath.Ext(entry.Name()) == ".yaml", entry.Name())
		assert.False(t, entry.IsDir(), entry.Name())
	}
}

func TestCheck_finds_what_krew_refuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ old, replaced, want string }{
		"another version of the API":       {"v1alpha2", "v1alpha1", "apiVersion"},
		"another kind":                     {"kind: Plugin", "kind: Plug", "kind"},
		"a name that is not the file's":    {"name: encryption", "name: other", "is not the file's"},
		"a name with a blank":              {"name: encryption", "name: en cryption", "name"},
		"a device of Windows":              {"name: encryption", "name: nul", "Windows"},
		"a version without its v":          {"version: v1.2.3", "version: 1.2.3", "version"},
		"no version":                       {"version: v1.2.3", "version: ''", "version"},
		"no short description":             {"shortDescription: Manage encryption at rest keys and migration", "shortDescription: ''", "shortDescription"},
		"a short description that is long": {"at rest keys", "at rest keys of every control plane", "shortDescription"},
		"a description that is wide":       {"Shows how", strings.Repeat("wide ", 20), "80 columns"},
		"no https":                         {"uri: https:", "uri: http:", "uri"},
		"another kind of archive":          {"linux_amd64.tar.gz", "linux_amd64.tar.xz", "uri"},
		"a checksum in capitals":           {"sha256: 0a0a", "sha256: 0A0A", "sha256"},
		"a checksum that is short":         {"sha256: 0a0a", "sha256: 0a", "sha256"},
		"no program":                       {"bin: kubectl-encryption\n", "bin: ''\n", "bin"},
		"a Windows program without .exe":   {"bin: kubectl-encryption.exe", "bin: kubectl-encryption", "bin"},
		"a platform twice":                 {"arch: arm64", "arch: amd64", "twice"},
		"a platform that krew lacks":       {"os: darwin", "os: plan9", "platform"},
		"an empty list of files":           {"    bin: kubectl-encryption\n", "    bin: kubectl-encryption\n    files: []\n", "files"},
		"a field that krew does not know":  {"spec:\n", "spec:\n  maintainer: x\n", "maintainer"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := string(render(t))
			require.Contains(t, text, test.old)
			_, problems := check("encryption.yaml", []byte(strings.ReplaceAll(text, test.old, test.replaced)))
			assert.Contains(t, strings.Join(problems, "\n"), test.want)
		})
	}
}
