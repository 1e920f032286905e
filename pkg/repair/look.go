// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agreement"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Finding is what a look at the nodes has shown.
type Finding struct {
	Observed agreement.Observed
	Silent   []Silent
	// Steps that lead to an agreement, the last one being Done.
	Steps []agreement.Step
}

// Silent is a control-plane node that can't be looked at.
type Silent struct {
	Node, Reason string
}

// Commands mend the node by hand, if its file is why it is down.
func (s Silent) Commands() []string {
	return []string{
		fmt.Sprintf("ssh %s sudo encryption-agent recipient > recipient.txt", s.Node),
		fmt.Sprintf("%s join --name %s --recipient @recipient.txt | ssh %s sudo encryption-agent install", project.Command, s.Node, s.Node),
	}
}

// NothingToDo tells whether all nodes that could be looked at agree.
func (f *Finding) NothingToDo() bool { return len(f.Steps) == 1 }

// Find looks at all nodes and finds what is to be done. It changes nothing: its agents can write nowhere, and it takes no lock.
func (r *Run) Find(ctx context.Context) (_ *Finding, err error) {
	silent, err := r.look(ctx)
	if utilnet.IsConnectionRefused(err) {
		err = hint.New(err, "if no kube-apiserver is up because of its file: on a control-plane node, as root: encryption-agent restore",
			"see docs/recovery.md, \"A file was lost or damaged\"")
	}
	if err != nil {
		return nil, r.explain(ctx, "inspect", err)
	}
	defer func() { err = errors.Join(err, r.Drain(ctx)) }()
	if err := r.Glance(ctx); err != nil {
		return nil, r.explain(ctx, "inspect", err)
	}
	found, err := r.finding(ctx, silent)
	return found, r.explain(ctx, "plan", err)
}

func (r *Run) finding(ctx context.Context, silent []Silent) (*Finding, error) {
	o, err := r.toAgree(ctx, silent)
	if err != nil {
		return nil, err
	}
	steps, err := agreement.Preview(o)
	if err != nil {
		return nil, err
	}
	return &Finding{Observed: o, Silent: silent, Steps: steps}, nil
}

// look looks at the control plane and leaves out the nodes that can't be asked. What is left must be in order.
func (r *Run) look(ctx context.Context) ([]Silent, error) {
	if err := r.Cluster.CheckAccess(ctx, operation.Permissions()); err != nil {
		return nil, err
	}
	view, err := r.Observer.Look(ctx)
	if err != nil {
		return nil, err
	}
	silent := silentNodes(view)
	for _, s := range silent {
		view.Without(s.Node)
	}
	if len(silent) > 0 && len(view.ControlPlane.Instances) == 0 {
		return nil, hint.Errorf("look at the node; if its file is the reason, on the node, as root: encryption-agent restore",
			"no control-plane node can be looked at: %s", reasons(silent))
	}
	if err := view.Usable(); err != nil {
		return nil, err
	}
	r.View = view
	if r.served, err = r.Cluster.Resources(ctx); err != nil {
		return nil, err
	}
	return silent, nil
}

// silentNodes are those of which anything says that their kube-apiserver does not serve.
func silentNodes(view *observe.View) []Silent {
	cp := view.ControlPlane
	if cp.Foreign.Name != "" || !slices.ContainsFunc(cp.Instances, func(in controlplane.Instance) bool { return in.Pod != "" }) {
		return nil // it is not for us to say
	}
	var list []Silent
	for _, in := range cp.Instances {
		var said []string
		for _, d := range cp.Disagreements {
			if strings.Contains(d, "node "+in.Node+" ") {
				said = append(said, d)
			}
		}
		if err := view.Errors[in.Node]; err != nil && len(said) == 0 {
			said = append(said, err.Error())
		}
		if len(said) > 0 {
			list = append(list, Silent{Node: in.Node, Reason: strings.Join(said, "; ")})
		}
	}
	return list
}

func reasons(silent []Silent) string {
	parts := make([]string, len(silent))
	for i, s := range silent {
		parts[i] = s.Reason
	}
	return strings.Join(parts, "; ")
}

