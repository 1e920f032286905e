// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"fmt"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// The stages that the ledger and the events name besides the changes themselves.
const (
	stageAwait       = "await"
	stagePrune       = "prune"
	stageUndo        = "undo"
	stageMigrateOnly = "migrate-only"
)

// stage is the stable name of a step.
func (r *Run) stage(s plan.Step) string {
	switch {
	case s.Kind != plan.Push:
		return string(s.Kind)
	case r.goal.Abort:
		return stageUndo
	case s.Change.Kind == encconfig.Remove:
		return stagePrune
	case s.Change.Kind == encconfig.KeepAll:
		return "finish-push"
	default:
		return string(s.Change.Kind)
	}
}

// text says for people what a step does.
func (r *Run) text(s plan.Step) string {
	nodes := strings.Join(s.Targets, ", ")
	k := r.goal.Target
	switch s.Kind {
	case plan.Await:
		return fmt.Sprintf("wait until %s loaded the file of its node (it looks once a minute)", r.everyInstance())
	case plan.Settle:
		return "let writes in flight end and record baselines"
	case plan.Migrate:
		return "migrate every encrypted resource to key " + k.String()
	case plan.Close:
		return "finish the record"
	case plan.Done:
		return "done"
	case plan.Push:
	}
	switch {
	case r.goal.Abort:
		return fmt.Sprintf("take key %s out again on %s", k, nodes)
	case s.Change.Kind == encconfig.AddReadKey:
		return fmt.Sprintf("add key %s as read key on %s", k, nodes)
	case s.Change.Kind == encconfig.AddWriteKey:
		return fmt.Sprintf("add key %s as write key on %s (one kube-apiserver: no other has to read it first)", k, nodes)
	case s.Change.Kind == encconfig.Promote:
		return fmt.Sprintf("promote key %s to write key on %s", k, nodes)
	case s.Change.Kind == encconfig.Remove:
		return fmt.Sprintf("take keys out that nothing needs any more (%s) on %s", keyNames(s.Change.Keys), nodes)
	default:
		return fmt.Sprintf("give %s the file of %s", nodes, s.Source)
	}
}

func (r *Run) everyInstance() string {
	if n := len(r.view.ControlPlane.Instances); n > 1 {
		return fmt.Sprintf("each of the %d kube-apiservers has", n)
	}
	return "the kube-apiserver has"
}

func keyNames(list []encconfig.Key) string {
	parts := make([]string, len(list))
	for i, k := range list {
		parts[i] = k.String()
	}
	return strings.Join(parts, ", ")
}

// standing says whether it is safe to stop where the run is, and how to go on or back. It is judged by what the
// files say, not by the stage.
func (r *Run) standing() (safe string, hints []string) {
	resume := "go on with: " + project.Command + " rotate --resume"
	abort := "take back with: " + project.Command + " rotate --abort"
	var has, writes bool
	for _, f := range r.files {
		has = has || f.Config != nil && f.Config.Has(r.goal.Target)
		writes = writes || f.Config != nil && f.Config.Writes(r.goal.Target)
	}
	writes = writes || r.mayWrite
	switch {
	case r.Mode == MigrateOnly:
		return "safe to stop here: every object is stored whole, under a key that every kube-apiserver can read", nil
	case r.goal.Target == (encconfig.Key{}) || !has && !r.pushed:
		if r.record.ID != "" {
			return "nothing was changed on any node", []string{resume, abort}
		}
		return "nothing was changed", nil
	case r.Mode == Abort && !writes:
		return "safe to stop here: nothing is written with the key that is taken back", []string{"go on with: " + project.Command + " rotate --abort"}
	case !writes:
		return "safe to stop here: nothing is written with the new key yet", []string{resume, abort}
	default:
		return "safe to stop here: every kube-apiserver can read the old key and the new one", []string{resume}
	}
}
