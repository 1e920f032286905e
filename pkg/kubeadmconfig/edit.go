// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeadmconfig

import (
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/yamledit"
)

// step is one edit. It returns the document as it is if there is nothing to do.
type step func(*config) (*yamledit.Document, error)

// apply makes edits one after the other, each on the configuration that the one before has made.
func (c *config) apply(steps ...step) (*config, error) {
	for _, s := range steps {
		doc, err := s(c)
		if err != nil {
			return nil, err
		}
		if c, err = configOf(doc); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func addConfig(file string) step {
	return func(c *config) (*yamledit.Document, error) { return c.addArgument(configArg, yamledit.Plain(file)) }
}

func setReload(c *config) (*yamledit.Document, error) {
	a, ok := c.find(reloadArg)
	if !ok {
		return c.addArgument(reloadArg, yamledit.Quoted("true"))
	}
	if on, err := strconv.ParseBool(a.value); err != nil || on {
		return c.doc, err
	}
	return c.doc.Replace(a.node, "true")
}

// addArgument adds an argument where its name sorts, as kubeadm does with a mapping.
func (c *config) addArgument(name string, value *yaml.Node) (*yamledit.Document, error) {
	if !c.listed {
		if len(c.args) > 0 {
			return c.doc.Set(yamledit.Get(c.apiServer, "extraArgs"), name, value)
		}
		return c.setBelow("extraArgs", yamledit.NewMapping(yamledit.Plain(name), value))
	}
	names := make([]string, 0, len(c.args))
	for _, a := range c.args {
		names = append(names, a.name)
	}
	return c.addItem("extraArgs", names, name, yamledit.NewMapping(
		yamledit.Plain("name"), yamledit.Plain(name),
		yamledit.Plain("value"), value))
}

func addVolume(dir string) step {
	return func(c *config) (*yamledit.Document, error) {
		names := make([]string, 0, len(c.volumes))
		for _, v := range c.volumes {
			names = append(names, v.name)
		}
		return c.addItem("extraVolumes", names, staticpod.VolumeName, yamledit.NewMapping(
			yamledit.Plain("hostPath"), yamledit.Plain(dir),
			yamledit.Plain("mountPath"), yamledit.Plain(dir),
			yamledit.Plain("name"), yamledit.Plain(staticpod.VolumeName),
			yamledit.Plain("pathType"), yamledit.Plain("DirectoryOrCreate"),
			yamledit.Plain("readOnly"), yamledit.Plain("true")))
	}
}

func (c *config) addItem(key string, names []string, name string, item *yaml.Node) (*yamledit.Document, error) {
	if len(names) == 0 {
		return c.setBelow(key, yamledit.NewList(item))
	}
	return c.doc.InsertItem(yamledit.Get(c.apiServer, key), yamledit.SortedPlace(names, name), item)
}

// setBelow gives a value to a key of apiServer that has none.
func (c *config) setBelow(key string, value *yaml.Node) (*yamledit.Document, error) {
	if c.apiServer == nil {
		return c.doc.Set(c.doc.Top(), "apiServer", yamledit.NewMapping(yamledit.Plain(key), value))
	}
	return c.doc.Set(c.apiServer, key, value)
}

func dropArgument(name string) step {
	return func(c *config) (*yamledit.Document, error) {
		at := c.arg(name)
		if at < 0 {
			return c.doc, nil
		}
		in := yamledit.Get(c.apiServer, "extraArgs")
		switch {
		case len(c.args) == 1:
			return c.dropKey("extraArgs")
		case c.listed:
			return c.doc.RemoveItems(in, at, 1)
		}
		return c.doc.Remove(in, in.Content[2*at].Value)
	}
}

func dropVolume(name string) step {
	return func(c *config) (*yamledit.Document, error) {
		if len(c.volumes) == 1 {
			return c.dropKey("extraVolumes")
		}
		at := slices.IndexFunc(c.volumes, func(v volume) bool { return v.name == name })
		return c.doc.RemoveItems(yamledit.Get(c.apiServer, "extraVolumes"), at, 1)
	}
}

// dropKey takes a key out of apiServer, which is {} after the last one, as kubeadm writes it.
func (c *config) dropKey(key string) (*yamledit.Document, error) {
	if len(c.apiServer.Content) == 2 {
		return c.doc.Clear(c.doc.Top(), "apiServer")
	}
	return c.doc.Remove(c.apiServer, key)
}
