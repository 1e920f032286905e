// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// Plan says what Do would do, by what can be seen without a Job: who runs it has not agreed to one yet. What is in
// the files is known from the record, if its configuration is the loaded one; else the plan stays general.
func (r *Run) Plan(ctx context.Context, cluster v1alpha1.Cluster) (*v1alpha1.RotationPlan, error) {
	p := &v1alpha1.RotationPlan{TypeMeta: v1alpha1.New("RotationPlan"), Cluster: cluster, Nodes: r.view.ControlPlane.Names()}
	on := fmt.Sprintf(" on %d control-plane node(s): %s", len(p.Nodes), strings.Join(p.Nodes, ", "))
	if r.Mode != Begin {
		p.Goal = string(r.Mode) + " the rotation under way" + on
		p.Steps = []v1alpha1.PlanStep{{Stage: "inspect", Text: "look at the nodes, and " + map[Mode]string{
			Resume: "go on from what is there, with the steps that a rotation has left",
			Abort:  "take the new key out again, if nothing can have been written with it",
		}[r.Mode]}}
		return p, nil
	}
	if open := r.view.Ledger.Open(); open != nil {
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
	p.Warnings = append(p.Warnings, r.warnings(ctx, o)...)
	r.goal = plan.Goal{}
	return p, nil
}

// current stands for a write key that is not known before an agent has looked.
const current = "current"

// expected is what an agent will most likely see.
func (r *Run) expected() (o plan.Observed, known bool) {
	digest := r.view.LoadedDigest()
	config := encconfig.Description{Digest: digest, Rules: []encconfig.Rule{{
		Resources: []string{"secrets"}, Keys: []encconfig.Key{{Provider: encconfig.AESGCM, Name: current}},
	}}}
	if last := r.view.Ledger.Last(); digest != "" && last != nil && last.Config != nil && last.Config.Digest == digest {
		config, known = *last.Config, true
	}
	for _, in := range r.view.ControlPlane.Instances {
		c := config
		o.Nodes = append(o.Nodes, plan.Node{Name: in.Node, Config: &c, Loaded: config.Digest})
	}
	return o, known
}

func (r *Run) nextKey(o plan.Observed, known bool) encconfig.Key {
	p := r.Provider
	if p == "" {
		p = o.Nodes[0].Config.WriteKeys()[0].Provider
	}
	k := plan.NewKey(p, o.Nodes, r.view.Ledger.HighestKey)
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
	if r.goal.Target.Provider != encconfig.AESGCM {
		return nil
	}
	var objects int64
	for _, res := range r.encrypted(*o.Nodes[0].Config) {
		n, err := migrate.Count(ctx, r.migrator, migratable(res))
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

// Result is one sentence on what the run has done.
func (r *Run) Result() string {
	k := r.goal.Target
	switch {
	case r.record.ID == "":
		return "nothing to do"
	case r.Mode == Abort:
		return fmt.Sprintf("rotation to key %s taken back: the configuration is without it on every node", k)
	case r.Mode == MigrateOnly:
		return "migrated: nothing of these resources is stale"
	}
	return fmt.Sprintf("rotated to key %s: it writes on every kube-apiserver, and %s", k, r.migrated())
}

func (r *Run) migrated() string {
	var objects int64
	var names []string
	for _, res := range r.encrypted(r.agreed()) {
		objects += r.record.Migrations[res.Name()].Objects
		names = append(names, res.Name())
	}
	return fmt.Sprintf("all %d objects of %s are stored with it", objects, strings.Join(names, ", "))
}
