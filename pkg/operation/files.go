// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// FileOn is where the configuration is on a node, or will be.
func (o *Operation) FileOn(in controlplane.Instance) string {
	for _, known := range slices.Concat([]controlplane.Instance{in}, o.View.ControlPlane.Instances) {
		if known.Manifest.File != "" {
			return path.Join(known.Manifest.HostDir, known.Manifest.File)
		}
	}
	return path.Join(o.Dir(), project.ConfigFile)
}

// Dir is where the nodes have the configuration that have one, else where those get it that have none.
func (o *Operation) Dir() string {
	for _, in := range o.View.ControlPlane.Instances {
		if in.Manifest.File != "" {
			return in.Manifest.HostDir
		}
	}
	return cmp.Or(o.NewDir, project.DefaultConfigDir)
}

// Readers are the instances that read a file.
func (o *Operation) Readers() []controlplane.Instance {
	return slices.DeleteFunc(slices.Clone(o.View.ControlPlane.Instances), func(in controlplane.Instance) bool {
		return in.Manifest.ConfigPath == ""
	})
}

// Agreed is the configuration that all nodes have whose kube-apiserver reads one, or all there are if none does. The caller has
// seen to it that there is one; of several it is the first.
func (o *Operation) Agreed() encconfig.Description {
	for _, in := range slices.Concat(o.Readers(), o.View.ControlPlane.Instances) {
		if config := o.Files[in.Node].Config; config != nil {
			return *config
		}
	}
	return encconfig.Description{}
}

// Digest is that of the file that was seen everywhere, empty if the operation has not come so far.
func (o *Operation) Digest() string {
	for _, f := range o.Files {
		return f.Digest
	}
	return ""
}

// EveryInstance is the beginning of a sentence on all kube-apiservers.
func (o *Operation) EveryInstance() string {
	if n := len(o.View.ControlPlane.Instances); n > 1 {
		return fmt.Sprintf("each of the %d kube-apiservers has", n)
	}
	return "the kube-apiserver has"
}

// Configs are the configurations of a node's history.
func Configs(history []agentapi.Revision) []encconfig.Description {
	list := make([]encconfig.Description, len(history))
	for i, r := range history {
		list[i] = r.Config
	}
	return list
}
