// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
)

// cluster is what the four sources say; each test changes it a little.
type cluster struct {
	nodes     []corev1.Node
	pods      []corev1.Pod
	leases    []coordinationv1.Lease
	endpoints []discoveryv1.EndpointSlice
}

func inOrder(names ...string) *cluster {
	c := &cluster{endpoints: []discoveryv1.EndpointSlice{{
		ObjectMeta: metav1.ObjectMeta{Name: "kubernetes", Namespace: "default", Labels: map[string]string{"kubernetes.io/service-name": "kubernetes"}},
	}}}
	for _, name := range names {
		c.nodes = append(c.nodes, node(name))
		c.pods = append(c.pods, mirrorPod(name))
		c.leases = append(c.leases, lease("apiserver-"+name, name, now))
		c.endpoints[0].Endpoints = append(c.endpoints[0].Endpoints, discoveryv1.Endpoint{Addresses: []string{address(name)}})
	}
	return c
}

// now is later than any clock that this test could meet: no clock but the Leases' plays a part.
var now = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

func address(node string) string { return "192.0.2." + node[1:] }

func node(name string) corev1.Node {
	return corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			"node-role.kubernetes.io/control-plane": "", "kubernetes.io/hostname": name,
		}},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
}

func mirrorPod(node string) corev1.Pod {
	p := pod("--encryption-provider-config=/enc/config.yaml")
	p.ObjectMeta = metav1.ObjectMeta{
		Name: "kube-apiserver-" + node, Namespace: "kube-system",
		Labels:      map[string]string{"component": "kube-apiserver", "tier": "control-plane"},
		Annotations: map[string]string{"kubernetes.io/config.mirror": "x"},
	}
	p.Spec.NodeName = node
	p.Status = corev1.PodStatus{
		HostIP: address(node), Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}
	return *p
}

func lease(name, host string, renewed time.Time) coordinationv1.Lease {
	at := metav1.NewMicroTime(renewed)
	return coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kube-system", Labels: map[string]string{
			"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": host,
		}},
		Spec: coordinationv1.LeaseSpec{RenewTime: &at},
	}
}

func (c *cluster) discover(t *testing.T) *controlplane.ControlPlane {
	t.Helper()
	var objects []runtime.Object
	for i := range c.nodes {
		objects = append(objects, &c.nodes[i])
	}
	for i := range c.pods {
		objects = append(objects, &c.pods[i])
	}
	for i := range c.leases {
		objects = append(objects, &c.leases[i])
	}
	for i := range c.endpoints {
		objects = append(objects, &c.endpoints[i])
	}
	cp, err := controlplane.Discover(t.Context(), fake.NewClientset(objects...))
	require.NoError(t, err)
	return cp
}

func TestDiscoverFindsEachInstance(t *testing.T) {
	t.Parallel()
	c := inOrder("n3", "n1", "n2")
	worker := node("n9")
	worker.Labels = nil
	c.nodes = append(c.nodes, worker)
	cp := c.discover(t)
	assert.Empty(t, cp.Disagreements)
	assert.Equal(t, []string{"n1", "n2", "n3"}, cp.Names(), "sorted, and without nodes that are not of the control plane")
	sum := sha256.Sum256([]byte("apiserver-n1"))
	first := cp.Instances[0]
	assert.Equal(t, "kube-apiserver-n1", first.Pod)
	assert.Equal(t, "192.0.2.1", first.Address)
	assert.Equal(t, "/enc/config.yaml", first.Manifest.ConfigPath)
	assert.Equal(t, "sha256:"+hex.EncodeToString(sum[:]), first.IDHash, "the hash of the Lease's name")
	assert.True(t, first.Ready)
	assert.NoError(t, first.ManifestError)
}

