// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubeadmconfig reads and edits the ClusterConfiguration that kubeadm keeps in the ConfigMap
// kube-system/kubeadm-config, from which it writes the manifests of kube-apiservers at an upgrade and on new nodes.
//
// Enable puts in what makes those manifests read and reload an encryption configuration, Disable takes it out. Both
// leave every other byte as it is, change nothing that is as it should be, and refuse what they do not fully
// understand. Disable undoes Enable: byte for byte, but that an apiServer which is empty is {} afterwards, and that
// lists which were written as empty are gone.
//
// The package is pure: text in, text out. The versions are those of kubeadm 1.29 to 1.37
// (k8s.io/kubernetes@v1.37.1 and v1.29.6 cmd/kubeadm/app/apis/kubeadm).
package kubeadmconfig

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/yamledit"
)

// ErrRefused is matched by every error of the package. The message names the line and never quotes a value.
var ErrRefused = yamledit.ErrRefused

const (
	configArg = "encryption-provider-config"
	reloadArg = "encryption-provider-config-automatic-reload"

	// kubeadm mounts this folder into kube-apiserver without being told.
	defaultCertificatesDir = "/etc/kubernetes/pki"
)

// Encryption is what a ClusterConfiguration says about the encryption configuration. Zero: it is off.
type Encryption struct {
	// ConfigPath is kube-apiserver's flag --encryption-provider-config.
	ConfigPath string
	// AutomaticReload is kube-apiserver's flag --encryption-provider-config-automatic-reload.
	AutomaticReload bool
	// HostPath is where the file is on a node. Empty if no volume holds it.
	HostPath string
	// MountPath is where the volume that holds it is mounted. Equal to ConfigPath if the single file is.
	MountPath string
}

// Read reads a ClusterConfiguration.
func Read(data []byte) (Encryption, error) {
	c, err := parse(data)
	if err != nil {
		return Encryption{}, err
	}
	return c.encryption()
}

// config is a ClusterConfiguration with the nodes that are read and edited.
type config struct {
	doc *yamledit.Document
	// listed is true where extraArgs is a list, not a mapping.
	listed bool
	// apiServer is nil if it is missing or empty.
	apiServer       *yaml.Node
	args            []arg
	volumes         []volume
	certificatesDir string
}

type arg struct {
	name  string
	value string
	// node is the value's.
	node *yaml.Node
}

type volume struct {
	name, host, mount string
	node              *yaml.Node
}

func parse(data []byte) (*config, error) {
	doc, err := yamledit.Parse(data)
	if err != nil {
		return nil, err
	}
	return configOf(doc)
}

func configOf(doc *yamledit.Document) (*config, error) {
	c := &config{doc: doc}
	if err := c.readType(); err != nil {
		return nil, err
	}
	var err error
	if c.certificatesDir, err = yamledit.String(doc.Top(), "certificatesDir"); err != nil {
		return nil, err
	}
	if c.certificatesDir == "" {
		c.certificatesDir = defaultCertificatesDir
	}
	apiServer, err := yamledit.Mapping(doc.Top(), "apiServer")
	if err != nil || apiServer == nil || len(apiServer.Content) == 0 {
		return c, err
	}
	c.apiServer = apiServer
	if err := c.readArgs(); err != nil {
		return nil, err
	}
	return c, c.readVolumes()
}

func (c *config) readType() error {
	top := c.doc.Top()
	kind, err := yamledit.String(top, "kind")
	if err != nil || kind != "ClusterConfiguration" {
		return yamledit.Refuse(top, "this is not kubeadm's ClusterConfiguration")
	}
	switch version, _ := yamledit.String(top, "apiVersion"); version {
	case "kubeadm.k8s.io/v1beta3":
	case "kubeadm.k8s.io/v1beta4", "kubeadm.k8s.io/v1":
		c.listed = true
	default:
		return yamledit.Refuse(top, "the version of kubeadm's ClusterConfiguration is not known, only kubeadm.k8s.io/v1beta3, v1beta4 and v1 are")
	}
	return nil
}

func (c *config) readArgs() error {
	if c.listed {
		return c.readArgList()
	}
	mapping, err := yamledit.Mapping(c.apiServer, "extraArgs")
	if err != nil || mapping == nil {
		return err
	}
	for i := 0; i < len(mapping.Content); i += 2 {
		key := mapping.Content[i]
		if err := c.addArg(key, key.Value, mapping); err != nil {
			return err
		}
	}
	return nil
}

