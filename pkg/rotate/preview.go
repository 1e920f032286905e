// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Plan says what Do would do, by what can be seen without a Job: who runs it has not agreed to one yet. What is in
// the files is known from the record, if its configuration is the loaded one; else the plan stays general.
func (r *Run) Plan(ctx context.Context, cluster v1alpha1.Cluster) (*v1alpha1.RotationPlan, error) {
	p := &v1alpha1.RotationPlan{TypeMeta: v1alpha1.New("RotationPlan"), Cluster: cluster, Nodes: r.View.ControlPlane.Names()}
	on := fmt.Sprintf(" on %d control-plane node(s): %s", len(p.Nodes), strings.Join(p.Nodes, ", "))
	if r.changesFlags() && !r.Continue {
		return r.planOnOff(ctx, p, on)
	}
	if r.Mode == Rollback && !r.Continue {
		return r.planRollback(ctx, p, on)
	}
	if r.Mode == Prune && !r.Continue {
		return r.planPrune(ctx, p, on)
	}
	if r.Mode != Begin {
		p.Goal = r.goalUnderWay() + on
		p.Steps = []v1alpha1.PlanStep{{Stage: "inspect", Text: "look at the nodes, and " + map[Mode]string{
			Resume: "go on from what is there, with the steps that a rotation has left",
			Enable: "go on from what is there, with the steps that are left", Disable: "go on from what is there, with the steps that are left",
			Rollback: "go on from what is there, with the steps that are left", Prune: "go on from what is there, with the steps that are left",
			Abort: "take the new key out again, if nothing can have been written with it",
		}[r.Mode]}}
		if owed := r.View.Ledger.Forgetting(); owed != nil && r.Mode == Prune {
			p.Steps = append(p.Steps, forgetStep(owed.Pruned))
		}
		p.Warnings = r.warnOfLeftOut()
		return p, nil
	}
	if open := r.View.Ledger.Open(); open != nil {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the rotation to key %s has not ended: this one will be refused until rotate --resume has finished it", open.To))
	}
	o, known := r.expected()
	r.goal = plan.Goal{Target: r.nextKey(o, known), Keep: r.Keep}
	p.Goal = fmt.Sprintf("rotate to a new %s key%s", r.goal.Target.Provider, on)
	steps, err := plan.Preview(o, r.goal)
	if err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	for _, s := range steps[:len(steps)-1] {
		p.Steps = append(p.Steps, v1alpha1.PlanStep{Stage: r.stage(s), Text: r.text(s)})
	}
	if err := r.checkRoom(ctx, o); err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	p.Warnings = append(p.Warnings, r.warnings(ctx, o)...)
	r.goal = plan.Goal{}
	return p, nil
}

func (r *Run) goalUnderWay() string {
	if r.named() {
		return "go on with the " + string(r.Mode) + " under way"
	}
	return string(r.Mode) + " the rotation under way"
}

