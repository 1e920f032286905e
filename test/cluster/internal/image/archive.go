// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nameAnnotation is where containerd looks for the name of an image that it
// imports.
const nameAnnotation = "io.containerd.image.name"

// Write packs the image as an OCI layout into the file, under each of the
// names and, so that a pod may ask for it by digest, under REPOSITORY@DIGEST.
// It returns the digest of the image's manifest, which an import keeps.
func Write(file string, img v1.Image, names ...string) (digest string, err error) {
	temporary, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return "", fmt.Errorf("make archive: %w", err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	digest, err = write(temporary, img, names)
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return "", fmt.Errorf("write archive %s: %w", file, err)
	}
	if err := os.Chmod(temporary.Name(), 0o644); err != nil {
		return "", fmt.Errorf("write archive: %w", err)
	}
	if err := os.Rename(temporary.Name(), file); err != nil {
		return "", fmt.Errorf("write archive: %w", err)
	}
	return digest, nil
}

func write(to io.Writer, img v1.Image, names []string) (string, error) {
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("hash image: %w", err)
	}
	index, err := indexOf(img, names)
	if err != nil {
		return "", err
	}
	archive := tar.NewWriter(to)
	if err := writeFile(archive, "oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return "", err
	}
	if err := writeFile(archive, "index.json", index); err != nil {
		return "", err
	}
	if err := writeBlobs(archive, img); err != nil {
		return "", err
	}
	return digest.String(), archive.Close()
}

// indexOf lists the image once for each of its names.
func indexOf(img v1.Image, names []string) ([]byte, error) {
	digest, err := img.Digest()
	if err != nil {
		return nil, fmt.Errorf("hash image: %w", err)
	}
	size, err := img.Size()
	if err != nil {
		return nil, fmt.Errorf("measure image: %w", err)
	}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for _, name := range allNames(names, digest.String()) {
		index.Manifests = append(index.Manifests, v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Size: size, Digest: digest,
			Annotations: map[string]string{nameAnnotation: name},
		})
	}
	return json.Marshal(index)
}

// allNames adds to the names their forms by digest, and to one without a tag
// that which everybody takes it to mean.
func allNames(names []string, digest string) []string {
	var all []string
	for _, name := range names {
		if Repository(name) == name {
			name += ":latest"
		}
		all = append(all, name, Repository(name)+"@"+digest)
	}
	return all
}

// Repository is a reference without its tag.
func Repository(reference string) string {
	colon := strings.LastIndex(reference, ":")
	if colon > strings.LastIndex(reference, "/") {
		return reference[:colon]
	}
	return reference
}

func writeBlobs(archive *tar.Writer, img v1.Image) error {
	manifest, err := img.RawManifest()
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	digest, err := img.Digest()
	if err != nil {
		return fmt.Errorf("hash image: %w", err)
	}
	if err := writeFile(archive, blobPath(digest), manifest); err != nil {
		return err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return fmt.Errorf("read image configuration: %w", err)
	}
	configDigest, err := img.ConfigName()
	if err != nil {
		return fmt.Errorf("hash image configuration: %w", err)
	}
	if err := writeFile(archive, blobPath(configDigest), config); err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return fmt.Errorf("list layers: %w", err)
	}
	for _, layer := range layers {
		if err := writeLayer(archive, layer); err != nil {
			return err
		}
	}
	return nil
}

func writeLayer(archive *tar.Writer, layer v1.Layer) error {
	digest, err := layer.Digest()
	if err != nil {
		return fmt.Errorf("hash layer: %w", err)
	}
	packed, err := layer.Compressed()
	if err != nil {
		return fmt.Errorf("read layer: %w", err)
	}
	defer func() { _ = packed.Close() }()
	content, err := io.ReadAll(packed)
	if err != nil {
		return fmt.Errorf("read layer: %w", err)
	}
	return writeFile(archive, blobPath(digest), content)
}

func blobPath(digest v1.Hash) string {
	return "blobs/" + digest.Algorithm + "/" + digest.Hex
}

func writeFile(archive *tar.Writer, name string, content []byte) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644, ModTime: epoch()}
	if err := archive.WriteHeader(header); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := archive.Write(content); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
