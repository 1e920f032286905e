// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
)

const fedora = "Fedora CoreOS 42.20260120.3.0"

// node1 changes what the first node says of itself.
func node1(version, image string, labels ...string) func(*cluster) {
	return func(c *cluster) {
		c.nodes[0].Status.NodeInfo = corev1.NodeSystemInfo{KubeletVersion: version, OSImage: image}
		for _, l := range labels {
			c.nodes[0].Labels[l] = "x"
		}
	}
}

// workersAlone makes the node one that is not of the control plane, which nothing else shows of itself either.
func workersAlone(c *cluster) {
	delete(c.nodes[0].Labels, "node-role.kubernetes.io/control-plane")
	c.pods, c.leases = nil, nil
}

func flag(word string) func(*cluster) {
	return func(c *cluster) {
		command := &c.pods[0].Spec.Containers[0].Command
		*command = append((*command)[:1], word)
	}
}

func both(changes ...func(*cluster)) func(*cluster) {
	return func(c *cluster) {
		for _, change := range changes {
			change(c)
		}
	}
}

func TestDiscoverNamesWhoKeepsTheConfiguration(t *testing.T) {
	t.Parallel()
	const debian = "Debian GNU/Linux 12 (bookworm)"
	tests := map[string]struct {
		change        func(*cluster)
		name, command string
	}{
		"kubeadm":                                 {node1("v1.37.1", debian), "", ""},
		"kubeadm on Fedora CoreOS":                {node1("v1.37.1", fedora), "", ""},
		"kubeadm on machines of EKS Anywhere":     {node1("v1.37.1-eks-1a2b3c4", "Bottlerocket OS 1.40"), "", ""},
		"workers of nobody that is known":         {both(node1("v1.37.1", debian), workersAlone), "", ""},
		"RKE2 by its kubelet":                     {node1("v1.37.1+rke2r1", "Ubuntu 24.04"), "RKE2", "rke2 secrets-encrypt rotate-keys"},
		"RKE2 by its folder":                      {flag("--client-ca-file=/var/lib/rancher/rke2/server/tls/client-ca.crt"), "RKE2", "rke2 secrets-encrypt"},
		"k3s":                                     {node1("v1.37.1+k3s1", "Ubuntu 24.04"), "k3s", "k3s secrets-encrypt rotate-keys"},
		"k3s without a pod":                       {both(node1("v1.37.1+k3s1", debian), func(c *cluster) { c.pods = nil }), "k3s", "k3s secrets-encrypt"},
		"k0s whose controllers are no nodes":      {both(node1("v1.37.1+k0s", debian), workersAlone), "k0s", "spec.api.extraArgs"},
		"Talos by its system":                     {node1("v1.37.1", "Talos (v1.14.0)"), "Talos", "cluster.secretboxEncryptionSecret"},
		"Talos by its folder":                     {flag("--encryption-provider-config=/system/secrets/kubernetes/kube-apiserver/encryptionconfig.yaml"), "Talos", "talosctl"},
		"OpenShift by its system":                 {node1("v1.37.1", "Red Hat Enterprise Linux CoreOS 420.94"), "OpenShift", "oc patch apiserver cluster"},
		"OKD on Fedora CoreOS":                    {node1("v1.37.1", fedora, "node.openshift.io/os_id"), "OpenShift", "oc patch apiserver cluster"},
		"MicroK8s":                                {both(node1("v1.37.1", debian, "microk8s.io/cluster"), workersAlone), "MicroK8s", "snap restart microk8s"},
		"kubespray that encrypts":                 {flag("--encryption-provider-config=/etc/kubernetes/ssl/secrets_encryption.yaml"), "kubespray", "kube_encrypt_secret_data"},
		"kubespray that does not encrypt":         {flag("--client-ca-file=/etc/kubernetes/ssl/ca.crt"), "kubespray", "ansible-playbook -b cluster.yml"},
		"certificates in the folder of kubeadm":   {flag("--client-ca-file=/etc/kubernetes/pki/ca.crt"), "", ""},
		"another flag with a path of kubespray's": {flag("--audit-policy-file=/etc/kubernetes/ssl/policy.yaml"), "", ""},
		"EKS by its kubelet":                      {both(node1("v1.37.1-eks-1a2b3c4", "Amazon Linux 2023"), workersAlone), "Amazon EKS", "aws eks associate-encryption-config"},
		"EKS by a label":                          {both(node1("v1.37.1", debian, "eks.amazonaws.com/nodegroup"), workersAlone), "Amazon EKS", "aws eks"},
		"GKE by its kubelet":                      {both(node1("v1.37.1-gke.1589018", "Container-Optimized OS"), workersAlone), "Google GKE", "--database-encryption-key"},
		"GKE by a label":                          {both(node1("v1.37.1", debian, "cloud.google.com/gke-nodepool"), workersAlone), "Google GKE", "gcloud container clusters update"},
		"AKS":                                     {both(node1("v1.37.1", "Ubuntu 24.04", "kubernetes.azure.com/cluster"), workersAlone), "Azure AKS", "az aks update"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := inOrder("n1")
			tt.change(c)
			got := c.discover(t).Foreign
			assert.Equal(t, tt.name, got.Name)
			assert.Contains(t, got.Command, tt.command)
		})
	}
}

func TestDiscoverLooksAtWorkersOnlyWhereThereIsNothingElse(t *testing.T) {
	t.Parallel()
	c := inOrder("n1")
	worker := node("n2")
	worker.Labels = map[string]string{"eks.amazonaws.com/nodegroup": "x", "microk8s.io/cluster": "true"}
	c.nodes = append(c.nodes, worker)
	assert.Empty(t, c.discover(t).Foreign)
}

func TestDiscoverNeedsToSeeTheNodes(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	asked := 0
	client.PrependReactor("list", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		asked++
		if asked == 1 {
			return true, &corev1.NodeList{}, nil
		}
		return true, nil, errors.New("no")
	})
	_, err := controlplane.Discover(t.Context(), client)
	assert.EqualError(t, err, "list nodes: no")
}
