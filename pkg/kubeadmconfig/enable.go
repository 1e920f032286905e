// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeadmconfig

import (
	"fmt"
	"path"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/yamledit"
)

// Enable makes kube-apiservers read the encryption configuration at a path on their nodes, and reload it when it
// changes. It adds what is missing of the two arguments and of a volume that shows the file's folder at the same path.
// Where a configuration is named already, it must be this one, and its path and volume stay as they are.
func Enable(data []byte, file string) ([]byte, error) {
	if err := staticpod.CheckFile(file); err != nil {
		return nil, err
	}
	c, err := parse(data)
	if err != nil {
		return nil, err
	}
	steps, err := c.stepsToEnable(file)
	if err != nil {
		return nil, err
	}
	enabled, err := c.apply(steps...)
	if err != nil {
		return nil, err
	}
	if err := checkUndone(c, enabled); err != nil {
		return nil, err
	}
	return enabled.doc.Bytes(), nil
}

func (c *config) stepsToEnable(file string) ([]step, error) {
	e, err := c.encryption()
	if err != nil {
		return nil, err
	}
	if e.ConfigPath != "" {
		return []step{setReload}, c.checkConfigured(e, file)
	}
	steps := []step{addConfig(file), setReload}
	if host, mount := c.locate(file); mount != "" {
		if host != file || mount == file {
			return nil, yamledit.Refuse(c.apiServer, "a volume of apiServer shows something else where the configuration should be")
		}
		return steps, nil
	}
	dir := path.Dir(file)
	return append(steps, addVolume(dir)), c.checkFree(dir)
}

// checkConfigured makes sure that a configuration which is named already is the one that is meant, and can be replaced.
func (c *config) checkConfigured(e Encryption, file string) error {
	a, _ := c.find(configArg)
	switch {
	case e.HostPath == "":
		return yamledit.Refuse(a.node, "the file that %s names is outside every volume", configArg)
	case e.HostPath != file:
		return yamledit.Refuse(a.node, "%s names another file than the one asked for", configArg)
	case e.MountPath == path.Clean(e.ConfigPath):
		return yamledit.Refuse(a.node, "the single file that %s names is a volume: kube-apiserver would never see it replaced", configArg)
	}
	return nil
}

// checkFree makes sure that a folder can be mounted without hiding anything.
func (c *config) checkFree(dir string) error {
	for _, v := range c.volumes {
		if within(v.mount, dir) {
			return yamledit.Refuse(v.node, "something else is mounted below the configuration's folder")
		}
		if v.name == staticpod.VolumeName {
			return yamledit.Refuse(v.node, "there is a volume %s already, and it does not hold the configuration", v.name)
		}
	}
	if within(c.certificatesDir, dir) {
		return fmt.Errorf("the configuration must be in a folder of its own, not in one with the certificates: %w", ErrRefused)
	}
	return staticpod.CheckMount(dir)
}

// checkUndone makes sure that Disable makes of the enabled configuration what it was, if it had none of it.
func checkUndone(before, enabled *config) error {
	if before.arg(configArg) >= 0 || before.arg(reloadArg) >= 0 {
		return nil
	}
	disabled, err := enabled.disable()
	if err != nil {
		return err
	}
	if !yamledit.Equal(withoutEmpty(before), withoutEmpty(disabled)) {
		return fmt.Errorf("the edit could not be taken back: %w", ErrRefused)
	}
	return nil
}

// withoutEmpty is the configuration without what says nothing: no arguments, no volumes, an apiServer of neither.
func withoutEmpty(c *config) *yaml.Node {
	top := yamledit.NewMapping(entries(c.doc.Top(), func(key string, _ *yaml.Node) bool { return key != "apiServer" })...)
	if c.apiServer != nil {
		top.Content = append(top.Content, entries(c.apiServer, func(key string, value *yaml.Node) bool {
			return key != "extraArgs" && key != "extraVolumes" || len(value.Content) > 0
		})...)
	}
	return top
}

// entries are the keys and values of a mapping that are wanted.
func entries(mapping *yaml.Node, wanted func(key string, value *yaml.Node) bool) []*yaml.Node {
	var pairs []*yaml.Node
	for i := 0; i < len(mapping.Content); i += 2 {
		if key, value := mapping.Content[i], mapping.Content[i+1]; wanted(key.Value, value) {
			pairs = append(pairs, key, value)
		}
	}
	return pairs
}
