// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// etcdPod is a mirror pod as kubeadm's, with these words after the command.
func etcdPod(node string, words ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "etcd-" + node, Namespace: "kube-system",
			Labels:      map[string]string{"component": "etcd", "tier": "control-plane"},
			Annotations: map[string]string{"kubernetes.io/config.mirror": "x"},
		},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "etcd", Command: append([]string{"etcd"}, words...)}}},
		Status: corev1.PodStatus{
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
}

const kubeadmFlag = "--listen-metrics-urls=http://127.0.0.1:2381"

func TestMetricsPortIsOneThatAPortForwardReaches(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		words []string
		want  int
	}{
		"kubeadm's address":                   {[]string{"--name=n1", kubeadmFlag}, 2381},
		"kubeadm's address with IPv6":         {[]string{"--listen-metrics-urls=http://[::1]:2381"}, 2381},
		"another port":                        {[]string{"--listen-metrics-urls=http://127.0.0.1:9100"}, 9100},
		"all addresses":                       {[]string{"--listen-metrics-urls=http://0.0.0.0:2381"}, 2381},
		"localhost by name":                   {[]string{"--listen-metrics-urls=http://localhost:2381"}, 2381},
		"two words":                           {[]string{"--listen-metrics-urls", "http://127.0.0.1:2381"}, 2381},
		"one hyphen":                          {[]string{"-listen-metrics-urls=http://127.0.0.1:2381"}, 2381},
		"the first of a list that will do":    {[]string{"--listen-metrics-urls=https://127.0.0.1:1,http://192.0.2.1:2,http://127.0.0.1:3"}, 3},
		"the last flag of two":                {[]string{kubeadmFlag, "--listen-metrics-urls=http://127.0.0.1:3"}, 3},
		"no flag":                             {[]string{"--name=n1"}, 0},
		"a flag without a value":              {[]string{"--listen-metrics-urls"}, 0},
		"a flag of another name":              {[]string{"--listen-client-urls=http://127.0.0.1:2379"}, 0},
		"an address with client certificates": {[]string{"--listen-metrics-urls=https://127.0.0.1:2381"}, 0},
		"an address of the network alone":     {[]string{"--listen-metrics-urls=http://192.0.2.1:2381"}, 0},
		"an address without a port":           {[]string{"--listen-metrics-urls=http://127.0.0.1"}, 0},
		"no address":                          {[]string{"--listen-metrics-urls=%zz"}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := readMember(etcdPod("n1", tt.words...))
			assert.Equal(t, tt.want, m.port)
			assert.Equal(t, tt.want == 0, errors.Is(m.err, errNoURL))
		})
	}
	inArguments := etcdPod("n1")
	inArguments.Spec.Containers[0].Args = []string{kubeadmFlag}
	assert.Equal(t, 2381, readMember(inArguments).port, "arguments count as the command does")
	other := etcdPod("n1", kubeadmFlag)
	other.Spec.Containers[0].Name = "sidecar"
	assert.ErrorIs(t, readMember(other).err, errNoURL)
}

// dialer takes each pod to a server of the test.
type dialer struct {
	servers map[string]*httptest.Server
	dialled atomic.Int64
}

var errNoRoute = errors.New("no route")

func (d *dialer) Dial(ctx context.Context, pod string, port int) (net.Conn, error) {
	server, ok := d.servers[pod]
	if !ok || port != 2381 {
		return nil, errNoRoute
	}
	d.dialled.Add(1)
	return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
}

func serve(t *testing.T, d *dialer, pod string, handler http.HandlerFunc) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	if d.servers == nil {
		d.servers = map[string]*httptest.Server{}
	}
	d.servers[pod] = server
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			_, _ = w.Write([]byte(body))
		}
	}
}

func newReader(t *testing.T, d *dialer, pods ...runtime.Object) *Reader {
	t.Helper()
	r := NewReader(fake.NewClientset(pods...), d)
	t.Cleanup(r.Close)
	return r
}

func TestReadReadsEachMember(t *testing.T) {
	t.Parallel()
	d := &dialer{}
	serve(t, d, "etcd-n1", answer(oneMember))
	serve(t, d, "etcd-n2", answer(oneMember))
	imitation := etcdPod("n9", kubeadmFlag)
	imitation.Annotations = nil
	elsewhere := etcdPod("n8", kubeadmFlag)
	elsewhere.Namespace = "default"
	r := newReader(t, d, etcdPod("n2", kubeadmFlag), etcdPod("n1", kubeadmFlag), imitation, elsewhere)
	for range 3 {
		got, err := r.Read(t.Context())
		require.NoError(t, err)
		assert.Equal(t, Reading{Members: []Space{{"n1", -1, 30, 25}, {"n2", -1, 30, 25}}}, got)
	}
	assert.Equal(t, int64(2), d.dialled.Load(), "a connection is kept from one reading to the next")
}

func TestReadNamesTheMembersThatItCouldNotRead(t *testing.T) {
	t.Parallel()
	d := &dialer{}
	serve(t, d, "etcd-n1", answer(oneMember))
	serve(t, d, "etcd-n2", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	serve(t, d, "etcd-n3", answer("etcd_server_quota_backend_bytes 1\n"))
	serve(t, d, "etcd-n4", answer(oneMember))
	notReady := etcdPod("n4", kubeadmFlag)
	notReady.Status.Conditions[0].Status = corev1.ConditionFalse
	got, err := newReader(t, d, etcdPod("n1", kubeadmFlag), etcdPod("n2", kubeadmFlag), etcdPod("n3", kubeadmFlag), notReady,
		etcdPod("n5", kubeadmFlag), etcdPod("n6")).Read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []Space{{"n1", -1, 30, 25}}, got.Members)
	want := []string{"answers 418", "is given 0 times", "not ready", "no route", "no metrics over plain HTTP"}
	require.Len(t, got.Unread, len(want))
	for i, text := range want {
		assert.Equal(t, []string{"n2", "n3", "n4", "n5", "n6"}[i], got.Unread[i].Member)
		assert.ErrorContains(t, got.Unread[i].Err, text)
	}
}

func TestReadOfAClusterWithoutEtcdPodsFindsNone(t *testing.T) {
	t.Parallel()
	got, err := newReader(t, &dialer{}).Read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Reading{}, got)
}

func TestReadKeepsTheReasonOfARefusal(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	client.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", nil)
	})
	_, err := NewReader(client, &dialer{}).Read(t.Context())
	assert.True(t, apierrors.IsForbidden(err))
}
