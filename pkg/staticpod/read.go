// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod

import (
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/yamledit"
)

// ErrRefused is matched by every error of the package: a manifest that is not fully understood, or an edit that can't
// be made or undone without touching something else. The message names the line and never quotes a value.
var ErrRefused = yamledit.ErrRefused

const (
	containerName     = "kube-apiserver"
	defaultSecurePort = 6443
	defaultNamespace  = "default"
)

// Manifest is what is of interest in a kube-apiserver's manifest.
type Manifest struct {
	Encryption Encryption
	// PodName and Namespace of the static pod. The kubelet appends the node's name to PodName.
	PodName, Namespace string
	// HostNetwork is true if kube-apiserver can be reached over the node's own loopback.
	HostNetwork bool
	// SecurePort is the port that kube-apiserver serves on.
	SecurePort int
	// BindAddress is the flag --bind-address, empty if it is not set.
	BindAddress string
	// RunAsUser is the user that the container runs as, 0 for root.
	RunAsUser int64
}

// Read reads the manifest of a kube-apiserver.
func Read(manifest []byte) (Manifest, error) {
	p, err := parse(manifest)
	if err != nil {
		return Manifest{}, err
	}
	return p.read()
}

// pod is a manifest with the nodes that are read and edited.
type pod struct {
	doc       *yamledit.Document
	spec      *yaml.Node
	container *yaml.Node
	flags     commandLine
	mounts    []mount
	volumes   []volume
}

func parse(manifest []byte) (*pod, error) {
	doc, err := yamledit.Parse(manifest)
	if err != nil {
		return nil, err
	}
	return podOf(doc)
}

func podOf(doc *yamledit.Document) (*pod, error) {
	p := &pod{doc: doc}
	if err := p.checkType(); err != nil {
		return nil, err
	}
	if err := p.findContainer(); err != nil {
		return nil, err
	}
	var err error
	if p.flags, err = readCommand(p.container); err != nil {
		return nil, err
	}
	if p.mounts, err = readMounts(p.container); err != nil {
		return nil, err
	}
	p.volumes, err = readVolumes(p.spec)
	return p, err
}

func (p *pod) checkType() error {
	top := p.doc.Top()
	for key, want := range map[string]string{"apiVersion": "v1", "kind": "Pod"} {
		if got, err := yamledit.String(top, key); err != nil || got != want {
			return yamledit.Refuse(top, "the manifest is not a v1 Pod")
		}
	}
	return nil
}

func (p *pod) findContainer() error {
	top := p.doc.Top()
	var err error
	if p.spec, err = yamledit.Mapping(top, "spec"); err != nil {
		return err
	}
	if p.spec == nil {
		return yamledit.Refuse(top, "the pod has no spec")
	}
	containers, err := mappings(p.spec, "containers")
	if err != nil {
		return err
	}
	for _, c := range containers {
		name, err := yamledit.String(c, "name")
		if err != nil {
			return err
		}
		if name != containerName {
			continue
		}
		if p.container != nil {
			return yamledit.Refuse(c, "a second container is called %s", containerName)
		}
		p.container = c
	}
	if p.container == nil {
		return yamledit.Refuse(p.spec, "the pod has no container %s", containerName)
	}
	return nil
}

func (p *pod) read() (Manifest, error) {
	m := Manifest{SecurePort: defaultSecurePort, BindAddress: p.flags.value(bindAddressFlag), Namespace: defaultNamespace}
	var err error
	if m.Encryption, err = p.encryption(); err != nil {
		return Manifest{}, err
	}
	if m.PodName, m.Namespace, err = p.name(); err != nil {
		return Manifest{}, err
	}
	if m.RunAsUser, err = p.runAsUser(); err != nil {
		return Manifest{}, err
	}
	if n := yamledit.Get(p.spec, "hostNetwork"); n != nil {
		m.HostNetwork = n.ShortTag() == "!!bool" && n.Value == "true"
	}
	if f, ok := p.flags.find(securePortFlag); ok {
		if m.SecurePort, err = strconv.Atoi(f.value); err != nil || m.SecurePort < 1 || m.SecurePort > 65535 {
			return Manifest{}, yamledit.Refuse(f.node, "the flag --%s is not a port", securePortFlag)
		}
	}
	return m, nil
}

func (p *pod) name() (name, namespace string, err error) {
	top := p.doc.Top()
	metadata, err := yamledit.Mapping(top, "metadata")
	if err != nil {
		return "", "", err
	}
	if metadata == nil {
		return "", "", yamledit.Refuse(top, "the pod has no name")
	}
	if name, err = yamledit.String(metadata, "name"); err != nil {
		return "", "", err
	}
	if namespace, err = yamledit.String(metadata, "namespace"); err != nil {
		return "", "", err
	}
	if name == "" {
		return "", "", yamledit.Refuse(metadata, "the pod has no name")
	}
	if namespace == "" {
		namespace = defaultNamespace
	}
	return name, namespace, nil
}

// runAsUser is the user that the container runs as, 0 where nothing else is said: kube-apiserver's image says root.
func (p *pod) runAsUser() (int64, error) {
	for _, from := range []*yaml.Node{p.container, p.spec} {
		securityContext, err := yamledit.Mapping(from, "securityContext")
		if err != nil {
			return 0, err
		}
		if securityContext == nil {
			continue
		}
		n := yamledit.Get(securityContext, "runAsUser")
		if n == nil || n.ShortTag() == "!!null" {
			continue
		}
		user, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil {
			return 0, yamledit.Refuse(n, "runAsUser is not a number")
		}
		return user, nil
	}
	return 0, nil
}

// encryption is what the flags and mounts say together.
func (p *pod) encryption() (Encryption, error) {
	e := Encryption{ConfigPath: p.flags.value(configFlag)}
	if f, ok := p.flags.find(reloadFlag); ok {
		on, err := f.boolean()
		if err != nil {
			return Encryption{}, err
		}
		e.AutomaticReload = on
	}
	if e.ConfigPath == "" {
		return e, nil
	}
	place := p.locate(e.ConfigPath)
	e.HostPath, e.FileMount = place.host, place.file
	return e, nil
}

// mappings are the items of a list of mappings.
func mappings(parent *yaml.Node, key string) ([]*yaml.Node, error) {
	list, err := yamledit.List(parent, key)
	if err != nil || list == nil {
		return nil, err
	}
	at := slices.IndexFunc(list.Content, func(n *yaml.Node) bool { return n.Kind != yaml.MappingNode })
	if at >= 0 {
		return nil, yamledit.Refuse(list.Content[at], "an item of %s is not a mapping", key)
	}
	return list.Content, nil
}
