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

	coordinationv1 "k8s.io/api/coordination/v1"

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
	// LeftOut are nodes that ControlPlane is without, since they were to be ignored. NotLeftOut says why one of them may
	// not be; ControlPlane is then whole.
	LeftOut    []controlplane.LeftOut
	NotLeftOut error
}

// Observer looks at one cluster.
type Observer struct {
	Cluster *kube.Cluster
	Reacher *controlplane.Reacher
	// Ignore are nodes to leave out, if their kube-apiservers are seen not to serve.
	Ignore []string
}

// New makes an observer.
func New(c *kube.Cluster) *Observer {
	return &Observer{Cluster: c, Reacher: controlplane.NewReacher(c.Config, c.Typed)}
}

// Look asks all that there is to ask, the instances at the same time.
func (o *Observer) Look(ctx context.Context) (*View, error) {
	var cp *controlplane.ControlPlane
	err := kube.Shortly(ctx, func(ctx context.Context) (err error) {
		cp, err = controlplane.Discover(ctx, o.Cluster.Typed)
		return err
	})
	if err != nil {
		return nil, err
	}
	v := &View{ControlPlane: cp}
	if len(o.Ignore) > 0 {
		if err := o.leaveOut(ctx, v); err != nil {
			return nil, err
		}
		cp = v.ControlPlane
	}
	v.Evidence, v.Errors = o.Instances(ctx, cp)
	err = kube.Shortly(ctx, func(ctx context.Context) (err error) {
		v.Ledger, v.OnRecord, err = ledger.Store{Client: o.Cluster.Typed.CoreV1()}.Load(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return v, nil
}

// leaveOut takes the nodes to ignore out of a view, or says why not.
func (o *Observer) leaveOut(ctx context.Context, v *View) error {
	var kubelets []coordinationv1.Lease
	err := kube.Shortly(ctx, func(ctx context.Context) (err error) {
		kubelets, err = controlplane.KubeletLeases(ctx, o.Cluster.Typed)
		return err
	})
	if err != nil {
		return err
	}
	rest, left, refused := v.ControlPlane.LeaveOut(o.Ignore, kubelets)
	for _, in := range v.ControlPlane.Instances {
		if refused == nil && slices.Contains(o.Ignore, in.Node) && o.Reacher.Answers(ctx, in) {
			refused = fmt.Errorf("node %s can't be left out: its kube-apiserver answers", in.Node)
		}
	}
	if v.NotLeftOut = refused; refused == nil {
		v.ControlPlane, v.LeftOut = rest, left
	}
	return nil
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

// Without takes a node, and what is said of it, out of a view: it is the one that is to be mended, or can't be asked.
func (v *View) Without(node string) {
	cp := *v.ControlPlane
	cp.Instances = slices.DeleteFunc(slices.Clone(cp.Instances), func(in controlplane.Instance) bool { return in.Node == node })
	if len(cp.Instances) == len(v.ControlPlane.Instances) {
		return
	}
	cp.Disagreements = slices.DeleteFunc(slices.Clone(cp.Disagreements), func(s string) bool {
		return strings.Contains(s, "node "+node+" ")
	})
	v.ControlPlane = &cp
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
	if v.NotLeftOut != nil {
		return refuse("a node can be ignored when its kube-apiserver has not served for a minute: wait, then run this command again. If it is back, go on without "+
			"--ignore-node. To keep it down, stop its kubelet and its kube-apiserver on the node", "%w", v.NotLeftOut)
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
		return disorder(cp)
	}
	for _, in := range cp.Instances {
		if err := v.known(in); err != nil {
			return err
		}
	}
	return v.sameVersion()
}

// disorder refuses a control plane of which not every kube-apiserver is known and serves. Where that is due to silent
// nodes it names them, and what can be done without them.
func disorder(cp *controlplane.ControlPlane) error {
	e := &hint.Error{
		Err: fmt.Errorf("the kube-apiservers can't be told for certain: %s", cp), Safe: safe,
		Hints: []string{"bring the control plane into order first; see " + project.Command + " status"},
	}
	if silent := cp.Silent(); len(silent) > 0 {
		e.Err = fmt.Errorf("node %s is silent, and a kube-apiserver that comes back with an old file could not read what the others write: %s",
			strings.Join(silent, ", "), cp)
		e.Hints = []string{
			"bring it back, then run this command again",
			"or take it out of the cluster for good, with its etcd member: kubectl delete node " + strings.Join(silent, " "),
			"or, if it is down and will come back, rotate or enable without it: --ignore-node " + strings.Join(silent, ","),
		}
	}
	return e
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