func (c *config) readArgList() error {
	items, err := mappings(c.apiServer, "extraArgs")
	if err != nil {
		return err
	}
	for _, item := range items {
		name, err := yamledit.String(item, "name")
		if err != nil {
			return err
		}
		if err := c.addArg(item, name, item); err != nil {
			return err
		}
		if isOurs(name) && yamledit.Get(item, "mergeMethod") != nil {
			return yamledit.Refuse(item, "the argument %s is merged with another value", canonical(name))
		}
	}
	return nil
}

// addArg reads an argument whose value is below a key of a mapping: its name, or "value" in a list.
func (c *config) addArg(at *yaml.Node, name string, in *yaml.Node) error {
	a := arg{name: canonical(name)}
	if !isOurs(name) {
		c.args = append(c.args, a)
		return nil
	}
	if _, twice := c.find(a.name); twice {
		return yamledit.Refuse(at, "the argument %s is given twice", a.name)
	}
	key := name
	if c.listed {
		key = "value"
	}
	var err error
	if a.value, err = yamledit.String(in, key); err != nil {
		return err
	}
	if a.value == "" || strings.Contains(a.value, "$(") {
		return yamledit.Refuse(at, "the argument %s has no value, or one from the environment", a.name)
	}
	a.node = yamledit.Get(in, key)
	c.args = append(c.args, a)
	return nil
}

// canonical is the name of a flag as kube-apiserver's own help spells it.
func canonical(name string) string { return strings.ReplaceAll(name, "_", "-") }

func isOurs(name string) bool { return canonical(name) == configArg || canonical(name) == reloadArg }

func (c *config) find(name string) (arg, bool) {
	if at := c.arg(name); at >= 0 {
		return c.args[at], true
	}
	return arg{}, false
}

// arg is the position of an argument, or -1.
func (c *config) arg(name string) int {
	return slices.IndexFunc(c.args, func(a arg) bool { return a.name == name })
}

func (c *config) readVolumes() error {
	items, err := mappings(c.apiServer, "extraVolumes")
	if err != nil {
		return err
	}
	for _, item := range items {
		v := volume{node: item}
		for key, into := range map[string]*string{"name": &v.name, "hostPath": &v.host, "mountPath": &v.mount} {
			if *into, err = yamledit.String(item, key); err != nil {
				return err
			}
		}
		if v.name == "" || !path.IsAbs(v.host) || !path.IsAbs(v.mount) {
			return yamledit.Refuse(item, "a volume has no name, or no absolute hostPath and mountPath")
		}
		if slices.ContainsFunc(c.volumes, func(other volume) bool { return other.name == v.name }) {
			return yamledit.Refuse(item, "two volumes have the same name")
		}
		v.mount = path.Clean(v.mount)
		c.volumes = append(c.volumes, v)
	}
	return nil
}

func (c *config) encryption() (Encryption, error) {
	var e Encryption
	if a, ok := c.find(reloadArg); ok {
		on, err := strconv.ParseBool(a.value)
		if err != nil {
			return Encryption{}, yamledit.Refuse(a.node, "the argument %s is neither true nor false", reloadArg)
		}
		e.AutomaticReload = on
	}
	if a, ok := c.find(configArg); ok {
		e.ConfigPath = a.value
		e.HostPath, e.MountPath = c.locate(a.value)
	}
	return e, nil
}

// locate follows a path of kube-apiserver through the longest mount that holds it. Both are empty if none does.
func (c *config) locate(file string) (host, mount string) {
	file = path.Clean(file)
	if within(file, c.certificatesDir) {
		host, mount = file, c.certificatesDir
	}
	for _, v := range c.volumes {
		if within(file, v.mount) && len(v.mount) > len(mount) {
			host, mount = path.Join(v.host, strings.TrimPrefix(file, v.mount)), v.mount
		}
	}
	return host, mount
}

func within(file, dir string) bool {
	return file == dir || strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/")
}

// mappings are the items of a list of mappings.
func mappings(parent *yaml.Node, key string) ([]*yaml.Node, error) {
	list, err := yamledit.List(parent, key)
	if err != nil || list == nil {
		return nil, err
	}
	for _, item := range list.Content {
		if item.Kind != yaml.MappingNode {
			return nil, yamledit.Refuse(item, "an item of %s is not a mapping", key)
		}
	}
	return list.Content, nil
}
