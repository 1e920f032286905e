// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubeadm writes the configuration files that kubeadm reads.
package kubeadm

import (
	"bytes"
	"fmt"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/encryption"
)

const (
	apiVersion = "kubeadm.k8s.io/v1beta4"
	// ContainerRuntime is where a node's containerd listens.
	ContainerRuntime = "unix:///run/containerd/containerd.sock"
	// ServiceAddress is the address of the kubernetes Service.
	ServiceAddress = "10.96.0.1"
	// APIServerPort is the port of every kube-apiserver.
	APIServerPort = 6443
	// AuditPolicy is where a node keeps what its audit log is to hold.
	AuditPolicy = auditPolicyDirectory + "/policy.yaml"
	// AuditLog is where it writes it.
	AuditLog = auditLogDirectory + "/audit.log"
	// StockReloadPoll is how often an unchanged kube-apiserver looks at its
	// encryption configuration.
	StockReloadPoll = time.Minute
	// StockCompaction is how often an unchanged kube-apiserver compacts etcd.
	StockCompaction = 5 * time.Minute

	auditPolicyDirectory = "/etc/kubernetes/audit"
	auditLogDirectory    = "/var/log/kubernetes/audit"
	// volumePlugins replaces a folder below /usr, which a node cannot write.
	volumePlugins = "/var/lib/kubelet/volume-plugins"
	// reloadPollVariable is read by the kube-apiserver built here.
	reloadPollVariable = "ENCRYPTION_CONFIG_RELOAD_POLL"
)

// Cluster is what all nodes of a cluster have in common.
type Cluster struct {
	KubernetesVersion string
	ImageRepository   string
	// Endpoint is the address, with its port, by which nodes know the
	// control plane as a whole.
	Endpoint   string
	CertSANs   []string
	Encryption string
	ReloadPoll time.Duration
	Compaction time.Duration
	Audit      bool
	CgroupV1   bool
	// Token and CertificateKey let a node join.
	Token          string
	CertificateKey string
}

// Node is what tells one node from the others.
type Node struct {
	Name       string
	Address    string
	CgroupRoot string
}

// Init renders what `kubeadm init --config` reads on the first node.
func Init(cluster Cluster, node Node) ([]byte, error) {
	return documents(
		initConfiguration(cluster, node),
		clusterConfiguration(cluster),
		kubeletConfiguration(cluster),
	)
}

// Join renders what `kubeadm join --config` reads on every other node.
func Join(cluster Cluster, node Node) ([]byte, error) {
	return documents(object{
		"apiVersion": apiVersion,
		"kind":       "JoinConfiguration",
		"controlPlane": object{
			"localAPIEndpoint": localEndpoint(node),
			"certificateKey":   cluster.CertificateKey,
		},
		"discovery": object{"bootstrapToken": object{
			"token":                    cluster.Token,
			"apiServerEndpoint":        cluster.Endpoint,
			"unsafeSkipCAVerification": true,
		}},
		"nodeRegistration": registration(node),
	})
}

type object map[string]any

func initConfiguration(cluster Cluster, node Node) object {
	return object{
		"apiVersion":       apiVersion,
		"kind":             "InitConfiguration",
		"bootstrapTokens":  []object{{"token": cluster.Token, "ttl": "24h"}},
		"certificateKey":   cluster.CertificateKey,
		"localAPIEndpoint": localEndpoint(node),
		"nodeRegistration": registration(node),
		// There is nothing here for kube-proxy and CoreDNS to serve.
		"skipPhases": []string{"addon"},
	}
}

func localEndpoint(node Node) object {
	return object{"advertiseAddress": node.Address, "bindPort": APIServerPort}
}

func registration(node Node) object {
	return object{
		"name":            node.Name,
		"criSocket":       ContainerRuntime,
		"imagePullPolicy": "IfNotPresent",
		"kubeletExtraArgs": arguments(
			"cgroup-root", node.CgroupRoot,
			"hostname-override", node.Name,
			"node-ip", node.Address,
		),
		// A network namespace is no machine of its own: kubeadm's look at
		// kernel, swap, memory and ports finds those of the host.
		"ignorePreflightErrors": []string{"all"},
	}
}

func clusterConfiguration(cluster Cluster) object {
	return object{
		"apiVersion":           apiVersion,
		"kind":                 "ClusterConfiguration",
		"kubernetesVersion":    cluster.KubernetesVersion,
		"imageRepository":      cluster.ImageRepository,
		"controlPlaneEndpoint": cluster.Endpoint,
		"apiServer":            apiServer(cluster),
		"controllerManager":    object{"extraArgs": arguments("flex-volume-plugin-dir", volumePlugins)},
	}
}

func apiServer(cluster Cluster) object {
	var args, volumes []object
	if cluster.Encryption != encryption.None {
		args = append(args, arguments(
			"encryption-provider-config", encryption.File,
			"encryption-provider-config-automatic-reload", "true",
		)...)
		volumes = append(volumes, volume("encryption", encryption.Directory, true))
	}
	if cluster.Audit {
		args = append(args, arguments("audit-policy-file", AuditPolicy, "audit-log-path", AuditLog)...)
		volumes = append(volumes,
			volume("audit-policy", auditPolicyDirectory, true),
			volume("audit-log", auditLogDirectory, false))
	}
	if cluster.Compaction != StockCompaction {
		args = append(args, arguments("etcd-compaction-interval", cluster.Compaction.String())...)
	}
	server := object{"certSANs": cluster.CertSANs}
	if args != nil {
		server["extraArgs"] = args
	}
	if volumes != nil {
		server["extraVolumes"] = volumes
	}
	if cluster.ReloadPoll != StockReloadPoll {
		server["extraEnvs"] = []object{{"name": reloadPollVariable, "value": cluster.ReloadPoll.String()}}
	}
	return server
}

func volume(name, path string, readOnly bool) object {
	return object{"name": name, "hostPath": path, "mountPath": path, "readOnly": readOnly, "pathType": "DirectoryOrCreate"}
}

func kubeletConfiguration(cluster Cluster) object {
	kubelet := object{
		"apiVersion":      "kubelet.config.k8s.io/v1beta1",
		"kind":            "KubeletConfiguration",
		"cgroupDriver":    "cgroupfs",
		"failSwapOn":      false,
		"volumePluginDir": volumePlugins,
		// The images cannot be pulled again and the disk is the machine's.
		"imageGCHighThresholdPercent": 100,
		"evictionHard": object{
			"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
		},
	}
	if cluster.CgroupV1 {
		kubelet["failCgroupV1"] = false
	}
	return kubelet
}

// arguments turns name, value, name, value… into kubeadm's list of them.
func arguments(pairs ...string) []object {
	var args []object
	for i := 0; i+1 < len(pairs); i += 2 {
		args = append(args, object{"name": pairs[i], "value": pairs[i+1]})
	}
	return args
}

func documents(objects ...object) ([]byte, error) {
	var parts [][]byte
	for _, o := range objects {
		document, err := yaml.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("render %v: %w", o["kind"], err)
		}
		parts = append(parts, document)
	}
	return bytes.Join(parts, []byte("---\n")), nil
}
