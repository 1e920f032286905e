// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Foreign is another tool, or a service, that runs a control plane and keeps its encryption configuration itself: it
// would not know of a change, or undo it. Zero where there is none.
type Foreign struct {
	Name string
	// Command is what does there what is done here otherwise.
	Command string
}

// mark is how a tool is recognised: by any of what is set.
type mark struct {
	Foreign
	// version is part of what its kubelets report as theirs.
	version string
	// image is how the name of its operating system begins.
	image string
	// label is the beginning of a node's label.
	label string
	// folder is where its kube-apiservers have their files, if they run as static pods.
	folder string
}

// tools leave marks on their control-plane nodes, or on all nodes.
func tools() []mark {
	return []mark{
		{
			Foreign: Foreign{"RKE2", "rke2 secrets-encrypt rotate-keys"},
			version: "+rke2", folder: "/var/lib/rancher/rke2/",
		},
		{
			Foreign: Foreign{"k3s", "k3s secrets-encrypt rotate-keys, or k3s server --secrets-encryption where it is off"},
			version: "+k3s", folder: "/var/lib/rancher/k3s/",
		},
		{
			Foreign: Foreign{"k0s", "k0s start, after encryption-provider-config was set in spec.api.extraArgs of each controller's k0s.yaml and k0s was stopped"},
			version: "+k0s", folder: "/var/lib/k0s/",
		},
		{
			Foreign: Foreign{"Talos", "talosctl patch machineconfig, with cluster.secretboxEncryptionSecret"},
			image:   "Talos", folder: "/system/secrets/",
		},
		{
			Foreign: Foreign{"OpenShift", `oc patch apiserver cluster --type=merge -p '{"spec":{"encryption":{"type":"aesgcm"}}}'`},
			image:   "Red Hat Enterprise Linux CoreOS", label: "node.openshift.io/",
		},
		{
			Foreign: Foreign{"MicroK8s", "snap restart microk8s, after --encryption-provider-config was set in /var/snap/microk8s/current/args/kube-apiserver"},
			label:   "microk8s.io/", folder: "/var/snap/microk8s/",
		},
		{
			Foreign: Foreign{"kubespray", "ansible-playbook -b cluster.yml -e kube_encrypt_secret_data=true, with your inventory"},
			folder:  "/etc/kubernetes/ssl/",
		},
	}
}

// services show workers alone; clusters of one's own may run on the same machines, with the same kubelets.
func services() []mark {
	return []mark{
		{
			Foreign: Foreign{
				"Amazon EKS",
				`aws eks associate-encryption-config --cluster-name NAME --encryption-config '[{"resources":["secrets"],"provider":{"keyArn":"ARN"}}]'`,
			},
			version: "-eks-", label: "eks.amazonaws.com/",
		},
		{
			Foreign: Foreign{"Google GKE", "gcloud container clusters update NAME --database-encryption-key projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"},
			version: "-gke.", label: "cloud.google.com/gke-",
		},
		{
			Foreign: Foreign{"Azure AKS", "az aks update --resource-group GROUP --name NAME --enable-azure-keyvault-kms --azure-keyvault-kms-key-id KEY"},
			label:   "kubernetes.azure.com/",
		},
	}
}

// foreign tells who else runs a control plane. Where no node is one of the control plane, workers may tell.
func foreign(controlPlane, workers []corev1.Node, pods []corev1.Pod) Foreign {
	for _, m := range tools() {
		if slices.ContainsFunc(controlPlane, m.onNode) || slices.ContainsFunc(workers, m.onNode) || slices.ContainsFunc(pods, m.onPod) {
			return m.Foreign
		}
	}
	for _, m := range services() {
		if len(controlPlane) == 0 && slices.ContainsFunc(workers, m.onNode) {
			return m.Foreign
		}
	}
	return Foreign{}
}

func (m mark) onNode(node corev1.Node) bool {
	info := node.Status.NodeInfo
	if m.version != "" && strings.Contains(info.KubeletVersion, m.version) || m.image != "" && strings.HasPrefix(info.OSImage, m.image) {
		return true
	}
	for name := range node.Labels {
		if m.label != "" && strings.HasPrefix(name, m.label) {
			return true
		}
	}
	return false
}

// onPod looks at the flags that name the files that every kube-apiserver has.
func (m mark) onPod(pod corev1.Pod) bool {
	if m.folder == "" {
		return false
	}
	for _, c := range pod.Spec.Containers {
		for _, word := range append(slices.Clone(c.Command), c.Args...) {
			name, value, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
			isFile := slices.Contains([]string{"client-ca-file", "tls-cert-file", "encryption-provider-config"}, name)
			if isFile && strings.HasPrefix(value, m.folder) {
				return true
			}
		}
	}
	return false
}
