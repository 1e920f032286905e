// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod

import (
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/yamledit"
)

// Disable makes kube-apiserver read no encryption configuration. It takes out both flags, and the mount and volume that
// show the configuration, whatever their name, if they show nothing else and nothing else uses them.
func Disable(manifest []byte) ([]byte, error) {
	p, err := parse(manifest)
	if err != nil {
		return nil, err
	}
	if _, err := p.read(); err != nil {
		return nil, err
	}
	steps := []step{dropFlag(configFlag), dropFlag(reloadFlag)}
	if m, ok := p.ownMount(); ok {
		steps = append(steps, dropMount(m.path), dropVolume(m.volume))
	}
	return p.apply(steps...)
}

// ownMount is the mount that is there for the configuration alone.
func (p *pod) ownMount() (mount, bool) {
	f, ok := p.flags.find(configFlag)
	if !ok {
		return mount{}, false
	}
	l := p.locate(f.value)
	if l.mount < 0 {
		return mount{}, false
	}
	m := p.mounts[l.mount]
	at := p.volume(m.volume)
	own := (l.file || m.path == path.Dir(path.Clean(f.value))) &&
		at >= 0 && p.volumes[at].host != "" && p.users(m.volume) == 1 && !p.mentioned(m, f)
	return m, own
}

// users is the number of mounts of a volume in all containers of the pod.
func (p *pod) users(volume string) int {
	sum := 0
	for _, kind := range []string{"containers", "initContainers", "ephemeralContainers"} {
		containers := yamledit.Get(p.spec, kind)
		if containers == nil {
			continue
		}
		for _, c := range containers.Content {
			sum += mountsOf(c, volume)
		}
	}
	return sum
}

func mountsOf(container *yaml.Node, volume string) int {
	sum := 0
	if mounts := yamledit.Get(container, "volumeMounts"); mounts != nil {
		for _, m := range mounts.Content {
			if name := yamledit.Get(m, "name"); name != nil && name.Value == volume {
				sum++
			}
		}
	}
	return sum
}

// mentioned tells whether anything else in the container than the flag and the mount may name a path in the mount.
func (p *pod) mentioned(m mount, f flag) bool {
	own := slices.Clone(p.flags.list.Content[f.at : f.at+f.words])
	return Mentions(p.container, m.path, append(own, m.node)...)
}

// Mentions tells whether a text anywhere in a node, apart from some nodes in it, may name a folder or what is in it.
func Mentions(n *yaml.Node, dir string, except ...*yaml.Node) bool {
	if slices.Contains(except, n) {
		return false
	}
	if n.Kind == yaml.ScalarNode {
		return mentionsPath(n.Value, dir)
	}
	return slices.ContainsFunc(n.Content, func(child *yaml.Node) bool { return Mentions(child, dir, except...) })
}

// mentionsPath tells whether a text holds a folder's path or one below it. A path that begins with a variable may be
// any.
func mentionsPath(text, dir string) bool {
	_, value, _ := strings.Cut(text, "=")
	if strings.HasPrefix(value, "$(") && strings.Contains(value, ")/") {
		return true
	}
	for rest := strings.ReplaceAll(text, "//", "/"); ; {
		before, after, found := strings.Cut(rest, dir)
		if !found {
			return false
		}
		if (before == "" || !isNameByte(before[len(before)-1])) && (after == "" || !isNameByte(after[0])) {
			return true
		}
		rest = after
	}
}

func isNameByte(b byte) bool {
	return b == '-' || b == '_' || b == '.' || '0' <= b && b <= '9' || 'A' <= b && b <= 'Z' || 'a' <= b && b <= 'z'
}

func dropFlag(name string) step {
	return func(p *pod) (*yamledit.Document, error) {
		f, ok := p.flags.find(name)
		if !ok {
			return p.doc, nil
		}
		return p.doc.RemoveItems(p.flags.list, f.at, f.words)
	}
}

func dropMount(dir string) step {
	return func(p *pod) (*yamledit.Document, error) {
		at := slices.IndexFunc(p.mounts, func(m mount) bool { return m.path == dir })
		return p.dropItem(p.container, "volumeMounts", at)
	}
}

func dropVolume(name string) step {
	return func(p *pod) (*yamledit.Document, error) { return p.dropItem(p.spec, "volumes", p.volume(name)) }
}

// dropItem takes an item out of a list, and with the last one the list's key.
func (p *pod) dropItem(parent *yaml.Node, key string, at int) (*yamledit.Document, error) {
	list := yamledit.Get(parent, key)
	if len(list.Content) == 1 {
		return p.doc.Remove(parent, key)
	}
	return p.doc.RemoveItems(list, at, 1)
}