// planOnOff is the plan of a run that turns encryption on or off.
func (r *Run) planOnOff(ctx context.Context, p *v1alpha1.RotationPlan, on string) (*v1alpha1.RotationPlan, error) {
	o, known := r.expected()
	open := r.View.Ledger.Open()
	takesOver := r.takesOver(o, open)
	if open != nil && !takesOver && (r.Mode != Disable || open.Command != string(Enable)) {
		return nil, r.explain(ctx, "plan", underWay(*open))
	}
	var err error
	if r.goal, err = r.wanted(o, []uint64{r.View.Ledger.HighestKey}); err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	if takesOver {
		r.goal = taken(r.goal, o, open)
		p.Warnings = append(p.Warnings, overtaken(o, open))
	}
	if o.KubeadmStale, err = r.kubeadmStale(ctx); err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	file := someConfig(o)
	if fresh := file != nil && !known && !file.Has(r.goal.Target); fresh && r.goal.Target.Provider.Local() {
		r.goal.Target.Name = "new" // its number is known when the nodes were looked at
	}
	planned := r.goal
	if len(o.Readers().Nodes) > 0 && !known && len(r.Resources) == 0 {
		r.goal.Resources = []string{"everything that is encrypted"} // which is known when the nodes were looked at
	}
	p.Goal = map[Mode]string{
		Enable:  fmt.Sprintf("encrypt %s with key %s", strings.Join(r.about(o), ", "), r.goal.Target),
		Disable: fmt.Sprintf("store %s in plaintext", strings.Join(r.about(o), ", ")),
	}[r.Mode] + on
	inspect := []v1alpha1.PlanStep{{Stage: "inspect", Text: "look at the nodes, whether that is so"}}
	if r.Mode == Disable && r.nothingOn(o) {
		p.Goal, p.Steps = "change nothing: "+r.already(o)+on, inspect
		return p, nil
	}
	if known {
		o.Progress = r.followed(r.View.Ledger.Trusted(r.goal.Target, file.Digest), *file)
	}
	steps, err := plan.Preview(o, planned)
	if err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	if nothingToDo(steps) {
		p.Goal, p.Steps = "change nothing: "+r.already(o)+on, inspect
		return p, nil
	}
	for _, s := range steps[:len(steps)-1] {
		p.Steps = append(p.Steps, v1alpha1.PlanStep{Stage: r.stage(s), Text: r.text(s)})
	}
	if !known && len(o.Readers().Nodes) > 0 {
		p.Warnings = append(p.Warnings, "what is in the configuration is known when the nodes were looked at: the steps may turn out to be fewer")
	}
	r.goal = planned
	if err := r.checkRoom(ctx, o); err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	p.Warnings = append(p.Warnings, r.warnings(ctx, o)...)
	r.goal = plan.Goal{}
	return p, nil
}

// current stands for a write key that is not known before an agent has looked.
const current = "current"

// expected is what an agent will most likely see.
func (r *Run) expected() (o plan.Observed, known bool) {
	digest := r.View.LoadedDigest()
	config := encconfig.Description{Digest: digest, Rules: []encconfig.Rule{{
		Resources: []string{"secrets"}, Keys: []encconfig.Key{{Provider: encconfig.AESGCM, Name: current}},
	}}}
	if last := r.View.Ledger.Last(); digest != "" && last != nil && last.Config != nil && last.Config.Digest == digest {
		config, known = *last.Config, true
	}
	if len(r.Readers()) == 0 {
		known = false
	}
	o.LeftOut = len(r.View.LeftOut) > 0
	for _, in := range r.View.ControlPlane.Instances {
		n := plan.Node{Name: in.Node, Flags: flagsOf(in.Manifest)}
		if n.Missing = n.Flags == plan.FlagsUnset; !n.Missing {
			c := config
			n.Config, n.Loaded = &c, config.Digest
		}
		o.Nodes = append(o.Nodes, n)
	}
	return o, known
}

func (r *Run) nextKey(o plan.Observed, known bool) encconfig.Key {
	k := plan.NewKey(r.newProvider(o.Nodes[0].Config.WriteKeys()), o.Nodes, r.View.Ledger.HighestKey)
	if !known {
		k.Name = "new" // its number is known when the nodes were looked at
	}
	return k
}

// gcmWrites is how often one AES-GCM key should be used at most
// (kubernetes.io, "Encrypting Confidential Data at Rest", table of providers).
const gcmWrites = 200_000

// warnings tells what to think about before saying yes.
func (r *Run) warnings(ctx context.Context, o plan.Observed) []string {
	return slices.Concat(r.warnOfLeftOut(), r.warnOfEvents(), r.warnOfWrites(ctx, o))
}

func (r *Run) warnOfEvents() []string {
	if r.Mode != Enable || !slices.ContainsFunc(r.Resources, migrator.IsEvents) {
		return nil
	}
	return []string{"events are many, written often and gone within the hour: encrypting them costs much and hides little. " +
		"Those that are stored already are not migrated, they expire"}
}

