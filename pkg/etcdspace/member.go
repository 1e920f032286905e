// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const (
	namespace        = "kube-system"
	container        = "etcd"
	memberSelector   = "component=etcd,tier=control-plane"
	mirrorAnnotation = "kubernetes.io/config.mirror"
	metricsFlag      = "listen-metrics-urls"
)

var (
	errNotReady = errors.New("its pod is not ready")
	errNoURL    = errors.New("it serves no metrics over plain HTTP on its node alone (--" + metricsFlag + ")")
)

// member is one etcd that runs as a static pod.
type member struct {
	node, pod string
	// port of the node itself where it serves metrics over plain HTTP. err is set if there is none.
	port int
	err  error
}

// readMember tells from a pod where its metrics are.
func readMember(pod *corev1.Pod) member {
	m := member{node: pod.Spec.NodeName, pod: pod.Name}
	if !slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	}) {
		m.err = errNotReady
		return m
	}
	m.port, m.err = metricsPort(pod)
	return m
}

// metricsPort finds an address that a port-forward can reach, which goes to localhost: kubeadm says
// --listen-metrics-urls=http://127.0.0.1:2381, or [::1] (k8s.io/kubernetes@v1.37.1 cmd/kubeadm/app/phases/etcd/local.go).
// Without the flag etcd serves metrics to those alone who have a client certificate of its own.
func metricsPort(pod *corev1.Pod) (int, error) {
	at := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == container })
	if at < 0 {
		return 0, errNoURL
	}
	words := slices.Concat(pod.Spec.Containers[at].Command, pod.Spec.Containers[at].Args)
	for address := range strings.SplitSeq(lastValue(words, metricsFlag), ",") {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" || !slices.Contains([]string{"127.0.0.1", "::1", "localhost", "0.0.0.0", "::"}, u.Hostname()) {
			continue
		}
		if port, err := strconv.Atoi(u.Port()); err == nil {
			return port, nil
		}
	}
	return 0, errNoURL
}

// lastValue is the value of a flag, written as one word or as two, with one hyphen or two; the last one counts, as in
// Go's package flag, which etcd uses.
func lastValue(words []string, flag string) string {
	value := ""
	for i, word := range words {
		name, ok := strings.CutPrefix(word, "-")
		if !ok {
			continue
		}
		name, given, whole := strings.Cut(strings.TrimPrefix(name, "-"), "=")
		switch {
		case name != flag:
		case whole:
			value = given
		case i+1 < len(words):
			value = words[i+1]
		}
	}
	return value
}
