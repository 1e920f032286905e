// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// A node may be left out of a change if everything there is says that its kube-apiserver does not serve. One word to the
// contrary, or one that is missing, and it may not:
//
//  1. Its Node object is gone; or its kubelet is silent. The Node's condition Ready is Unknown then: the cluster's own
//     controller, which goes by the changes that it sees and not by the node's clock, has seen none for 50 s
//     (k8s.io/kubernetes@v1.37.1 pkg/controller/nodelifecycle/node_lifecycle_controller.go). And the kubelet's Lease is
//     a minute behind the newest kubelet's.
//  2. Its kube-apiserver's Lease is not renewed: who can't write to etcd for a minute can't write a value either.
//  3. Its address is no endpoint of the service kubernetes: a kube-apiserver that does not renew its entry in etcd goes
//     from there within 15 s, by etcd's clock (k8s.io/kubernetes@v1.37.1 pkg/controlplane/reconcilers/lease.go).
//  4. It does not answer. Who asks is package observe.
//  5. Another node is left.
//
// A kubelet's silence alone proves nothing: a kube-apiserver goes on without one.

// NodeLeases is the namespace of the kubelets' Leases.
const NodeLeases = corev1.NamespaceNodeLease

// kubeletSilent is how far behind the newest kubelet's Lease one must be: kubelets renew theirs every 10 s
// (k8s.io/kubernetes@v1.37.1 pkg/kubelet/apis/config/v1beta1/defaults.go).
const kubeletSilent = time.Minute

// LeftOut is a node that was left out.
type LeftOut struct {
	Node string
	// Gone: there is no Node object of that name. Else SilentFor is how long its kubelet has been silent at least.
	Gone      bool
	SilentFor time.Duration
}

// sources are what a control plane was put together from.
type sources struct {
	nodes     []corev1.Node
	pods      []corev1.Pod
	leases    []coordinationv1.Lease
	endpoints []discoveryv1.EndpointSlice
}

// KubeletLeases are the Leases that the kubelets of all nodes renew.
func KubeletLeases(ctx context.Context, client kubernetes.Interface) ([]coordinationv1.Lease, error) {
	list, err := client.CoordinationV1().Leases(NodeLeases).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the kubelets' Leases: %w", err)
	}
	return list.Items, nil
}

// LeaveOut is the control plane without some nodes, by the rules above but the fourth. A name that stands for nothing is
// left away: a node that was taken out of the cluster needs no word. The error says of the first node that may not be
// left out what speaks against it. It is pure.
func (cp *ControlPlane) LeaveOut(names []string, kubelets []coordinationv1.Lease) (*ControlPlane, []LeftOut, error) {
	s := cp.sources
	out := func(node string) bool { return slices.Contains(names, node) }
	var left []LeftOut
	for _, name := range names {
		one, err := s.silent(name, kubelets)
		if err != nil {
			return nil, nil, fmt.Errorf("node %s can't be left out: %w", name, err)
		}
		if !one.Gone || slices.ContainsFunc(s.pods, func(p corev1.Pod) bool { return p.Spec.NodeName == name }) {
			left = append(left, one)
		}
	}
	s.nodes = slices.DeleteFunc(slices.Clone(s.nodes), func(n corev1.Node) bool { return out(n.Name) })
	s.pods = slices.DeleteFunc(slices.Clone(s.pods), func(p corev1.Pod) bool { return out(p.Spec.NodeName) })
	if len(s.nodes) == 0 {
		return nil, nil, fmt.Errorf("no control-plane node would be left")
	}
	rest := assemble(s.nodes, s.pods, s.leases, s.endpoints)
	rest.Foreign = cp.Foreign
	return rest, left, nil
}

// Silent are the control-plane nodes whose kubelet is not heard of.
func (cp *ControlPlane) Silent() (names []string) {
	for i := range cp.sources.nodes {
		if n := &cp.sources.nodes[i]; readyOf(n) == corev1.ConditionUnknown {
			names = append(names, n.Name)
		}
	}
	return names
}

// silent holds the first three rules against one node.
func (s sources) silent(name string, kubelets []coordinationv1.Lease) (LeftOut, error) {
	one := LeftOut{Node: name, Gone: true}
	at := slices.IndexFunc(s.nodes, func(n corev1.Node) bool { return n.Name == name })
	if at >= 0 {
		one.Gone = false
		if r := readyOf(&s.nodes[at]); r != corev1.ConditionUnknown {
			return one, fmt.Errorf("its Node object is there, and its kubelet was heard of within the minute (Ready is %q, not %q)", r, corev1.ConditionUnknown)
		}
		behind, known := behindNewest(kubelets, func(l coordinationv1.Lease) bool { return l.Name == name })
		switch {
		case !known:
			return one, fmt.Errorf("its Node object is there, and there is no Lease %s/%s that would tell how long its kubelet has been silent: "+
				"if it is gone for good, kubectl delete node %s", NodeLeases, name, name)
		case behind < kubeletSilent:
			return one, fmt.Errorf("its Node object is there, and its kubelet's Lease was renewed %s before the newest: less than %s", behind.Round(time.Second), kubeletSilent)
		}
		one.SilentFor = behind
	}
	behind, known := behindNewest(s.leases, func(l coordinationv1.Lease) bool { return s.isOn(l, name) })
	if known && behind < leaseFresh {
		return one, fmt.Errorf("its kube-apiserver renews its Lease, or did until %s ago: it serves, or may", behind.Round(time.Second))
	}
	for _, p := range s.pods {
		if address := addressOf(&p); p.Spec.NodeName == name && slices.Contains(serving(s.endpoints), address) {
			return one, fmt.Errorf("its kube-apiserver is an endpoint of the service kubernetes, %s: it serves, or did until a moment ago", address)
		}
	}
	return one, nil
}

// isOn tells whether a kube-apiserver's Lease is that of a node, which may be gone.
func (s sources) isOn(l coordinationv1.Lease, node string) bool {
	host := l.Labels[corev1.LabelHostname]
	return host == node || nodeOfHost(s.nodes, host) == node
}

// behindNewest is how far the newest Lease of some is behind the newest of all. False if there is none of them.
func behindNewest(leases []coordinationv1.Lease, of func(coordinationv1.Lease) bool) (behind time.Duration, known bool) {
	var all, theirs time.Time
	for _, l := range leases {
		if l.Spec.RenewTime == nil {
			continue
		}
		if l.Spec.RenewTime.After(all) {
			all = l.Spec.RenewTime.Time
		}
		if of(l) && l.Spec.RenewTime.After(theirs) {
			theirs = l.Spec.RenewTime.Time
		}
	}
	return all.Sub(theirs), !theirs.IsZero()
}

func readyOf(node *corev1.Node) corev1.ConditionStatus {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status
		}
	}
	return ""
}

// ReturnOf says what a node needs that was left out. One whose kube-apiserver has no flags yet does not become ready without them
// where Secrets or ConfigMaps are encrypted, so no agent can be started there that would edit its manifest.
func ReturnOf(node string, flags bool) string {
	file := fmt.Sprintf("encryption-agent recipient on the node, then %s join --name %s --recipient KEY (docs/join.md)", project.Command, node)
	if flags {
		return "It needs the file and the flags, by hand: " + file + ", then kubeadm init phase control-plane apiserver on the node " +
			"(docs/recovery.md, \"A node comes back that enable went on without\")."
	}
	return "Before its kube-apiserver starts again, give it the file, by hand: " + file + ". If it has started: " + project.Command + " repair."
}
