// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
)

// Etcd is how a kube-apiserver reaches etcd, and where it keeps what in it.
type Etcd struct {
	// Prefix is the flag --etcd-prefix, or its default.
	Prefix string
	// Servers and Overrides are the values of --etcd-servers and --etcd-servers-overrides as they are given, which
	// etcdkey.NewLayout reads.
	Servers, Overrides []string
	// CA, Cert and Key are where the files of --etcd-cafile, --etcd-certfile and --etcd-keyfile are on the node, empty where
	// the flag is not given.
	CA, Cert, Key string
}

// The flags of kube-apiserver that say where etcd is (k8s.io/apiserver@v0.37.2 pkg/server/options/etcd.go).
const (
	etcdPrefixFlag    = "etcd-prefix"
	etcdServersFlag   = "etcd-servers"
	etcdOverridesFlag = "etcd-servers-overrides"
	etcdCAFlag        = "etcd-cafile"
	etcdCertFlag      = "etcd-certfile"
	etcdKeyFlag       = "etcd-keyfile"
)

// ReadEtcd reads how the kube-apiserver of a pod reaches etcd. It refuses what it does not understand, and what an agent on the
// node could not do as kube-apiserver does. Errors repeat no address: a URL can hold a password.
func ReadEtcd(pod *corev1.Pod) (Etcd, error) {
	container, command, err := apiserver(pod)
	if err != nil {
		return Etcd{}, err
	}
	e, err := readEtcd(pod, container, command)
	if err != nil {
		return Etcd{}, fmt.Errorf("pod %s: %w", pod.Name, err)
	}
	return e, nil
}

func readEtcd(pod *corev1.Pod, container corev1.Container, command []string) (Etcd, error) {
	flags := etcdFlags(command)
	for name, values := range flags {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "$(") }) {
			return Etcd{}, fmt.Errorf("the flag --%s takes its value from the environment", name)
		}
		if name != etcdServersFlag && name != etcdOverridesFlag && len(values) > 1 {
			return Etcd{}, fmt.Errorf("the flag --%s is given twice", name)
		}
	}
	e := Etcd{Prefix: etcdkey.DefaultPrefix, Servers: flags[etcdServersFlag], Overrides: flags[etcdOverridesFlag]}
	if prefix, given := flags[etcdPrefixFlag]; given {
		e.Prefix = prefix[0]
	}
	for name, into := range map[string]*string{etcdCAFlag: &e.CA, etcdCertFlag: &e.Cert, etcdKeyFlag: &e.Key} {
		if len(flags[name]) == 0 || flags[name][0] == "" {
			continue
		}
		var ok bool
		if *into, ok = onNode(pod, container, flags[name][0]); !ok {
			return Etcd{}, fmt.Errorf("the file of the flag --%s is on no hostPath volume", name)
		}
	}
	if _, err := etcdkey.NewLayout(e.Prefix, e.Servers, e.Overrides); err != nil {
		return Etcd{}, err
	}
	if (e.Cert == "") != (e.Key == "") {
		return Etcd{}, fmt.Errorf("only one of the flags --%s and --%s is given", etcdCertFlag, etcdKeyFlag)
	}
	return e, nil
}

// Usable refuses addresses of etcd, as the layout gives them for a resource, that an agent could not ask.
func (e Etcd) Usable(servers []string) error {
	if len(servers) == 0 {
		return fmt.Errorf("the flag --%s is not given", etcdServersFlag)
	}
	for _, s := range servers {
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return fmt.Errorf("an address of --%s or --%s is not of the form https://host:port", etcdServersFlag, etcdOverridesFlag)
		case u.Scheme == "https" && e.CA == "":
			return fmt.Errorf("etcd is reached with TLS and without --%s: the agent's image has no authorities of its own to trust", etcdCAFlag)
		}
	}
	return nil
}

// SameEtcd refuses a control plane whose kube-apiservers could keep their objects in different places. The servers can't be
// compared where one is on the loopback of its node, as kubeadm writes it: that is a member of one etcd, and a different one on
// each node. Errors repeat no address.
func (cp *ControlPlane) SameEtcd() error {
	var list []place
	for _, in := range cp.Instances {
		if in.EtcdError != nil {
			return fmt.Errorf("it is not understood how the kube-apiserver on node %s reaches etcd: %w", in.Node, in.EtcdError)
		}
		p, err := in.Etcd.place()
		if err != nil {
			return fmt.Errorf("it is not understood how the kube-apiserver on node %s reaches etcd: %w", in.Node, err)
		}
		list = append(list, p)
	}
	isLocal := slices.ContainsFunc(list, func(p place) bool { return slices.ContainsFunc(p.servers, loopback) })
	for i, p := range list {
		flag := ""
		switch first := list[0]; {
		case p.root != first.root:
			flag = etcdPrefixFlag
		case !slices.Equal(p.overrides, first.overrides):
			flag = etcdOverridesFlag
		case !isLocal && !slices.Equal(p.servers, first.servers):
			flag = etcdServersFlag
		default:
			continue
		}
		return fmt.Errorf("the kube-apiservers on the nodes %s and %s have different values of the flag --%s",
			cp.Instances[0].Node, cp.Instances[i].Node, flag)
	}
	return nil
}

// place is where a kube-apiserver keeps what, in a form that can be compared.
type place struct {
	root               string
	servers, overrides []string
}

func (e Etcd) place() (place, error) {
	l, err := etcdkey.NewLayout(e.Prefix, e.Servers, e.Overrides)
	if err != nil {
		return place{}, err
	}
	servers, _ := l.Servers(etcdkey.Resource{Grouped: true}) // no override moves it
	overrides := slices.DeleteFunc(strings.Split(strings.Join(e.Overrides, ","), ","), func(s string) bool { return s == "" })
	return place{root: l.Root(), servers: slices.Sorted(slices.Values(servers)), overrides: overrides}, nil
}

// loopback tells whether an address means another etcd on each node.
func loopback(server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || u.Scheme == "unix" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// Hosts are where etcd answers, without what a URL may hold beside that.
func Hosts(servers []string) []string {
	var hosts []string
	for _, s := range servers {
		if u, err := url.Parse(s); err == nil {
			hosts = append(hosts, u.Host)
		}
	}
	return hosts
}

// etcdFlags are the values of each flag that says where etcd is, in the order in which they are given.
func etcdFlags(command []string) map[string][]string {
	known := []string{etcdPrefixFlag, etcdServersFlag, etcdOverridesFlag, etcdCAFlag, etcdCertFlag, etcdKeyFlag}
	flags := map[string][]string{}
	for i, word := range command {
		name, value, hasValue := flagOf(word)
		if !slices.Contains(known, name) {
			continue
		}
		if !hasValue && i+1 < len(command) {
			value = command[i+1]
		}
		flags[name] = append(flags[name], value)
	}
	return flags
}

// flagOf reads "--name=value" or "--name". kube-apiserver takes an underscore for a hyphen
// (k8s.io/component-base@v0.37.2 cli/flag/flags.go). What is no flag has no name.
func flagOf(word string) (name, value string, hasValue bool) {
	if !strings.HasPrefix(word, "-") {
		return "", "", false
	}
	name, value, hasValue = strings.Cut(strings.TrimLeft(word, "-"), "=")
	return strings.ReplaceAll(name, "_", "-"), value, hasValue
}

// onNode follows a path of the container to the node.
func onNode(pod *corev1.Pod, c corev1.Container, file string) (host string, ok bool) {
	host, _ = follow(pod, c, file)
	return host, host != ""
}
