// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/wait"
)

const (
	containerdConfig = "/etc/containerd/config.toml"
	kubeletConfig    = "/var/lib/kubelet/config.yaml"
	kubeletFlags     = "/var/lib/kubelet/kubeadm-flags.env"
	kubeletIdentity  = "/etc/kubernetes/kubelet.conf"
	kubeletBootstrap = "/etc/kubernetes/bootstrap-kubelet.conf"
)

// Path is where a node finds its programs.
const Path = "/opt/kubernetes/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func environment() []string {
	return []string{"PATH=" + Path, "HOME=/root"}
}

func containerd() program {
	return program{
		name: "containerd",
		log:  "/var/log/containerd.log",
		arguments: func(context.Context) ([]string, error) {
			path, err := findProgram("containerd")
			return []string{path, "--config", containerdConfig}, err
		},
	}
}

// kubelet is started as soon as kubeadm has written its configuration: what
// kubeadm does by systemd on other machines.
func kubelet() program {
	return program{
		name: "kubelet",
		log:  "/var/log/kubelet.log",
		arguments: func(ctx context.Context) ([]string, error) {
			var flags []string
			err := wait.Until(ctx, "kubeadm", 100*time.Millisecond, func(context.Context) error {
				var err error
				flags, err = readKubeletFlags()
				return err
			})
			return append([]string{
				programs + "/kubelet",
				"--bootstrap-kubeconfig=" + kubeletBootstrap,
				"--kubeconfig=" + kubeletIdentity,
				"--config=" + kubeletConfig,
			}, flags...), err
		},
	}
}

// readKubeletFlags returns the flags that kubeadm chose, once all is there
// that the kubelet needs to start.
func readKubeletFlags() ([]string, error) {
	if !exists(kubeletConfig) || (!exists(kubeletIdentity) && !exists(kubeletBootstrap)) {
		return nil, errors.New("the kubelet's configuration is not written yet")
	}
	content, err := os.ReadFile(kubeletFlags)
	if err != nil {
		return nil, fmt.Errorf("read the kubelet's flags: %w", err)
	}
	return parseKubeletFlags(string(content))
}

// parseKubeletFlags reads KUBELET_KUBEADM_ARGS="--a=b --c=d", the one line
// that kubeadm writes into the environment file of the kubelet's unit.
func parseKubeletFlags(content string) ([]string, error) {
	_, value, found := strings.Cut(strings.TrimSpace(content), "KUBELET_KUBEADM_ARGS=")
	if !found {
		return nil, fmt.Errorf("read the kubelet's flags: no KUBELET_KUBEADM_ARGS in %q", content)
	}
	return strings.Fields(strings.Trim(value, `"`)), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// findProgram looks where a node has its programs; the environment of process
// 1 is not the node's.
func findProgram(name string) (string, error) {
	for directory := range strings.SplitSeq(Path, ":") {
		if path := directory + "/" + name; exists(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: it is in none of %s", name, Path)
}
