// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdkey

import (
	"encoding/csv"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// DefaultPrefix is --etcd-prefix of a kube-apiserver that is not given one (k8s.io/kubernetes@v1.37.1
// pkg/kubeapiserver/options/options.go, DefaultEtcdPathPrefix).
const DefaultPrefix = "/registry"

// Layout is where one kube-apiserver keeps what, by its flags.
type Layout struct {
	root    string
	servers []string
	// overrides are the servers of a resource by the flag's own spelling, "apps/deployments".
	overrides map[string][]string
}

// NewLayout reads the flags of a kube-apiserver: the value of --etcd-prefix, which is DefaultPrefix where it is not given and
// may be empty where it is, and each value of --etcd-servers and of --etcd-servers-overrides as it was given. It fails if
// kube-apiserver would not take them; the error does not repeat them, as a URL can hold a password.
func NewLayout(prefix string, servers, overrides []string) (Layout, error) {
	l := Layout{root: strings.TrimSuffix(path.Join("/", prefix), "/") + "/", overrides: map[string][]string{}}
	var err error
	if l.servers, err = list(servers); err != nil {
		return Layout{}, fmt.Errorf("--etcd-servers: %w", err)
	}
	moved, err := list(overrides)
	if err != nil {
		return Layout{}, fmt.Errorf("--etcd-servers-overrides: %w", err)
	}
	for i, o := range moved {
		resource, to, ok := override(o)
		if !ok {
			return Layout{}, fmt.Errorf("--etcd-servers-overrides: entry %d is not of the form group/resource#servers, the servers separated by ';'", i+1)
		}
		l.overrides[resource] = to
	}
	return l, nil
}

// list reads a flag that may be given several times with several values each, as pflag's StringSlice does.
func list(values []string) ([]string, error) {
	var all []string
	for _, v := range values {
		if v == "" {
			continue
		}
		fields, err := csv.NewReader(strings.NewReader(v)).Read()
		if err != nil {
			return nil, errors.New("the values separated by ',' can't be told apart")
		}
		all = append(all, fields...)
	}
	return all, nil
}

// override reads one entry: group/resource#servers (k8s.io/apiserver@v0.37.2 pkg/server/options/etcd.go,
// ParseEtcdServersOverrides).
func override(entry string) (resource string, servers []string, ok bool) {
	resource, to, ok := strings.Cut(entry, "#")
	if !ok || strings.Contains(to, "#") || strings.Count(resource, "/") != 1 {
		return "", nil, false
	}
	servers = strings.Split(to, ";")
	return resource, servers, !slices.Contains(servers, "")
}

// Root is what every key of kube-apiserver begins with, a slash at its end.
func (l Layout) Root() string { return l.root }

// Prefix is what the keys of a resource begin with, a slash at its end.
func (l Layout) Prefix(r Resource) string { return l.root + r.folder() + "/" }

// Servers are the URLs of the etcd that holds a resource; moved tells that an override says so (rule 6). Resources with the same
// servers in another order are in the same etcd.
func (l Layout) Servers(r Resource) (servers []string, moved bool) {
	resource, group := r.split()
	for _, name := range []string{group + "/" + resource, group + "/*"} {
		if to, ok := l.overrides[name]; ok && !r.Grouped {
			return to, true
		}
	}
	return l.servers, false
}
