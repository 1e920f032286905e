// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package image makes container images that hold one static program, without
// a container engine and without a network. The same program always gives the
// same image, to the byte.
package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Options say what goes into an image.
type Options struct {
	// Binary is the static program to put into the image, as /NAME.
	Binary string
	Name   string
	// Links are further names of the program, as paths.
	Links []string
	// Entrypoint is what a container runs, nothing when empty.
	Entrypoint []string
	// User is who a container runs as, root when empty.
	User string
}

// epoch is when everything in an image was made.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

// New makes the image.
func New(options Options) (v1.Image, error) {
	content, err := os.ReadFile(options.Binary)
	if err != nil {
		return nil, fmt.Errorf("read program: %w", err)
	}
	archive, err := files(options, content)
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", options.Name, err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive)), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, fmt.Errorf("make layer: %w", err)
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.AppendLayers(base, layer)
	if err != nil {
		return nil, fmt.Errorf("add layer: %w", err)
	}
	return configure(img, options)
}

func configure(img v1.Image, options Options) (v1.Image, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read image configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Created = v1.Time{Time: epoch()}
	config.Config.Entrypoint = options.Entrypoint
	config.Config.User = options.User
	config.Config.Env = []string{"PATH=/usr/local/bin:/"}
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		return nil, fmt.Errorf("configure image: %w", err)
	}
	return img, nil
}

// files packs the program and its links.
func files(options Options, content []byte) ([]byte, error) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	program := path.Join("/", options.Name)
	headers := []*tar.Header{{
		Typeflag: tar.TypeReg, Name: program[1:], Size: int64(len(content)), Mode: 0o755, ModTime: epoch(),
	}}
	for _, directory := range parents(options.Links) {
		headers = append(headers, &tar.Header{Typeflag: tar.TypeDir, Name: directory[1:] + "/", Mode: 0o755, ModTime: epoch()})
	}
	for _, link := range options.Links {
		headers = append(headers, &tar.Header{Typeflag: tar.TypeSymlink, Name: link[1:], Linkname: program, Mode: 0o777, ModTime: epoch()})
	}
	for _, header := range headers {
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeReg {
			if _, err := writer.Write(content); err != nil {
				return nil, err
			}
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

// parents lists the folders above the paths, each once, the upper ones first.
func parents(paths []string) []string {
	var all []string
	seen := map[string]bool{"/": true}
	for _, p := range paths {
		var chain []string
		for directory := path.Dir(p); !seen[directory]; directory = path.Dir(directory) {
			seen[directory] = true
			chain = append([]string{directory}, chain...)
		}
		all = append(all, chain...)
	}
	return all
}
