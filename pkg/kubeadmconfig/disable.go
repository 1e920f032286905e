// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeadmconfig

import (
	"path"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// Disable makes kube-apiservers read no encryption configuration. It takes out both arguments, and the volume that
// shows the configuration, whatever its name, if it shows nothing else and nothing else names it.
func Disable(data []byte) ([]byte, error) {
	c, err := parse(data)
	if err != nil {
		return nil, err
	}
	if c, err = c.disable(); err != nil {
		return nil, err
	}
	return c.doc.Bytes(), nil
}

func (c *config) disable() (*config, error) {
	if _, err := c.encryption(); err != nil {
		return nil, err
	}
	steps := []step{dropArgument(configArg), dropArgument(reloadArg)}
	if v, ok := c.ownVolume(); ok {
		steps = append(steps, dropVolume(v.name))
	}
	return c.apply(steps...)
}

// ownVolume is the volume that is there for the configuration alone.
func (c *config) ownVolume() (volume, bool) {
	a, ok := c.find(configArg)
	if !ok {
		return volume{}, false
	}
	file := path.Clean(a.value)
	_, mount := c.locate(file)
	for _, v := range c.volumes {
		if v.mount == mount {
			own := (mount == file || mount == path.Dir(file)) && !staticpod.Mentions(c.apiServer, mount, a.node, v.node)
			return v, own
		}
	}
	return volume{}, false
}