func TestDiscoverSaysWhereTheSourcesDisagree(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*cluster)
		want   []string
	}{
		"a control-plane node has no pod": {
			func(c *cluster) { c.pods = c.pods[:1]; c.endpoints[0].Endpoints = c.endpoints[0].Endpoints[:1] },
			[]string{"node n2 is a control-plane node without a kube-apiserver pod"},
		},
		"a pod that is no mirror pod does not count": {
			func(c *cluster) {
				p := mirrorPod("n1")
				p.Name, p.Annotations = "imitation", nil
				c.pods = append(c.pods, p)
			}, nil,
		},
		"a node has two pods": {
			func(c *cluster) { p := mirrorPod("n1"); p.Name = "another"; c.pods = append(c.pods, p) },
			[]string{"node n1 has 2 kube-apiserver pods", "a kube-apiserver serves at 192.0.2.1, which is the address of no control-plane node's kube-apiserver"},
		},
		"a pod is not ready": {
			func(c *cluster) { c.pods[1].Status.Conditions[0].Status = corev1.ConditionFalse },
			[]string{"the kube-apiserver on node n2 is not ready"},
		},
		"a node is not ready": {
			func(c *cluster) { c.nodes[1].Status.Conditions[0].Status = corev1.ConditionUnknown },
			[]string{"node n2 is not ready"},
		},
		"a pod runs on a worker": {
			func(c *cluster) { c.nodes[1].Labels = map[string]string{"kubernetes.io/hostname": "n2"} },
			[]string{
				"pod kube-apiserver-n2 runs a kube-apiserver on n2, which is not a control-plane node",
				`a kube-apiserver on host "n2" renews its Lease and is on no control-plane node`,
				"a kube-apiserver serves at 192.0.2.2, which is the address of no control-plane node's kube-apiserver",
			},
		},
		"a Lease is renewed by nobody that is known": {
			func(c *cluster) {
				c.leases = append(c.leases, lease("apiserver-x", "elsewhere", now.Add(-time.Second)))
			},
			[]string{`a kube-apiserver on host "elsewhere" renews its Lease and is on no control-plane node`},
		},
		"a Lease of one that is long gone": {
			func(c *cluster) {
				c.leases = append(c.leases, lease("apiserver-x", "elsewhere", now.Add(-time.Minute)))
			}, nil,
		},
		"a Lease that was never renewed": {
			func(c *cluster) {
				l := lease("apiserver-x", "elsewhere", now)
				l.Spec.RenewTime = nil
				c.leases = append(c.leases, l)
			}, nil,
		},
		"an instance does not renew its Lease": {
			func(c *cluster) { c.leases[1] = lease("apiserver-n2", "n2", now.Add(-2*time.Minute)) },
			[]string{"the kube-apiserver on node n2 does not renew its Lease"},
		},
		"an instance has no Lease": {
			func(c *cluster) { c.leases = c.leases[:1] }, []string{"the kube-apiserver on node n2 does not renew its Lease"},
		},
		"a Lease of somebody else's": {
			func(c *cluster) {
				l := lease("apiserver-x", "elsewhere", now)
				l.Labels["apiserver.kubernetes.io/identity"] = "aggregated"
				c.leases = append(c.leases, l)
			}, nil,
		},
		"a Lease names the host as the node's label does": {
			func(c *cluster) {
				c.nodes[1].Labels["kubernetes.io/hostname"] = "host-2"
				c.leases[1] = lease("apiserver-n2", "host-2", now)
			}, nil,
		},
		"hosts are called otherwise than all nodes": {
			func(c *cluster) {
				c.leases = []coordinationv1.Lease{lease("apiserver-a", "host-a", now), lease("apiserver-b", "host-b", now)}
			}, nil,
		},
		"hosts are called otherwise, and there is one too many": {
			func(c *cluster) {
				c.leases = []coordinationv1.Lease{
					lease("apiserver-a", "host-a", now), lease("apiserver-b", "host-b", now), lease("apiserver-c", "host-c", now),
				}
			},
			[]string{
				`a kube-apiserver on host "host-a" renews its Lease and is on no control-plane node`,
				`a kube-apiserver on host "host-b" renews its Lease and is on no control-plane node`,
				`a kube-apiserver on host "host-c" renews its Lease and is on no control-plane node`,
				"the kube-apiserver on node n1 does not renew its Lease",
				"the kube-apiserver on node n2 does not renew its Lease",
			},
		},
		"an endpoint that nobody serves at": {
			func(c *cluster) {
				c.endpoints[0].Endpoints = append(c.endpoints[0].Endpoints, discoveryv1.Endpoint{Addresses: []string{"192.0.2.9"}})
			},
			[]string{"a kube-apiserver serves at 192.0.2.9, which is the address of no control-plane node's kube-apiserver"},
		},
		"an endpoint that is not ready does not count": {
			func(c *cluster) {
				c.endpoints[0].Endpoints = append(c.endpoints[0].Endpoints, discoveryv1.Endpoint{
					Addresses: []string{"192.0.2.9"}, Conditions: discoveryv1.EndpointConditions{Ready: new(false)},
				})
			}, nil,
		},
		"an instance is no endpoint": {
			func(c *cluster) { c.endpoints[0].Endpoints = c.endpoints[0].Endpoints[:1] },
			[]string{"the kube-apiserver on node n2 is not an endpoint of the service kubernetes"},
		},
		"an instance is not a ready endpoint": {
			func(c *cluster) { c.endpoints[0].Endpoints[1].Conditions.Ready = new(false) },
			[]string{"the kube-apiserver on node n2 is not an endpoint of the service kubernetes"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := inOrder("n1", "n2")
			tt.change(c)
			assert.Equal(t, tt.want, c.discover(t).Disagreements)
		})
	}
}

func TestDiscoverOfAClusterWithoutControlPlaneNodes(t *testing.T) {
	t.Parallel()
	c := inOrder("n1")
	c.nodes = nil
	cp := c.discover(t)
	assert.Empty(t, cp.Instances)
	assert.Contains(t, cp.String(), "which is not a control-plane node; ")
}

func TestDiscoverKeepsWhatIsNotUnderstoodAboutAManifest(t *testing.T) {
	t.Parallel()
	c := inOrder("n1")
	c.pods[0].Spec.Containers[0].Args = []string{"--encryption-provider-config=/other"}
	cp := c.discover(t)
	require.ErrorContains(t, cp.Instances[0].ManifestError, "given twice")
	assert.Empty(t, cp.Disagreements)
}

func TestDiscoverNamesTheSourceThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	for resource, message := range map[string]string{
		"nodes": "list control-plane nodes", "pods": "list kube-apiserver pods",
		"leases": "list kube-apiserver Leases", "endpointslices": "list endpoints of the service kubernetes",
	} {
		client := fake.NewClientset()
		client.PrependReactor("list", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, errors.New("no")
		})
		_, err := controlplane.Discover(context.Background(), client)
		assert.EqualError(t, err, message+": no")
	}
}
