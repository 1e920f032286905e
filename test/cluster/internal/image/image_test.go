// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeTestImage packs a program whose file is of the given age.
func writeTestImage(t *testing.T, age time.Duration) (file, digest string) {
	t.Helper()
	folder := t.TempDir()
	binary := filepath.Join(folder, "agent")
	require.NoError(t, os.WriteFile(binary, []byte("program"), 0o600))
	old := time.Now().Add(-age)
	require.NoError(t, os.Chtimes(binary, old, old))
	img, err := New(Options{
		Binary: binary, Name: "agent", Links: []string{"/usr/local/bin/a"}, Entrypoint: []string{"/agent"}, User: "65532",
	})
	require.NoError(t, err)
	file = filepath.Join(folder, "image.tar")
	digest, err = Write(file, img, "registry.invalid:5000/demo/agent:v1")
	require.NoError(t, err)
	return file, digest
}

func TestWrite_givesTheSameBytesForTheSameProgram(t *testing.T) {
	t.Parallel()
	oneFile, oneDigest := writeTestImage(t, 0)
	otherFile, otherDigest := writeTestImage(t, time.Hour)
	assert.Equal(t, oneDigest, otherDigest)
	one, err := os.ReadFile(oneFile)
	require.NoError(t, err)
	other, err := os.ReadFile(otherFile)
	require.NoError(t, err)
	assert.Equal(t, one, other)
}

func TestWrite_listsTheImageByTagAndByDigest(t *testing.T) {
	t.Parallel()
	file, digest := writeTestImage(t, 0)
	content := unpack(t, file)

	var index v1.IndexManifest
	require.NoError(t, json.Unmarshal(content["index.json"], &index))
	var names []string
	for _, manifest := range index.Manifests {
		assert.Equal(t, digest, manifest.Digest.String())
		names = append(names, manifest.Annotations[nameAnnotation])
	}
	assert.Equal(t, []string{"registry.invalid:5000/demo/agent:v1", "registry.invalid:5000/demo/agent@" + digest}, names)

	var manifest v1.Manifest
	require.NoError(t, json.Unmarshal(content[blobPath(index.Manifests[0].Digest)], &manifest))
	var config v1.ConfigFile
	require.NoError(t, json.Unmarshal(content[blobPath(manifest.Config.Digest)], &config))
	assert.Equal(t, "65532", config.Config.User)
	assert.Equal(t, []string{"/agent"}, config.Config.Entrypoint)
	require.Len(t, manifest.Layers, 1)
	assert.Contains(t, content, blobPath(manifest.Layers[0].Digest))
}

func unpack(t *testing.T, file string) map[string][]byte {
	t.Helper()
	handle, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = handle.Close() }()
	content := map[string][]byte{}
	for archive := tar.NewReader(handle); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return content
		}
		require.NoError(t, err)
		content[header.Name], err = io.ReadAll(archive)
		require.NoError(t, err)
	}
}

func TestFiles_holdTheProgramAndItsLinks(t *testing.T) {
	t.Parallel()
	packed, err := files(Options{Name: "agent", Links: []string{"/usr/local/bin/a", "/usr/local/bin/b"}}, []byte("program"))
	require.NoError(t, err)
	var names []string
	archive := tar.NewReader(strings.NewReader(string(packed)))
	for header, err := archive.Next(); err == nil; header, err = archive.Next() {
		names = append(names, header.Name)
	}
	assert.Equal(t, []string{"agent", "usr/", "usr/local/", "usr/local/bin/", "usr/local/bin/a", "usr/local/bin/b"}, names)
}

func TestAllNames_giveATagToNamesWithoutOne(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"a/b:latest", "a/b@sha256:0", "c:5000/d:v1", "c:5000/d@sha256:0"}, allNames([]string{"a/b", "c:5000/d:v1"}, "sha256:0"))
}

func TestRepository(t *testing.T) {
	t.Parallel()
	for reference, want := range map[string]string{
		"agent":                            "agent",
		"agent:v1":                         "agent",
		"registry.invalid:5000/agent":      "registry.invalid:5000/agent",
		"registry.invalid:5000/a/agent:v1": "registry.invalid:5000/a/agent",
	} {
		assert.Equal(t, want, Repository(reference))
	}
}
