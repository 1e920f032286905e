// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFindSource_knowsTheSupportedVersions(t *testing.T) {
	t.Parallel()
	for _, version := range []string{DefaultVersion, "v1.33.13"} {
		source, err := FindSource(version)
		require.NoError(t, err)
		assert.FileExists(t, source.ModFile)
		assert.FileExists(t, source.sumFile())
	}
	_, err := FindSource("v0.0.1")
	require.ErrorContains(t, err, DefaultVersion, "it says what there is")
}

func TestFindSource_defaultIsThePlainModule(t *testing.T) {
	t.Parallel()
	source, err := FindSource(DefaultVersion)
	require.NoError(t, err)
	assert.Equal(t, "go.mod", filepath.Base(source.ModFile))
}

// newSource is a copy of nothing but names, to change at will.
func newSource(t *testing.T) Source {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": "module m\n", "go.sum": "", "main.go": "package main\n", "pause/main.go": "package main\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return Source{Dir: dir, Version: "v1.2.3", ModFile: filepath.Join(dir, "go.mod")}
}

func TestHash_isOfWhatTheBuildDependsOn(t *testing.T) {
	t.Parallel()
	original, err := newSource(t).hash(t.Context())
	require.NoError(t, err)

	same, err := newSource(t).hash(t.Context())
	require.NoError(t, err)
	assert.Equal(t, original, same, "another checkout of the same")

	for _, file := range []string{"go.mod", "go.sum", "main.go", "pause/main.go"} {
		changed := newSource(t)
		require.NoError(t, os.WriteFile(filepath.Join(changed.Dir, file), []byte("// changed\n"), 0o600))
		if file == "go.mod" {
			require.NoError(t, os.WriteFile(changed.ModFile, []byte("module other\n"), 0o600))
		}
		hash, err := changed.hash(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, original, hash, file)
	}
	other := newSource(t)
	other.Version = "v1.2.4"
	hash, err := other.hash(t.Context())
	require.NoError(t, err)
	assert.NotEqual(t, original, hash, "another version")
}

func TestFlags_tellTheProgramItsVersion(t *testing.T) {
	t.Parallel()
	flags := Source{Version: "v1.33.13", ModFile: "/m/v1.33.13.mod"}.flags()
	assert.Contains(t, flags, "-modfile=/m/v1.33.13.mod")
	assert.Contains(t, flags[len(flags)-1], "version.gitVersion=v1.33.13")
	assert.Contains(t, flags[len(flags)-1], "version.gitMinor=33 ")
}

func TestOpen_wantsACompleteBuild(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := open(dir, "v1.2.3")
	require.Error(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, pauseNameFile), []byte("images.invalid/pause:1"), 0o600))
	build, err := open(dir, "v1.2.3")
	require.NoError(t, err)
	assert.Equal(t, "images.invalid/pause:1", build.PauseImage)
}
