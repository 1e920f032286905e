// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/encryption"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeadm"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
)

// furnish puts the files on every node that an administrator puts there
// before kubeadm runs.
func (h *Harness) furnish(options Options) error {
	var configuration []byte
	if options.Encryption != encryption.None {
		var err error
		if configuration, err = encryption.NewConfig(options.Encryption); err != nil {
			return err
		}
	}
	for _, node := range h.state.Nodes {
		if err := furnishRuntime(node, h.state.PauseImage); err != nil {
			return fmt.Errorf("furnish node %s: %w", node.Name, err)
		}
		if configuration != nil {
			if err := place(path(node, encryption.File), configuration, 0o700); err != nil {
				return fmt.Errorf("furnish node %s: %w", node.Name, err)
			}
		}
		if options.Audit {
			if err := place(path(node, kubeadm.AuditPolicy), kubeadm.AuditPolicyFile(), 0o755); err != nil {
				return fmt.Errorf("furnish node %s: %w", node.Name, err)
			}
		}
	}
	return nil
}

// furnishRuntime configures containerd and the network of pods.
func furnishRuntime(node *state.Node, pauseImage string) error {
	if err := os.MkdirAll(node.Root, 0o755); err != nil {
		return fmt.Errorf("make root: %w", err)
	}
	config := containerdConfig{
		PauseImage: pauseImage, Snapshotter: snapshotterFor(node.Root), KeepOOMScore: !canLowerOOMScore(),
	}
	if err := place(path(node, "etc/containerd/config.toml"), config.render(), 0o755); err != nil {
		return err
	}
	pods, err := podNetwork(node.PodSubnet)
	if err != nil {
		return err
	}
	return place(path(node, "etc/cni/net.d/10-pods.conflist"), pods, 0o755)
}

// place writes a file for root alone, in a folder of the given mode, below
// folders that all may enter.
func place(file string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Chmod(filepath.Dir(file), mode); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return nil
}

// containerdConfig is what a node's containerd is told.
type containerdConfig struct {
	PauseImage  string
	Snapshotter string
	// KeepOOMScore is for machines that forbid to lower a process's score,
	// where runc would fail without a word about the reason.
	KeepOOMScore bool
}

func (c containerdConfig) render() []byte {
	return fmt.Appendf(nil, `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = %t
  # A node has no profiles of its own, and no tool to load one.
  disable_apparmor = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = %q
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`, c.PauseImage, c.KeepOOMScore, c.Snapshotter)
}

// snapshotterFor chooses how containerd stacks the layers of images: where
// root itself lies on an overlay, another cannot be laid upon it.
func snapshotterFor(root string) string {
	var fs unix.Statfs_t
	if err := unix.Statfs(root, &fs); err == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}

// canLowerOOMScore reports whether this process has CAP_SYS_RESOURCE, and so
// what it starts will have.
func canLowerOOMScore() bool {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0
}

// podNetwork is a plain bridge with the addresses of one node's pods.
func podNetwork(subnet string) ([]byte, error) {
	type object = map[string]any
	content, err := json.MarshalIndent(object{
		"cniVersion": "1.0.0",
		"name":       "pods",
		"plugins": []object{{
			"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
			"ipam": object{
				"type":   "host-local",
				"ranges": [][]object{{{"subnet": subnet}}},
				"routes": []object{{"dst": "0.0.0.0/0"}},
			},
		}},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("render pod network: %w", err)
	}
	return content, nil
}
