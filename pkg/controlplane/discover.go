// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane finds the control-plane nodes and their kube-apiservers and reaches each of them on its own.
//
// Which kube-apiservers there are is told by four sources: the control-plane nodes, their mirror pods, the Leases
// that kube-apiservers renew, and the EndpointSlice of the service kubernetes. They must agree; where they do not,
// Disagreements says how, and nothing may be changed.
package controlplane

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	namespace         = "kube-system"
	controlPlaneLabel = "node-role.kubernetes.io/control-plane"
	apiserverSelector = "component=kube-apiserver,tier=control-plane"
	leaseSelector     = "apiserver.kubernetes.io/identity=kube-apiserver"
	mirrorAnnotation  = "kubernetes.io/config.mirror"

	// leaseFresh is how far behind the newest Lease one may be: kube-apiservers renew theirs every 10 s
	// (k8s.io/kubernetes@v1.37.1 pkg/controlplane/apiserver/server.go).
	leaseFresh = 60 * time.Second
)

// ControlPlane is what was found.
type ControlPlane struct {
	// Instances by name of their node.
	Instances []Instance
	// Disagreements between the sources, each one sentence. None: the Instances are all there are.
	Disagreements []string
	// Foreign is whoever else runs this control plane. Zero if nobody does.
	Foreign Foreign

	sources sources
}

// Instance is one kube-apiserver.
type Instance struct {
	Node string
	Pod  string
	// Address of the node, where the kube-apiserver serves.
	Address string
	// Manifest is what its pod says. ManifestError is set if it is not understood.
	Manifest      Manifest
	ManifestError error
	// Etcd is how it reaches etcd. EtcdError is set if that is not understood.
	Etcd      Etcd
	EtcdError error
	// IDHash is the apiserver_id_hash that its metrics must carry, as far as its Lease is known.
	IDHash string
	Ready  bool
}

// Discover asks all four sources.
func Discover(ctx context.Context, client kubernetes.Interface) (*ControlPlane, error) {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: controlPlaneLabel})
	if err != nil {
		return nil, fmt.Errorf("list control-plane nodes: %w", err)
	}
	workers, err := workers(ctx, client, nodes.Items)
	if err != nil {
		return nil, err
	}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: apiserverSelector})
	if err != nil {
		return nil, fmt.Errorf("list kube-apiserver pods: %w", err)
	}
	leases, err := client.CoordinationV1().Leases(namespace).List(ctx, metav1.ListOptions{LabelSelector: leaseSelector})
	if err != nil {
		return nil, fmt.Errorf("list kube-apiserver Leases: %w", err)
	}
	slices, err := client.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).List(ctx,
		metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=kubernetes"})
	if err != nil {
		return nil, fmt.Errorf("list endpoints of the service kubernetes: %w", err)
	}
	cp := assemble(nodes.Items, pods.Items, leases.Items, slices.Items)
	cp.Foreign = foreign(nodes.Items, workers, pods.Items)
	return cp, nil
}

// workers are some nodes of a cluster that shows no control-plane node: enough to tell whose it is.
func workers(ctx context.Context, client kubernetes.Interface, controlPlane []corev1.Node) ([]corev1.Node, error) {
	if len(controlPlane) > 0 {
		return nil, nil
	}
	const some = 100
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: some})
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	return list.Items, nil
}

// assemble holds the sources together. It is pure.
func assemble(nodes []corev1.Node, pods []corev1.Pod, leases []coordinationv1.Lease, endpoints []discoveryv1.EndpointSlice) *ControlPlane {
	cp := &ControlPlane{sources: sources{nodes: nodes, pods: pods, leases: leases, endpoints: endpoints}}
	for i := range nodes {
		cp.addNode(&nodes[i], pods)
	}
	slices.SortFunc(cp.Instances, func(a, b Instance) int { return cmp.Compare(a.Node, b.Node) })
	cp.checkStrayPods(nodes, pods)
	cp.checkLeases(nodes, leases)
	cp.checkEndpoints(endpoints)
	return cp
}

func (cp *ControlPlane) disagree(format string, args ...any) {
	cp.Disagreements = append(cp.Disagreements, fmt.Sprintf(format, args...))
}

func (cp *ControlPlane) addNode(node *corev1.Node, pods []corev1.Pod) {
	var found []*corev1.Pod
	for i := range pods {
		if _, mirror := pods[i].Annotations[mirrorAnnotation]; mirror && pods[i].Spec.NodeName == node.Name {
			found = append(found, &pods[i])
		}
	}
	instance := Instance{Node: node.Name}
	switch len(found) {
	case 0:
		cp.disagree("node %s is a control-plane node without a kube-apiserver pod", node.Name)
	case 1:
		instance.fill(found[0])
		if !instance.Ready {
			cp.disagree("the kube-apiserver on node %s is not ready", node.Name)
		}
	default:
		cp.disagree("node %s has %d kube-apiserver pods", node.Name, len(found))
	}
	if !nodeReady(node) {
		cp.disagree("node %s is not ready", node.Name)
	}
	cp.Instances = append(cp.Instances, instance)
}

