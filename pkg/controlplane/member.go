// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Member is a member of etcd that runs as a static pod on a control-plane node, as kubeadm makes it.
type Member struct {
	Node, Pod string
	// SnapDir and WALDir are the folders of its database and of its log on the node.
	SnapDir, WALDir string
	// URL is the address at which it tells clients to ask it, CA, Cert and Key its own files in its container: what etcdctl needs
	// there.
	URL, CA, Cert, Key string
	// Problem is set if the rest is not understood.
	Problem error
}

// etcdSelector finds the pods of kubeadm's members (k8s.io/kubernetes@v1.37.1 cmd/kubeadm/app/util/staticpod/utils.go, ComponentPod).
const etcdSelector = "component=etcd,tier=control-plane"

// Members are those that run as static pods, by the names of their nodes. There is none where etcd is run by other means.
func Members(ctx context.Context, client kubernetes.Interface) ([]Member, error) {
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: etcdSelector})
	if err != nil {
		return nil, fmt.Errorf("list etcd pods: %w", err)
	}
	var members []Member
	for i := range pods.Items {
		if _, mirror := pods.Items[i].Annotations[mirrorAnnotation]; mirror {
			members = append(members, readMember(&pods.Items[i]))
		}
	}
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.Node, b.Node) })
	return members, nil
}

// Behind tells whether one of the members answers at one of the addresses, by which a kube-apiserver reaches etcd. On the loopback
// of a node it is the node's own.
func Behind(servers []string, members []Member) bool {
	return slices.ContainsFunc(servers, func(server string) bool {
		at, err := url.Parse(server)
		return err == nil && (loopback(server) || slices.ContainsFunc(members, func(m Member) bool {
			own, err := url.Parse(m.URL)
			return err == nil && own.Hostname() != "" && own.Hostname() == at.Hostname()
		}))
	})
}

// readMember reads where a member keeps what. It is pure.
func readMember(pod *corev1.Pod) Member {
	m := Member{Node: pod.Spec.NodeName, Pod: pod.Name}
	m.Problem = m.read(pod)
	return m
}

// read follows etcd's flags to the node. The folders are etcd's (go.etcd.io/etcd/server/v3@v3.7.0 storage/datadir/datadir.go): in
// that of --data-dir, unless --wal-dir says otherwise of the log. A flag has the last of its values.
func (m *Member) read(pod *corev1.Pod) error {
	at := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == "etcd" })
	if at < 0 {
		return fmt.Errorf("pod %s has no container etcd", pod.Name)
	}
	container := pod.Spec.Containers[at]
	if name := moving(container); name != "" {
		return fmt.Errorf("pod %s: %s in its environment may say where its data is", pod.Name, name)
	}
	command := append(slices.Clone(container.Command), container.Args...)
	if len(command) == 0 || path.Base(command[0]) != "etcd" {
		return fmt.Errorf("pod %s: its container does not run etcd directly, so its flags can't be told", pod.Name)
	}
	flags := map[string]string{}
	for i, word := range command {
		name, value, hasValue := flagOf(word)
		if !hasValue && i+1 < len(command) {
			value = command[i+1]
		}
		if strings.Contains(value, "$(") {
			return fmt.Errorf("pod %s: the flag --%s takes its value from the environment", pod.Name, name)
		}
		flags[name] = value
	}
	data, wal := flags["data-dir"], flags["wal-dir"]
	if _, given := flags["config-file"]; given || data == "" || !path.IsAbs(data) {
		return fmt.Errorf("pod %s does not say by the flag --data-dir where its data is", pod.Name)
	}
	if wal == "" {
		wal = path.Join(data, "member", "wal")
	}
	var onDisk, walOnDisk bool
	if m.SnapDir, onDisk = onNode(pod, container, path.Join(data, "member", "snap")); !onDisk {
		return fmt.Errorf("pod %s: the folder of the flag --data-dir is on no hostPath volume", pod.Name)
	}
	if m.WALDir, walOnDisk = onNode(pod, container, wal); !walOnDisk {
		return fmt.Errorf("pod %s: the folder of its log is on no hostPath volume", pod.Name)
	}
	m.URL, _, _ = strings.Cut(flags["advertise-client-urls"], ",")
	m.CA, m.Cert, m.Key = flags["trusted-ca-file"], flags["cert-file"], flags["key-file"]
	return nil
}

// moving is a variable of the environment by which etcd may have its files in other folders than its flags say, empty if there is
// none: each flag has one, and the configuration file takes all flags back (go.etcd.io/etcd/server/v3@v3.7.0 etcdmain/config.go).
func moving(c corev1.Container) string {
	if len(c.EnvFrom) > 0 {
		return "what is taken from elsewhere"
	}
	for _, e := range c.Env {
		if slices.Contains([]string{"ETCD_DATA_DIR", "ETCD_WAL_DIR", "ETCD_CONFIG_FILE"}, e.Name) {
			return e.Name
		}
	}
	return ""
}
