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

type mount struct {
	path, volume, subPath string
	// computed is true if the path inside the volume depends on the environment.
	computed bool
	node     *yaml.Node
}

type volume struct {
	name string
	// host is the path on the node, empty if the volume is of another kind.
	host string
}

func readMounts(container *yaml.Node) ([]mount, error) {
	nodes, err := mappings(container, "volumeMounts")
	if err != nil {
		return nil, err
	}
	mounts := make([]mount, 0, len(nodes))
	for _, n := range nodes {
		m := mount{node: n}
		var expression string
		for key, into := range map[string]*string{
			"mountPath": &m.path, "name": &m.volume, "subPath": &m.subPath, "subPathExpr": &expression,
		} {
			if *into, err = yamledit.String(n, key); err != nil {
				return nil, err
			}
		}
		if !path.IsAbs(m.path) || m.volume == "" {
			return nil, yamledit.Refuse(n, "a mount has no name or no absolute path")
		}
		m.path, m.computed = path.Clean(m.path), expression != ""
		mounts = append(mounts, m)
	}
	return mounts, nil
}

func readVolumes(spec *yaml.Node) ([]volume, error) {
	nodes, err := mappings(spec, "volumes")
	if err != nil {
		return nil, err
	}
	volumes := make([]volume, 0, len(nodes))
	for _, n := range nodes {
		var v volume
		if v.name, err = yamledit.String(n, "name"); err != nil {
			return nil, err
		}
		if v.name == "" {
			return nil, yamledit.Refuse(n, "a volume has no name")
		}
		if slices.ContainsFunc(volumes, func(other volume) bool { return other.name == v.name }) {
			return nil, yamledit.Refuse(n, "two volumes have the same name")
		}
		hostPath, err := yamledit.Mapping(n, "hostPath")
		if err != nil {
			return nil, err
		}
		if hostPath != nil {
			if v.host, err = yamledit.String(hostPath, "path"); err != nil {
				return nil, err
			}
		}
		volumes = append(volumes, v)
	}
	return volumes, nil
}

// location is where a path of the container is on the node.
type location struct {
	// mount is the position of the mount that holds the path, -1 if none does.
	mount int
	// host is the path on the node, empty if it can't be told.
	host string
	// file is true if the mount shows nothing but the path itself.
	file bool
}

// locate follows a path of the container through the longest mount that holds it to a hostPath volume.
func (p *pod) locate(file string) location {
	file = path.Clean(file)
	at := -1
	for i, m := range p.mounts {
		if within(file, m.path) && (at < 0 || len(m.path) > len(p.mounts[at].path)) {
			at = i
		}
	}
	if at < 0 {
		return location{mount: -1}
	}
	m := p.mounts[at]
	l := location{mount: at, file: file == m.path}
	if i := p.volume(m.volume); i >= 0 && p.volumes[i].host != "" && !m.computed {
		l.host = path.Join(p.volumes[i].host, m.subPath, strings.TrimPrefix(file, m.path))
	}
	return l
}

// volume is the position of a volume, or -1.
func (p *pod) volume(name string) int {
	return slices.IndexFunc(p.volumes, func(v volume) bool { return v.name == name })
}

// within tells whether a clean path is in a folder or the folder itself.
func within(file, dir string) bool {
	return file == dir || strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/")
}