func (in *Instance) fill(pod *corev1.Pod) {
	in.Pod, in.Address = pod.Name, addressOf(pod)
	in.Etcd, in.EtcdError = ReadEtcd(pod)
	in.Manifest, in.ManifestError = ReadManifest(pod)
	in.Ready = slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// addressOf is where the kube-apiserver of a pod serves.
func addressOf(pod *corev1.Pod) string {
	if m, _ := ReadManifest(pod); m.AdvertiseAddress != "" {
		return m.AdvertiseAddress
	}
	return pod.Status.HostIP
}

func nodeReady(node *corev1.Node) bool { return readyOf(node) == corev1.ConditionTrue }

func (cp *ControlPlane) checkStrayPods(nodes []corev1.Node, pods []corev1.Pod) {
	for _, p := range pods {
		if !slices.ContainsFunc(nodes, func(n corev1.Node) bool { return n.Name == p.Spec.NodeName }) {
			cp.disagree("pod %s runs a kube-apiserver on %s, which is not a control-plane node", p.Name, p.Spec.NodeName)
		}
	}
}

// checkLeases takes the newest Lease as the time: no clock but the kube-apiservers' own is asked. A Lease that is
// behind belongs to a kube-apiserver that is gone (it is swept away within two hours), or to one that hangs.
func (cp *ControlPlane) checkLeases(nodes []corev1.Node, leases []coordinationv1.Lease) {
	var newest time.Time
	for _, l := range leases {
		if l.Spec.RenewTime != nil && l.Spec.RenewTime.After(newest) {
			newest = l.Spec.RenewTime.Time
		}
	}
	fresh := map[string]bool{}
	var unmatched []string
	for _, l := range leases {
		host := l.Labels[corev1.LabelHostname]
		node := nodeOfHost(nodes, host)
		isFresh := l.Spec.RenewTime != nil && newest.Sub(l.Spec.RenewTime.Time) < leaseFresh
		switch {
		case isFresh && node == "":
			unmatched = append(unmatched, host)
		case isFresh:
			fresh[node] = true
			cp.setIDHash(node, l.Name)
		}
	}
	var silent []string
	for _, in := range cp.Instances {
		if !fresh[in.Node] {
			silent = append(silent, in.Node)
		}
	}
	if len(fresh) == 0 && len(unmatched) == len(cp.Instances) {
		return // all hosts are called otherwise than their nodes; as many Leases are renewed as there are instances
	}
	for _, host := range unmatched {
		cp.disagree("a kube-apiserver on host %q renews its Lease and is on no control-plane node", host)
	}
	for _, node := range silent {
		cp.disagree("the kube-apiserver on node %s does not renew its Lease", node)
	}
}

func nodeOfHost(nodes []corev1.Node, host string) string {
	for _, n := range nodes {
		if n.Name == host || n.Labels[corev1.LabelHostname] == host {
			return n.Name
		}
	}
	return ""
}

// setIDHash derives the metrics' label from the Lease's name, which is the kube-apiserver's ID
// (k8s.io/apiserver@v0.37.2 pkg/server/options/encryptionconfig/metrics/metrics.go).
func (cp *ControlPlane) setIDHash(node, lease string) {
	sum := sha256.Sum256([]byte(lease))
	for i := range cp.Instances {
		if cp.Instances[i].Node == node {
			cp.Instances[i].IDHash = "sha256:" + hex.EncodeToString(sum[:])
		}
	}
}

// serving are the addresses of all endpoints that are ready.
func serving(endpoints []discoveryv1.EndpointSlice) (addresses []string) {
	for _, s := range endpoints {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				addresses = append(addresses, e.Addresses...)
			}
		}
	}
	return addresses
}

func (cp *ControlPlane) checkEndpoints(endpoints []discoveryv1.EndpointSlice) {
	serving := serving(endpoints)
	for _, address := range serving {
		if !slices.ContainsFunc(cp.Instances, func(in Instance) bool { return in.Address == address }) {
			cp.disagree("a kube-apiserver serves at %s, which is the address of no control-plane node's kube-apiserver", address)
		}
	}
	for _, in := range cp.Instances {
		if in.Pod != "" && !slices.Contains(serving, in.Address) {
			cp.disagree("the kube-apiserver on node %s is not an endpoint of the service kubernetes", in.Node)
		}
	}
}

// Names are the nodes' names.
func (cp *ControlPlane) Names() []string {
	names := make([]string, len(cp.Instances))
	for i, in := range cp.Instances {
		names[i] = in.Node
	}
	return names
}

// CompactionInterval is the longest of all instances. False if one of them does not compact.
func (cp *ControlPlane) CompactionInterval() (longest time.Duration, known bool) {
	for _, in := range cp.Instances {
		if in.Manifest.CompactionInterval <= 0 {
			return 0, false
		}
		longest = max(longest, in.Manifest.CompactionInterval)
	}
	return longest, true
}

// String lists the disagreements.
func (cp *ControlPlane) String() string { return strings.Join(cp.Disagreements, "; ") }