// recheck looks at the control plane again before a file is changed: it must be what the step was found for.
func (r *Run) recheck(ctx context.Context, silent []string) error {
	before := r.View.ControlPlane.Names()
	now, err := r.look(ctx)
	if err != nil {
		return hint.Midway(err)
	}
	var names []string
	for _, s := range now {
		names = append(names, s.Node)
	}
	if !slices.Equal(silent, names) || !slices.Equal(before, r.View.ControlPlane.Names()) {
		return fmt.Errorf("the control plane has changed: the nodes that can be asked were %s and are %s",
			strings.Join(before, ", "), strings.Join(r.View.ControlPlane.Names(), ", "))
	}
	return nil
}

// decideAgain is asked before a node is changed: the step must be the same by what the agents see now.
func (r *Run) decideAgain(ctx context.Context, step agreement.Step, silent []string) error {
	o, err := r.toAgree(ctx, nil)
	if err != nil {
		return err
	}
	o.Silent = silent
	again, err := agreement.Next(o)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(again, step) {
		return operation.ErrReplan
	}
	return r.recheck(ctx, silent)
}

// Plan says what a finding means, as a versioned type.
func Plan(f *Finding, cluster v1alpha1.Cluster) (*v1alpha1.RepairPlan, error) {
	differences, agreed, err := agreement.Differences(f.Observed)
	if err != nil {
		return nil, err
	}
	p := &v1alpha1.RepairPlan{TypeMeta: v1alpha1.New("RepairPlan"), Cluster: cluster, Steps: []v1alpha1.PlanStep{}}
	if agreed == nil {
		p.Warnings = append(p.Warnings, "no write key is changed while a node can't be looked at: these nodes get all keys, "+
			"and keep different write keys until it is back")
	} else {
		for _, rule := range agreed.Rules {
			p.Agreed = append(p.Agreed, v1alpha1.AgreedRule{Resources: rule.Resources, Keys: refs(rule.Keys)})
		}
	}
	for _, d := range differences {
		p.Nodes = append(p.Nodes, v1alpha1.RepairNode{
			Name: d.Node, Digest: d.Digest, Agreed: d.None(), Unusable: d.Unusable, Lacks: refs(d.Lacks), Writes: refs(d.Writes), Loaded: d.Loaded,
		})
	}
	for _, s := range f.Silent {
		p.Silent = append(p.Silent, v1alpha1.SilentNode{Name: s.Node, Reason: s.Reason, Commands: s.Commands()})
	}
	for _, s := range f.Steps[:len(f.Steps)-1] {
		p.Steps = append(p.Steps, v1alpha1.PlanStep{Stage: string(s.Kind), Text: text(s)})
	}
	p.Warnings = append(p.Warnings, warnings(f, differences)...)
	return p, nil
}

func warnings(f *Finding, differences []agreement.Difference) (list []string) {
	for _, h := range f.Steps[0].LeftOut {
		list = append(list, fmt.Sprintf("key %s (fingerprint %s) in the history of %s is left out: another key of that name is in use",
			h.Key, h.Key.Fingerprint, h.Node))
	}
	for _, n := range f.Observed.Nodes {
		if n.HistoryDamaged {
			list = append(list, fmt.Sprintf("the history of node %s can't be read whole: a key that is in the rest of it alone is not found", n.Name))
		}
	}
	inFiles := func(k encconfig.Key) bool {
		return slices.ContainsFunc(f.Observed.Nodes, func(n agreement.Node) bool { return n.Config != nil && slices.Contains(n.Config.Keys(), k) })
	}
	var back []encconfig.Key
	for _, d := range differences {
		for _, k := range d.Lacks {
			if !inFiles(k) && !slices.Contains(back, k) {
				back = append(back, k)
			}
		}
	}
	if len(back) > 0 {
		list = append(list, fmt.Sprintf("from histories alone, as read keys, since nothing proves that they are not needed: %s", encconfig.KeyNames(back)))
	}
	return list
}

func refs(list []encconfig.Key) (refs []v1alpha1.KeyRef) {
	for _, k := range list {
		refs = append(refs, v1alpha1.KeyRef{Provider: string(k.Provider), Name: k.Name, Fingerprint: k.Fingerprint})
	}
	return refs
}
