// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/image"
)

// imageFormat counts the changes to how the images are made.
const imageFormat = 1

// ImageRepository is where the images seem to come from: a place that cannot
// exist (RFC 2606), so that nothing is ever pulled by mistake.
const ImageRepository = "images.invalid/kubernetes"

// Build is one built version of Kubernetes.
type Build struct {
	Version string
	// Binary is kube-apiserver, kubelet, kubeadm, etcd… in one program.
	Binary string
	// Images are the archives to load on a node.
	Images []string
	// PauseImage is the name of the image that every pod begins with.
	PauseImage string
}

// programNames are the names that the one program answers to in its image.
func programNames() []string {
	return []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"}
}

// Get returns the version's build: from the cache where it is there, otherwise
// after building it. Progress and the compiler's words go to log.
func Get(ctx context.Context, version string, log io.Writer) (Build, error) {
	source, err := FindSource(version)
	if err != nil {
		return Build{}, err
	}
	hash, err := source.hash(ctx)
	if err != nil {
		return Build{}, err
	}
	cache, err := cacheFolder()
	if err != nil {
		return Build{}, err
	}
	final := filepath.Join(cache, "kubernetes-"+version+"-"+hash)
	unlock, err := lock(final + ".lock")
	if err != nil {
		return Build{}, err
	}
	defer unlock()
	if build, err := open(final, version); err == nil {
		return build, nil
	}
	if err := produce(ctx, source, final, log); err != nil {
		return Build{}, fmt.Errorf("build Kubernetes %s: %w", version, err)
	}
	return open(final, version)
}

func cacheFolder() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache: %w", err)
	}
	dir := filepath.Join(base, "kubectl-encryption")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make cache: %w", err)
	}
	return dir, nil
}

// lock keeps two harnesses from building the same thing at once.
func lock(file string) (unlock func(), err error) {
	handle, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock cache: %w", err)
	}
	if err := unix.Flock(int(handle.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock cache: %w", err), handle.Close())
	}
	return func() { _ = handle.Close() }, nil
}

const (
	binaryFile     = "kubernetes"
	pauseFile      = "pause"
	imageFile      = "kubernetes.tar"
	pauseImageFile = "pause.tar"
	pauseNameFile  = "pause-image"
)

// open returns what an earlier build left.
func open(dir, version string) (Build, error) {
	pause, err := os.ReadFile(filepath.Join(dir, pauseNameFile))
	if err != nil {
		return Build{}, fmt.Errorf("open build: %w", err)
	}
	return Build{
		Version: version, Binary: filepath.Join(dir, binaryFile), PauseImage: string(pause),
		Images: []string{filepath.Join(dir, imageFile), filepath.Join(dir, pauseImageFile)},
	}, nil
}

// produce builds in a folder beside the final one, which appears when complete.
func produce(ctx context.Context, source Source, final string, log io.Writer) error {
	dir, err := os.MkdirTemp(filepath.Dir(final), ".building-*")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	_, _ = fmt.Fprintf(log, "building Kubernetes %s: about 16 minutes of processor time where nothing of it is cached\n", source.Version)
	for out, pkg := range map[string]string{binaryFile: ".", pauseFile: "./pause"} {
		cmd := source.command(ctx, append(append([]string{"build"}, source.flags()...), "-o", filepath.Join(dir, out), pkg)...)
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("compile %s: %w", out, err)
		}
	}
	if err := pack(ctx, source, dir); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return fmt.Errorf("keep build: %w", err)
	}
	if err := os.Rename(dir, final); err != nil {
		return fmt.Errorf("keep build: %w", err)
	}
	return nil
}

// pack makes the images under the names that this version's kubeadm wants.
func pack(ctx context.Context, source Source, dir string) error {
	binary := filepath.Join(dir, binaryFile)
	names, err := imageNames(ctx, source, binary)
	if err != nil {
		return err
	}
	var pause string
	var others []string
	for _, name := range names {
		if strings.HasPrefix(name, ImageRepository+"/pause:") {
			pause = name
		} else {
			others = append(others, name)
		}
	}
	if pause == "" {
		return fmt.Errorf("find pause image among %q", names)
	}
	var links []string
	for _, program := range programNames() {
		links = append(links, "/usr/local/bin/"+program)
	}
	for file, options := range map[string]image.Options{
		imageFile:      {Binary: binary, Name: binaryFile, Links: links},
		pauseImageFile: {Binary: filepath.Join(dir, pauseFile), Name: pauseFile, Entrypoint: []string{"/pause"}, User: "65535:65535"},
	} {
		img, err := image.New(options)
		if err != nil {
			return err
		}
		tags := others
		if file == pauseImageFile {
			tags = []string{pause}
		}
		if _, err := image.Write(filepath.Join(dir, file), img, tags...); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, pauseNameFile), []byte(pause), 0o644)
}

func imageNames(ctx context.Context, source Source, binary string) ([]string, error) {
	cmd := source.command(ctx)
	cmd.Path, cmd.Err = binary, nil
	cmd.Args = []string{
		"kubeadm", "config", "images", "list",
		"--kubernetes-version", source.Version, "--image-repository", ImageRepository,
	}
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	return strings.Fields(string(output)), nil
}