func (r *Run) warnOfWrites(ctx context.Context, o plan.Observed) []string {
	if r.goal.Target.Provider != encconfig.AESGCM {
		return nil
	}
	var objects int64
	for _, res := range r.rewritten(o) {
		n, err := migrate.Count(ctx, r.migrator, migrator.Resource(res))
		if err != nil {
			return []string{fmt.Sprintf("the objects of %s can't be counted: %v", res.Name(), err)}
		}
		objects += n
	}
	if objects <= gcmWrites {
		return nil
	}
	return []string{fmt.Sprintf(
		"%d objects will be written with one aesgcm key, which should be used for %d writes at most: consider --provider secretbox", objects, gcmWrites)}
}

// rewritten are the resources that the plan will migrate.
func (r *Run) rewritten(o plan.Observed) []kube.Resource {
	asked := encconfig.Rule{Resources: r.goal.Resources}
	file := someConfig(o)
	return slices.DeleteFunc(slices.Clone(r.served), func(res kube.Resource) bool {
		encrypted := false
		if file != nil {
			rule := file.RuleFor(res.Name())
			encrypted = rule != nil && rule.Encrypts() && !rule.WriteKey().Is(r.goal.Target)
		}
		return !r.storable(res) || !encrypted && !asked.Covers(res.Name())
	})
}

// Result is one sentence on what the run has done.
func (r *Run) Result() string {
	k := r.goal.Target
	switch {
	case r.Mode == Prune:
		return r.pruned()
	case r.record.ID == "":
		return "nothing to do"
	case r.Mode == Abort:
		return fmt.Sprintf("rotation to key %s taken back: the configuration is without it on every node", k)
	case r.Mode == MigrateOnly:
		return "migrated: by its baseline nothing of these resources is stale"
	case r.Mode == Rollback:
		return r.rolledBack()
	case r.Mode == Enable:
		return fmt.Sprintf("encryption is on: key %s writes %s on every kube-apiserver%s; %s", k, strings.Join(r.goalResources(), ", "), r.butLeftOut(), r.migrated())
	case r.Mode == Disable && r.RemoveFlags:
		return "encryption is off, and no kube-apiserver has its flags any more; the keys stay in each node's history in " + project.NodeHistoryDir + r.proof()
	case r.Mode == Disable:
		return fmt.Sprintf("%s stored in plaintext; the keys stay as read keys%s", areStored(r.goalResources()), r.proof())
	}
	return fmt.Sprintf("rotated to key %s: it writes on every kube-apiserver%s; %s", k, r.butLeftOut(), r.migrated())
}

// goalResources are those of the goal, or all that is encrypted.
func (r *Run) goalResources() []string {
	if len(r.goal.Resources) > 0 {
		return r.goal.Resources
	}
	return migrator.Names(r.covered(r.Agreed()))
}

func (r *Run) migrated() string {
	var objects int64
	var names []string
	for _, res := range r.covered(r.Agreed()) {
		objects += r.record.Migrations[res.Name()].Objects
		names = append(names, res.Name())
	}
	switch {
	case r.counted != nil && r.counted.found != nil && len(r.countedFor()) > 0:
		return "counted in etcd: " + r.countedText()
	case len(names) == 0:
		return "nothing of it has to be migrated"
	}
	return fmt.Sprintf("by baselines all %d objects of %s are stored with it%s", objects, strings.Join(names, ", "), r.uncounted())
}

// uncounted says why there is no count, if there should be one.
func (r *Run) uncounted() string {
	if r.counted == nil || r.counted.why == "" {
		return ""
	}
	return " (etcd was not counted: " + r.counted.why + ")"
}

// proof says by what it is known that everything is in plaintext.
func (r *Run) proof() string {
	switch {
	case r.counted == nil:
		return ""
	case r.counted.found == nil:
		return "; proven by baselines" + r.uncounted()
	case len(r.countedFor()) == 0:
		return ""
	}
	return "; counted in etcd: " + r.countedText()
}
