// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// A rollback is a rotation to a key that exists. It goes forward like any other: the key is promoted where it is, or brought back
// from a node's history first; everything that is encrypted follows; and no key leaves. What is encrypted stays what it is.

// rollBack finds the goal of a rollback and opens its record, or goes on with the one on record. done is true if there is nothing
// to do.
func (r *Run) rollBack(ctx context.Context, o plan.Observed, book *ledger.Ledger) (done bool, err error) {
	open := book.Open()
	switch {
	case r.Continue && open == nil:
		r.Emit(event.Notice{Text: "no rollback is under way: there is nothing to resume"})
		return true, nil
	case open != nil && (!r.Continue || open.Command != string(Rollback)):
		return false, underWay(*open)
	case open != nil:
		r.goal = plan.Goal{Target: open.To, Resources: open.Resources, Keep: r.Keep}
		return false, r.takeUp(ctx, *open)
	}
	if r.goal, err = r.goalBack(o); err != nil {
		return false, err
	}
	if agreed := o.Agreed(); agreed != nil {
		if r.goal.Writes(*agreed) && r.followed(book.Trusted(r.goal.Target, agreed.Digest), *agreed).Migrated {
			r.Emit(event.Notice{Text: fmt.Sprintf("already so: key %s writes, and everything that is encrypted is migrated to it", r.goal.Target)})
			return true, nil
		}
	}
	return false, r.open(ctx, o)
}

// goalBack is what a rollback is to, if a plan leads there. Nodes that differ may be those of a rollback to the same key whose
// record was lost: the plan knows, and refuses any other difference.
func (r *Run) goalBack(o plan.Observed) (plan.Goal, error) {
	if err := notPending(o); err != nil {
		return plan.Goal{}, err
	}
	g := plan.Goal{Target: r.Target, Keep: r.Keep}
	if file := someConfig(o); file != nil {
		for _, rule := range file.EncryptingRules() {
			g.Resources = append(g.Resources, rule.Resources...)
		}
	}
	_, err := plan.Preview(o, g)
	return g, err
}

// planRollback is the plan by what was seen of the nodes.
func (r *Run) planRollback(ctx context.Context, p *v1alpha1.RotationPlan, on string) (*v1alpha1.RotationPlan, error) {
	if open := r.View.Ledger.Open(); open != nil {
		return nil, r.explain(ctx, "plan", underWay(*open))
	}
	r.Files = maps.Clone(r.Seen)
	defer func() { r.Files, r.goal = nil, plan.Goal{} }()
	o, err := r.observed(ctx)
	if err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	if r.goal, err = r.goalBack(o); err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	p.Goal = fmt.Sprintf("roll back to key %s%s", r.goal.Target, on)
	if agreed := o.Agreed(); agreed != nil {
		o.Progress = r.followed(r.View.Ledger.Trusted(r.goal.Target, agreed.Digest), *agreed)
	}
	steps, err := plan.Preview(o, r.goal)
	if err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	if steps[0].Kind == plan.Close {
		p.Goal = fmt.Sprintf("change nothing: key %s writes, and everything that is encrypted is migrated to it%s", r.goal.Target, on)
		p.Steps = []v1alpha1.PlanStep{{Stage: "inspect", Text: "look at the nodes, whether that is so"}}
		return p, nil
	}
	for _, s := range steps[:len(steps)-1] {
		p.Steps = append(p.Steps, v1alpha1.PlanStep{Stage: r.stage(s), Text: r.text(s)})
	}
	switch err := r.checkRoom(ctx, o); {
	case r.cantCount(o, err):
		p.Warnings = append(p.Warnings, "some of what is stored can't be read before the key is back, so it was not counted: "+
			"whether etcd has room to store all of it again is not known; the migration pauses where room is short")
	case err != nil:
		return nil, r.explain(ctx, "plan", err)
	}
	p.Warnings = append(p.Warnings, r.warnings(ctx, o)...)
	return p, nil
}

// staying are the keys that read and do not write in a configuration.
func staying(d encconfig.Description) string {
	return encconfig.KeyNames(slices.DeleteFunc(d.Keys(), d.Writes))
}

// rolledBack says what a rollback has done.
func (r *Run) rolledBack() string {
	text := fmt.Sprintf("rolled back to key %s: it writes on every kube-apiserver; %s", r.goal.Target, r.migrated())
	if others := staying(r.Agreed()); others != "" {
		text += "; read keys are " + others
	}
	return text
}

// standingBack is standing for a rollback.
func (r *Run) standingBack(resume string) (safe string, hints []string) {
	has, writes := r.reached()
	switch {
	case r.record.ID == "":
		return "nothing was changed", nil
	case !has:
		return "nothing was changed on any node", []string{resume}
	case !writes:
		return "safe to stop here: nothing is written with the earlier key yet", []string{resume}
	}
	return "safe to stop here: every kube-apiserver can read the earlier key and the newer ones", []string{resume}
}
