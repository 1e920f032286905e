// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
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

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
)

func controlPlaneNode(name string, ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"node-role.kubernetes.io/control-plane": ""}},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}},
	}
}

// apiServer is all that tells of a kube-apiserver that runs on a node.
func apiServer(node, address string, ready corev1.ConditionStatus) []runtime.Object {
	now := metav1.NewMicroTime(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	return []runtime.Object{
		&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: "kube-apiserver-" + node, Namespace: "kube-system",
				Labels:      map[string]string{"component": "kube-apiserver", "tier": "control-plane"},
				Annotations: map[string]string{"kubernetes.io/config.mirror": "x"},
			},
			Spec:   corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "kube-apiserver", Command: []string{"kube-apiserver"}}}},
			Status: corev1.PodStatus{HostIP: address, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		},
		&coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{
				Name: "apiserver-" + node, Namespace: "kube-system",
				Labels: map[string]string{"apiserver.kubernetes.io/identity": "kube-apiserver", corev1.LabelHostname: node},
			},
			Spec: coordinationv1.LeaseSpec{RenewTime: &now},
		},
		&discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Name: "kubernetes-" + node, Namespace: "default", Labels: map[string]string{discoveryv1.LabelServiceName: "kubernetes"}},
			Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{address}}},
		},
	}
}

// A node whose kube-apiserver is down is told of in many ways; a bundle that is for it needs none of them.
func TestAViewWithoutANode(t *testing.T) {
	t.Parallel()
	healthy := append(apiServer("n1", "10.0.0.1", corev1.ConditionTrue), controlPlaneNode("n1", corev1.ConditionTrue))
	tests := map[string]struct {
		objects []runtime.Object
		node    string
		left    []string
		remains int
	}{
		"all is well and the node has no name yet": {healthy, "join", []string{"n1"}, 0},
		"its pod is not ready": {append([]runtime.Object{controlPlaneNode("n3", corev1.ConditionFalse)}, append(
			apiServer("n3", "10.0.0.3", corev1.ConditionFalse)[:1], healthy...)...), "n3", []string{"n1"}, 0},
		"it has no pod": {append([]runtime.Object{controlPlaneNode("n3", corev1.ConditionUnknown)}, healthy...), "n3", []string{"n1"}, 0},
		"another node is down too": {append([]runtime.Object{
			controlPlaneNode("n3", corev1.ConditionFalse), controlPlaneNode("n33", corev1.ConditionFalse),
		}, healthy...), "n3", []string{"n1", "n33"}, 3},
		"the node is not named": {append([]runtime.Object{controlPlaneNode("n3", corev1.ConditionUnknown)}, healthy...), "join", []string{"n1", "n3"}, 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cp, err := controlplane.Discover(t.Context(), fake.NewClientset(tt.objects...))
			require.NoError(t, err)
			view := &observe.View{ControlPlane: cp}
			view.Without(tt.node)
			assert.Equal(t, tt.left, view.ControlPlane.Names())
			assert.Len(t, view.ControlPlane.Disagreements, tt.remains, "%s", view.ControlPlane)
		})
	}
}
