// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// planPrune is the plan by what was counted.
func (r *Run) planPrune(ctx context.Context, p *v1alpha1.RotationPlan, on string) (*v1alpha1.RotationPlan, error) {
	if open := r.View.Ledger.Open(); open != nil {
		return nil, r.explain(ctx, "plan", underWay(*open))
	}
	u := r.SeenUsage
	if err := u.told(); err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	r.Files = maps.Clone(r.Seen)
	defer func() { r.Files, r.goal = nil, plan.Goal{} }()
	list, err := r.candidates(u.Config, inHistories(r.Files))
	if err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	if len(list) == 0 {
		p.Goal = "change nothing: " + nothingBeyond(r.Keep) + on
		p.Steps = []v1alpha1.PlanStep{{Stage: "inspect", Text: "look at the nodes, whether that is so"}}
		return p, nil
	}
	going, err := r.planned(ctx, p, *u, list)
	if !r.DryRun { // that it was counted now is worth something later, also where the answer is no
		err = errors.Join(err, r.noteUsage(ctx, *u, list))
	}
	if err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	counted := fmt.Sprintf("%s values were counted in etcd, at revision %d", census.Number(u.Verification.Objects), u.Verification.Revision)
	if len(going) == 0 {
		p.Goal = "take no key out" + on
		p.Steps = []v1alpha1.PlanStep{{Stage: stageProve, Text: "count what etcd holds once more; " + counted}}
		return p, nil
	}
	p.Goal = fmt.Sprintf("take key(s) out that nothing in etcd needs: %s%s", encconfig.KeyNames(going), on)
	p.Steps = append(p.Steps, v1alpha1.PlanStep{Stage: stageProve, Text: "prove once more that nothing needs them; " + counted})
	if r.Wait {
		p.Steps = append(p.Steps, v1alpha1.PlanStep{Stage: string(plan.Age), Text: "wait until superseded revisions are compacted, if they are not yet"})
	}
	nodes := strings.Join(p.Nodes, ", ")
	if slices.ContainsFunc(going, u.Config.Has) {
		p.Steps = append(p.Steps,
			v1alpha1.PlanStep{Stage: stagePrune, Text: fmt.Sprintf("take keys out of the configuration (%s) on %s", encconfig.KeyNames(going), nodes)},
			v1alpha1.PlanStep{Stage: operation.StageAwait, Text: r.text(plan.Step{Kind: plan.Await})},
			v1alpha1.PlanStep{Stage: string(plan.Close), Text: r.text(plan.Step{Kind: plan.Close})})
	}
	if r.Forget {
		p.Steps = append(p.Steps, forgetStep(going))
		p.Warnings = append(p.Warnings, "this destroys "+encconfig.KeyNames(going)+" for good: a backup of etcd, or of a file, that needs it can't be read any more")
	} else {
		p.Warnings = append(p.Warnings, "they stay in each node's history: a backup of etcd from before may need them")
	}
	return p, nil
}

// planned are the keys that would leave now, and for those that would not a warning.
func (r *Run) planned(ctx context.Context, p *v1alpha1.RotationPlan, u Usage, list []encconfig.Key) (going []encconfig.Key, err error) {
	free, stay, err := r.decide(ctx, r.View.Ledger, u, list)
	if err != nil {
		return nil, err
	}
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range stay {
		if r.Wait && d.objects == 0 {
			free = append(free, d.key)
			continue
		}
		p.Warnings = append(p.Warnings, d.told(now))
	}
	return free, nil
}

// forgetStep is the last one of a removal with --history.
func forgetStep(going []encconfig.Key) v1alpha1.PlanStep {
	return v1alpha1.PlanStep{Stage: stageForget, Text: fmt.Sprintf("remove every revision that holds %s from the history of each node", encconfig.KeyNames(going))}
}
