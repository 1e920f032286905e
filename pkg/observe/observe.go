// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package observe looks at a cluster with no more than API requests: no Job, nothing changed.
//
// It knows which kube-apiservers there are, what each has loaded and what is on record. What is in the files on the
// nodes it does not know: only an agent does.
package observe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

// View is what was seen.
type View struct {
	ControlPlane *controlplane.ControlPlane
	// Evidence by node, for each instance that answered; Errors for the others.
	Evidence map[string]reload.Evidence
	Errors   map[string]error
	Ledger   *ledger.Ledger
	// OnRecord is false if there is no ledger.
	OnRecord bool
}

// Observer looks at one cluster.
type Observer struct {
	Cluster *kube.Cluster
	Reacher *controlplane.Reacher
}

// New makes an observer.
func New(c *kube.Cluster) *Observer {
	return &Observer{Cluster: c, Reacher: controlplane.NewReacher(c.Config, c.Typed)}
}

// Look asks all that there is to ask, the instances at the same time.
func (o *Observer) Look(ctx context.Context) (*View, error) {
	cp, err := controlplane.Discover(ctx, o.Cluster.Typed)
	if err != nil {
		return nil, err
	}
	v := &View{ControlPlane: cp}
	v.Evidence, v.Errors = o.Instances(ctx, cp)
	v.Ledger, v.OnRecord, err = ledger.Store{Client: o.Cluster.Typed.CoreV1()}.Load(ctx)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Instances asks every instance for its metrics.
func (o *Observer) Instances(ctx context.Context, cp *controlplane.ControlPlane) (map[string]reload.Evidence, map[string]error) {
	evidence, failed := map[string]reload.Evidence{}, map[string]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, in := range cp.Instances {
		if in.Pod == "" {
			continue
		}
		wg.Go(func() {
			e, err := o.Reacher.Evidence(ctx, in)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[in.Node] = err
				return
			}
			evidence[in.Node] = e
		})
	}
	wg.Wait()
	return evidence, failed
}

// LoadedDigest is the one digest that all instances report, empty if they differ or one does not tell.
func (v *View) LoadedDigest() string {
	var digest string
	for i, in := range v.ControlPlane.Instances {
		hash := v.Evidence[in.Node].Hash
		if hash == "" || i > 0 && hash != digest {
			return ""
		}
		digest = hash
	}
	return digest
}

// EventTTL is the longest time that an event is kept by any instance.
func (v *View) EventTTL() time.Duration {
	var longest time.Duration
	for _, in := range v.ControlPlane.Instances {
		longest = max(longest, in.Manifest.EventTTL)
	}
	return longest
}

// safe is what every refusal of Usable can say.
const safe = "nothing was changed"

func refuse(hintText, format string, args ...any) error {
	e := &hint.Error{Err: fmt.Errorf(format, args...), Safe: safe}
	if hintText != "" {
		e.Hints = []string{hintText}
	}
	return e
}

// Usable is nil if the cluster is one on which a configuration may be changed: every kube-apiserver is known, ready,
// reached and of one version, and each reads a configuration file by itself that an agent can replace.
func (v *View) Usable() error {
	if err := v.Known(); err != nil {
		return err
	}
	for _, in := range v.ControlPlane.Instances {
		if err := configured(in); err != nil {
			return err
		}
	}
	return nil
}

// Known is nil if the cluster is one on which encryption may be turned on or off: every kube-apiserver is known,
// ready, reached and of one version, and none is run by another tool or in a way that is not understood.
func (v *View) Known() error {
	cp := v.ControlPlane
	if f := cp.Foreign; f.Name != "" { // before anything that would make no sense there
		return refuse("use its own command: "+f.Command,
			"this control plane is run by %s, which keeps its encryption configuration itself", f.Name)
	}
	if len(cp.Instances) == 0 {
		return refuse("this tool works on control planes whose kube-apiservers are static pods, as kubeadm makes them",
			"no control-plane node was found (label node-role.kubernetes.io/control-plane)")
	}
	if !slices.ContainsFunc(cp.Instances, func(in controlplane.Instance) bool { return in.Pod != "" }) {
		return refuse("this tool works on control planes whose kube-apiservers are static pods, as kubeadm makes them",
			"no kube-apiserver pod was found in kube-system: this control plane is run by something else")
	}
	if len(cp.Disagreements) > 0 {
		return refuse("bring the control plane into order first; see "+project.Command+" status",
			"the kube-apiservers can't be told for certain: %s", cp)
	}
	for _, in := range cp.Instances {
		if err := v.known(in); err != nil {
			return err
		}
	}
	return v.sameVersion()
}

func (v *View) known(in controlplane.Instance) error {
	m := in.Manifest
	switch {
	case in.ManifestError != nil:
		return refuse("", "the kube-apiserver on node %s is set up in a way that is not understood: %v", in.Node, in.ManifestError)
	case m.RunAsUser != 0:
		return refuse("let kube-apiserver run as root, or change its configuration by hand",
			"the kube-apiserver on node %s runs as user %d, who could not read a file of root's", in.Node, m.RunAsUser)
	case m.ConfigPath != "" && m.File == "":
		return refuse("mount the folder of the configuration as a hostPath volume",
			"the configuration %s of the kube-apiserver on node %s is on no hostPath volume", m.ConfigPath, in.Node)
	case m.FileMount:
		return refuse("mount the folder of the configuration instead of the file",
			"the kube-apiserver on node %s mounts the single file %s: it would never see the file replaced", in.Node, m.ConfigPath)
	}
	if err := v.Errors[in.Node]; err != nil {
		return refuse("every kube-apiserver has to be reached on its own, by port-forward to its pod",
			"the kube-apiserver on node %s can't be asked what it has loaded: %v", in.Node, err)
	}
	return nil
}

func configured(in controlplane.Instance) error {
	switch m := in.Manifest; {
	case m.ConfigPath == "":
		return refuse("turn it on with: "+project.Command+" enable",
			"encryption is not configured: the kube-apiserver on node %s runs without --encryption-provider-config", in.Node)
	case !m.AutomaticReload:
		return refuse("let it reload with: "+project.Command+" enable",
			"the kube-apiserver on node %s does not reload its configuration by itself", in.Node)
	}
	return nil
}

// sameVersion refuses mixed versions: an older kube-apiserver drops fields that it does not know when it rewrites
// an object.
func (v *View) sameVersion() error {
	var list []string
	versions := map[string]bool{}
	for _, in := range v.ControlPlane.Instances {
		version := v.Evidence[in.Node].Version
		versions[version] = true
		list = append(list, in.Node+" "+version)
	}
	if len(versions) > 1 {
		return refuse("finish the upgrade first", "the kube-apiservers have different versions: %s", strings.Join(list, ", "))
	}
	return nil
}
