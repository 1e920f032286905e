// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
)

// partly is a control plane of which the last node is off: a kubelet that is silent, and a kube-apiserver that renews
// nothing. What kubelets and kube-apiservers renewed is given by how long before now.
type partly struct {
	*cluster

	kubelets map[string]time.Duration
}

func off(names ...string) *partly {
	p := &partly{cluster: inOrder(names...), kubelets: map[string]time.Duration{}}
	last := len(names) - 1
	for i, name := range names {
		p.kubelets[name] = time.Duration(i) * time.Second
	}
	p.kubelets[names[last]] = time.Hour
	p.ready(last, corev1.ConditionUnknown)
	p.pods[last].Status.Conditions[0].Status = corev1.ConditionFalse // as the cluster's controller has it
	p.leases[last] = lease("apiserver-"+names[last], names[last], now.Add(-time.Hour))
	p.endpoints[0].Endpoints = p.endpoints[0].Endpoints[:last]
	return p
}

func (p *partly) ready(node int, status corev1.ConditionStatus) {
	p.nodes[node].Status.Conditions[0].Status = status
}

// gone takes the last Node object out.
func (p *partly) gone() {
	p.nodes = p.nodes[:len(p.nodes)-1]
	delete(p.kubelets, "n3")
}

func (p *partly) kubeletLeases() (list []coordinationv1.Lease) {
	for name, ago := range p.kubelets {
		l := lease(name, "", now.Add(-ago))
		l.Namespace = controlplane.NodeLeases
		list = append(list, l)
	}
	return list
}

func (p *partly) leaveOut(t *testing.T, names ...string) (*controlplane.ControlPlane, []controlplane.LeftOut, error) {
	t.Helper()
	return p.discover(t).LeaveOut(names, p.kubeletLeases())
}

func TestANodeThatIsOffCanBeLeftOut(t *testing.T) {
	t.Parallel()
	p := off("n1", "n2", "n3")
	assert.Equal(t, []string{"n3"}, p.discover(t).Silent())
	cp, left, err := p.leaveOut(t, "n3")
	require.NoError(t, err)
	assert.Equal(t, []string{"n1", "n2"}, cp.Names())
	assert.Empty(t, cp.Disagreements)
	assert.Equal(t, []controlplane.LeftOut{{Node: "n3", SilentFor: time.Hour}}, left)
}

func TestWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*partly)
		names  []string
		left   []controlplane.LeftOut
		rest   []string
		// disagreements of the rest, which stop a change.
		disagreements []string
	}{
		"a node whose object is gone and whose pod is not": {
			func(p *partly) { p.gone() }, []string{"n3"}, []controlplane.LeftOut{{Node: "n3", Gone: true}}, []string{"n1", "n2"}, nil,
		},
		"nothing, for a node of which nothing is left": {
			func(p *partly) { p.gone(); p.pods = p.pods[:2]; p.leases = p.leases[:2] }, []string{"n3"}, nil, []string{"n1", "n2"}, nil,
		},
		"nothing, for a name that nobody has": {
			func(*partly) {},
			[]string{"n33"},
			nil,
			[]string{"n1", "n2", "n3"},
			[]string{
				"the kube-apiserver on node n3 is not ready", "node n3 is not ready", "the kube-apiserver on node n3 does not renew its Lease",
				"the kube-apiserver on node n3 is not an endpoint of the service kubernetes",
			},
		},
		"a node without a kube-apiserver's pod and Lease": {
			func(p *partly) { p.pods = p.pods[:2]; p.leases = p.leases[:2] },
			[]string{"n3"},
			[]controlplane.LeftOut{{Node: "n3", SilentFor: time.Hour}},
			[]string{"n1", "n2"},
			nil,
		},
		"one, while another disagrees": {
			func(p *partly) { p.pods[0].Status.Conditions[0].Status = corev1.ConditionFalse },
			[]string{"n3"},
			[]controlplane.LeftOut{{Node: "n3", SilentFor: time.Hour}},
			[]string{"n1", "n2"},
			[]string{"the kube-apiserver on node n1 is not ready"},
		},
		"one, while something serves at an address that nobody has any more": {
			func(p *partly) {
				p.pods = p.pods[:2]
				p.endpoints[0].Endpoints = inOrder("n1", "n2", "n3").endpoints[0].Endpoints
			},
			[]string{"n3"},
			[]controlplane.LeftOut{{Node: "n3", SilentFor: time.Hour}},
			[]string{"n1", "n2"},
			[]string{"a kube-apiserver serves at 192.0.2.3, which is the address of no control-plane node's kube-apiserver"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := off("n1", "n2", "n3")
			tt.change(p)
			cp, left, err := p.leaveOut(t, tt.names...)
			require.NoError(t, err)
			assert.Equal(t, tt.left, left)
			assert.Equal(t, tt.rest, cp.Names())
			assert.Equal(t, tt.disagreements, cp.Disagreements)
		})
	}
}

