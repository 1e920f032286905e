// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod

import (
	"bytes"
	"fmt"
	"path"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/yamledit"
)

// VolumeName is the name of the volume and mount that Enable adds.
const VolumeName = "encryption-provider-config"

// Enable makes kube-apiserver read the encryption configuration at a path on the node, and reload it when it changes.
// It adds what is missing of the two flags and of a mount that shows the file's folder at the same path. Where a
// configuration is read already, it must be this one, and its path and mount stay as they are.
func Enable(manifest []byte, file string) ([]byte, error) {
	if err := CheckFile(file); err != nil {
		return nil, err
	}
	p, err := parse(manifest)
	if err != nil {
		return nil, err
	}
	m, err := p.read()
	if err != nil {
		return nil, err
	}
	if m.RunAsUser != 0 {
		return nil, yamledit.Refuse(p.container, "kube-apiserver does not run as root, and the configuration is readable for root alone")
	}
	steps, err := p.stepsToEnable(m.Encryption, file)
	if err != nil {
		return nil, err
	}
	enabled, err := p.apply(steps...)
	if err != nil {
		return nil, err
	}
	if err := checkUndone(p, enabled); err != nil {
		return nil, err
	}
	return enabled, nil
}

func (p *pod) stepsToEnable(e Encryption, file string) ([]step, error) {
	if e.ConfigPath != "" {
		return []step{setReload}, p.checkConfigured(e, file)
	}
	steps := []step{addConfig(file), setReload}
	if l := p.locate(file); l.mount >= 0 {
		return steps, p.checkShown(l, file)
	}
	dir := path.Dir(file)
	return append([]step{addVolume(dir), addMount(dir)}, steps...), p.checkFree(dir)
}

// checkConfigured makes sure that a configuration which is read already is the one that is meant, and can be replaced.
func (p *pod) checkConfigured(e Encryption, file string) error {
	f, _ := p.flags.find(configFlag)
	switch {
	case e.HostPath == "":
		return yamledit.Refuse(f.node, "the file that --%s names is outside every mount of a folder of the node", configFlag)
	case e.HostPath != file:
		return yamledit.Refuse(f.node, "--%s names another file than the one asked for", configFlag)
	case e.FileMount:
		return yamledit.Refuse(f.node, "the single file that --%s names is mounted: kube-apiserver would never see it replaced", configFlag)
	}
	return nil
}

// checkShown makes sure that a mount which holds the file's path shows the file there.
func (p *pod) checkShown(l location, file string) error {
	switch m := p.mounts[l.mount]; {
	case l.file:
		return yamledit.Refuse(m.node, "the configuration's path is mounted as a single file: kube-apiserver would never see it replaced")
	case l.host != file:
		return yamledit.Refuse(m.node, "something else is mounted where the configuration should be")
	}
	return nil
}

// checkFree makes sure that a folder can be mounted without hiding or being hidden by anything.
func (p *pod) checkFree(dir string) error {
	if err := CheckMount(dir); err != nil {
		return err
	}
	for _, m := range p.mounts {
		if within(m.path, dir) {
			return yamledit.Refuse(m.node, "something else is mounted below the configuration's folder")
		}
	}
	if p.volume(VolumeName) >= 0 {
		return yamledit.Refuse(p.spec, "there is a volume %s already, and it does not hold the configuration", VolumeName)
	}
	return nil
}

// checkUndone makes sure that Disable makes of the enabled manifest what it was, if it had none of it.
func checkUndone(before *pod, enabled []byte) error {
	_, configured := before.flags.find(configFlag)
	_, reloads := before.flags.find(reloadFlag)
	if configured || reloads {
		return nil
	}
	disabled, err := Disable(enabled)
	if err != nil {
		return err
	}
	if !bytes.Equal(disabled, before.doc.Bytes()) {
		return fmt.Errorf("the edit could not be taken back byte for byte: %w", ErrRefused)
	}
	return nil
}

func addConfig(file string) step {
	return func(p *pod) (*yamledit.Document, error) { return p.addFlag(configFlag, file) }
}

func setReload(p *pod) (*yamledit.Document, error) {
	f, ok := p.flags.find(reloadFlag)
	if !ok {
		return p.addFlag(reloadFlag, "true")
	}
	if on, err := f.boolean(); err != nil || on {
		return p.doc, err
	}
	return p.doc.Replace(f.node, "--"+reloadFlag+"=true")
}

func (p *pod) addFlag(name, value string) (*yamledit.Document, error) {
	return p.doc.InsertItem(p.flags.list, p.flags.place(name), yamledit.Plain("--"+name+"="+value))
}

func addVolume(dir string) step {
	return func(p *pod) (*yamledit.Document, error) {
		return p.addNamed(p.spec, "volumes", yamledit.NewMapping(
			yamledit.Plain("hostPath"), yamledit.NewMapping(
				yamledit.Plain("path"), yamledit.Plain(dir),
				yamledit.Plain("type"), yamledit.Plain("DirectoryOrCreate")),
			yamledit.Plain("name"), yamledit.Plain(VolumeName)))
	}
}

func addMount(dir string) step {
	return func(p *pod) (*yamledit.Document, error) {
		return p.addNamed(p.container, "volumeMounts", yamledit.NewMapping(
			yamledit.Plain("mountPath"), yamledit.Plain(dir),
			yamledit.Plain("name"), yamledit.Plain(VolumeName),
			yamledit.Plain("readOnly"), yamledit.Plain("true")))
	}
}

// addNamed puts an item into a list where its name sorts, as kubeadm does.
func (p *pod) addNamed(parent *yaml.Node, key string, item *yaml.Node) (*yamledit.Document, error) {
	list := yamledit.Get(parent, key)
	if list == nil {
		return p.doc.Set(parent, key, yamledit.NewList(item))
	}
	if len(list.Content) == 0 {
		return nil, yamledit.Refuse(list, "an empty %s is not edited: take the key out", key)
	}
	names := make([]string, 0, len(list.Content))
	for _, n := range list.Content {
		names = append(names, yamledit.Get(n, "name").Value)
	}
	return p.doc.InsertItem(list, yamledit.SortedPlace(names, VolumeName), item)
}
