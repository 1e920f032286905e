// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kubeadm"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kubeadmconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Kubeadm is what kubeadm will make the next manifests of.
type Kubeadm struct {
	// Found is false if kubeadm keeps nothing here: the cluster is not kubeadm's to upgrade.
	Found      bool
	Encryption kubeadmconfig.Encryption
	// Err is set if it is there and can't be read or understood.
	Err error
}

const kubeadmConfig = "ConfigMap " + project.Namespace + "/" + kubeadm.ConfigMap

func (c Collector) kubeadm(ctx context.Context) Kubeadm {
	data, found, err := kubeadm.Store{Client: c.Cluster.Typed.CoreV1()}.Load(ctx)
	k := Kubeadm{Found: found, Err: err}
	if found && err == nil {
		k.Encryption, k.Err = kubeadmconfig.Read(data)
	}
	return k
}

// carries tells whether kubeadm gives the flag to the kube-apiservers that it sets up.
func (k Kubeadm) carries() bool { return k.Found && k.Err == nil && k.Encryption.ConfigPath != "" }

func (k Kubeadm) status() *v1alpha1.KubeadmStatus {
	if !k.Found || k.Err != nil {
		return nil
	}
	return &v1alpha1.KubeadmStatus{ConfigPath: k.Encryption.ConfigPath, AutomaticReload: k.Encryption.AutomaticReload}
}

// drift says what the next upgrade would do to the kube-apiservers, if it is not what they run with now.
func (k Kubeadm) drift(instances []controlplane.Instance) string {
	readers := slices.DeleteFunc(slices.Clone(instances), func(in controlplane.Instance) bool { return in.Manifest.ConfigPath == "" })
	const mend = project.Command + " enable mends it"
	switch {
	case len(readers) == 0 && k.carries():
		return kubeadmConfig + " carries --encryption-provider-config and no kube-apiserver has it: kubeadm upgrade would set it. " +
			project.Command + " enable sets it now, " + project.Command + " disable --remove-flags takes it out"
	case len(readers) == 0:
		return ""
	case k.Err != nil:
		return fmt.Sprintf("whether kubeadm upgrade would turn encryption off is not known: %s: %v", kubeadmConfig, k.Err)
	case !k.Found:
		return ""
	case k.Encryption.ConfigPath == "":
		return kubeadmConfig + " lacks the flag --encryption-provider-config: kubeadm upgrade would turn encryption off; " + mend
	case k.Encryption.HostPath == "":
		return kubeadmConfig + " lacks the volume of the encryption configuration: after kubeadm upgrade kube-apiserver would not find its file; " + mend
	case !k.Encryption.AutomaticReload:
		return kubeadmConfig + " lacks the flag --encryption-provider-config-automatic-reload: after kubeadm upgrade kube-apiserver would not reload; " + mend
	}
	for _, in := range readers {
		m := in.Manifest
		if m.ConfigPath != k.Encryption.ConfigPath || m.File != "" && path.Join(m.HostDir, m.File) != k.Encryption.HostPath {
			return fmt.Sprintf("%s has kube-apiserver read %s, which is %s on the node, and on node %s it reads %s, which is %s: "+
				"kubeadm upgrade would give it another file; make them the same",
				kubeadmConfig, k.Encryption.ConfigPath, k.Encryption.HostPath, in.Node, m.ConfigPath, path.Join(m.HostDir, m.File))
		}
	}
	return ""
}

// joinHints say how a node comes by the file that kubeadm gives its kube-apiserver the path of. Without the file it
// does not start, and then no agent can be started on its node.
func (k Kubeadm) joinHints(instances []controlplane.Instance) []string {
	if !k.carries() {
		return nil
	}
	var hints []string
	for _, in := range instances {
		if in.Pod == "" || !in.Ready {
			hints = append(hints, fmt.Sprintf("if the kube-apiserver on node %s does not start for want of its file, hand it over: "+
				"%s join --name %s --recipient KEY (KEY is what encryption-agent recipient prints there)", in.Node, project.Command, in.Node))
		}
	}
	if len(hints) == 0 {
		// One that joins without it is not to be seen: its kubelet waits for its own kube-apiserver.
		hints = append(hints, "a new control-plane node needs the configuration before it joins: "+project.Command+" join --help")
	}
	return hints
}