func TestANodeMayNotBeLeftOutIfAnythingSpeaksAgainstIt(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*partly)
		names  []string
		says   string
	}{
		"its kubelet says that it is well": {
			func(p *partly) { p.ready(2, corev1.ConditionTrue) }, []string{"n3"}, `heard of within the minute (Ready is "True"`,
		},
		"its kubelet says that it is not well": {
			func(p *partly) { p.ready(2, corev1.ConditionFalse) }, []string{"n3"}, `Ready is "False"`,
		},
		"nobody has said whether it is well": {
			func(p *partly) { p.nodes[2].Status.Conditions = nil }, []string{"n3"}, `Ready is ""`,
		},
		"its kubelet's Lease is fresh": {
			func(p *partly) { p.kubelets["n3"] = time.Minute - time.Second }, []string{"n3"}, "renewed 59s before the newest: less than 1m0s",
		},
		"its kubelet's Lease is ahead of all, as its clock is": {
			func(p *partly) { p.kubelets["n3"] = -time.Hour }, []string{"n3"}, "renewed 0s before the newest",
		},
		"its kubelet has no Lease": {
			func(p *partly) { delete(p.kubelets, "n3") }, []string{"n3"}, "no Lease kube-node-lease/n3",
		},
		"its kube-apiserver renews its Lease, without a kubelet": {
			func(p *partly) { p.leases[2] = lease("apiserver-n3", "n3", now.Add(-59*time.Second)) }, []string{"n3"}, "renews its Lease, or did until 59s ago",
		},
		"its kube-apiserver renews its Lease, and its Node object is gone": {
			func(p *partly) { p.gone(); p.leases[2] = lease("apiserver-n3", "n3", now) }, []string{"n3"}, "renews its Lease",
		},
		"it is an endpoint": {
			func(p *partly) { p.endpoints = inOrder("n1", "n2", "n3").endpoints }, []string{"n3"}, "endpoint of the service kubernetes, 192.0.2.3",
		},
		"another of those to leave out is well": {
			func(*partly) {}, []string{"n3", "n2"}, `node n2 can't be left out`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := off("n1", "n2", "n3")
			tt.change(p)
			_, _, err := p.leaveOut(t, tt.names...)
			require.ErrorContains(t, err, tt.says)
			assert.ErrorContains(t, err, "can't be left out")
		})
	}
}

func TestOneNodeIsLeft(t *testing.T) {
	t.Parallel()
	p := off("n1", "n2", "n3")
	p.kubelets["n9"] = 0 // a worker's
	for i := range p.nodes {
		p.ready(i, corev1.ConditionUnknown)
		p.leases[i] = lease("apiserver-"+p.nodes[i].Name, p.nodes[i].Name, now.Add(-time.Hour))
		p.kubelets[p.nodes[i].Name] = time.Hour
	}
	p.leases = append(p.leases, lease("apiserver-x", "elsewhere", now))
	p.endpoints[0].Endpoints = nil
	_, _, err := p.leaveOut(t, "n1", "n2", "n3")
	assert.ErrorContains(t, err, "no control-plane node would be left")
}

func TestKubeletLeasesAreThoseOfNodes(t *testing.T) {
	t.Parallel()
	var objects []runtime.Object
	for _, l := range off("n1", "n2").kubeletLeases() {
		objects = append(objects, &l)
	}
	objects = append(objects, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "n1", Namespace: "kube-system"}})
	list, err := controlplane.KubeletLeases(t.Context(), fake.NewClientset(objects...))
	require.NoError(t, err)
	assert.Len(t, list, 2)
}
