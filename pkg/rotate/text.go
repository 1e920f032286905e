// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"fmt"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// The stages that the ledger and the events name besides the changes themselves.
const (
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
	switch s.Kind {
	case plan.AwaitEdit:
		return "wait until the kube-apiserver on " + s.Targets[0] + " is ready again, watched by a guard on the node"
	case plan.Await:
		return fmt.Sprintf("wait until %s loaded the file of its node (it looks once a minute)", r.EveryInstance())
	case plan.EditManifest:
		return r.editText(s)
	case plan.KubeadmConfig:
		if s.Flags == plan.FlagsUnset {
			return "take the flags out of ConfigMap kube-system/kubeadm-config, so that upgrades and joins do without them too"
		}
		return "set the flags in ConfigMap kube-system/kubeadm-config, so that upgrades and joins keep them"
	case plan.Settle:
		return "let writes in flight end and record baselines"
	case plan.Migrate:
		return r.migrateText()
	case plan.Age:
		return "wait until encrypted revisions that were superseded are compacted"
	case plan.Verify:
		return "count in etcd under which keys values are stored"
	case plan.Close:
		return "finish the record"
	case plan.Done:
		return "done"
	case plan.Push:
	}
	return r.pushText(s)
}

func (r *Run) editText(s plan.Step) string {
	node := s.Targets[0]
	if s.Flags == plan.FlagsUnset {
		return fmt.Sprintf("take flags and mount out of the manifest of the kube-apiserver on %s, which restarts; it comes back as it was unless ready within %s", node, r.RollbackAfter)
	}
	return fmt.Sprintf("set flags and mount in the manifest of the kube-apiserver on %s, which restarts; it comes back as it was unless ready within %s", node, r.RollbackAfter)
}

func (r *Run) migrateText() string {
	what := "every encrypted resource"
	if len(r.goal.Resources) > 0 && r.Mode != Rollback {
		what = strings.Join(r.goal.Resources, ", ")
	}
	return "migrate " + what + " to " + r.targetText() + r.engineText()
}

func (r *Run) targetText() string {
	if r.goal.Target == identity() {
		return "plaintext"
	}
	return "key " + r.goal.Target.String()
}

// engineText names an engine that is not this program.
func (r *Run) engineText() string {
	if r.Migration.Engine == migrator.SVM {
		return " by the cluster's own controller"
	}
	return ""
}

func (r *Run) pushText(s plan.Step) string {
	nodes, k := strings.Join(s.Targets, ", "), r.goal.Target.String()
	plain := len(s.Change.Keys) == 1 && s.Change.Keys[0].Is(identity())
	switch {
	case plain && r.goal.Target != identity() && s.Change.Kind == encconfig.Promote:
		return fmt.Sprintf("let identity write %s on %s, since no kube-apiserver reads the file that is there; its keys stay", strings.Join(s.Change.Resources, ", "), nodes)
	case plain && r.goal.Target != identity():
		return fmt.Sprintf("let plaintext of %s be read on %s", strings.Join(s.Change.Resources, ", "), nodes)
	case r.goal.Abort:
		return fmt.Sprintf("take key %s out again on %s", k, nodes)
	case s.Change.Kind == encconfig.AddReadKey && r.Mode == Rollback:
		return fmt.Sprintf("bring key %s back as read key on %s, from the history of %s", k, nodes, s.Source)
	case s.Change.Kind == encconfig.AddReadKey && r.goal.Target == identity():
		return fmt.Sprintf("let plaintext be read%s on %s", r.scopeText(), nodes)
	case s.Change.Kind == encconfig.AddReadKey:
		return fmt.Sprintf("add key %s as read key%s on %s", k, r.scopeText(), nodes)
	case s.Change.Kind == encconfig.AddWriteKey:
		return fmt.Sprintf("add key %s as write key on %s (one kube-apiserver: no other has to read it first)", k, nodes)
	case s.Change.Kind == encconfig.Promote && r.goal.Target == identity():
		return fmt.Sprintf("write plaintext%s on %s; the keys stay, to read what is encrypted", r.scopeText(), nodes)
	case s.Change.Kind == encconfig.Promote:
		return fmt.Sprintf("promote key %s to write key%s on %s", k, r.scopeText(), nodes)
	case s.Change.Kind == encconfig.Remove:
		return fmt.Sprintf("take keys out that nothing needs any more (%s) on %s", encconfig.KeyNames(s.Change.Keys), nodes)
	default:
		return fmt.Sprintf("give %s the file of %s", nodes, s.Source)
	}
}

// scopeText names the resources that the run is about, where it is not about all that is encrypted.
func (r *Run) scopeText() string {
	if len(r.goal.Resources) == 0 || r.Mode == Rollback {
		return ""
	}
	return " for " + strings.Join(r.goal.Resources, ", ")
}

// standing says whether it is safe to stop where the run is, and how to go on or back. It is judged by what the
// files say, not by the stage.
func (r *Run) standing() (safe string, hints []string) {
	resume := "go on with: " + r.resumeCommand()
	switch {
	case r.Mode == MigrateOnly:
		return "safe to stop here: every object is stored whole, under a key that every kube-apiserver can read",
			[]string{"go on with: " + project.Command + " migrate --resources " + strings.Join(r.Resources, ",")}
	case r.changesFlags():
		return r.standingOnOff(resume)
	case r.Mode == Rollback:
		return r.standingBack(resume)
	case r.Mode == Prune && r.record.ID == "":
		return "nothing was changed", nil
	case r.Mode == Prune:
		return "safe to stop here: nothing that is stored needs a key that leaves", []string{resume}
	}
	ways := []string{resume, "take back with: " + project.Command + " rotate --abort"}
	if len(r.leftOut()) > 0 { // it would be refused
		ways = []string{resume}
	}
	has, writes := r.reached()
	switch {
	case r.goal.Target == (encconfig.Key{}) || !has && !r.Pushed:
		if r.record.ID != "" {
			return "nothing was changed on any node", ways
		}
		if r.Mode == Resume { // the record has not been looked at yet, or there is none
			return "nothing was changed by this run", []string{resume}
		}
		return "nothing was changed", nil
	case r.Mode == Abort && !writes:
		return "safe to stop here: nothing is written with the key that is taken back", []string{"go on with: " + project.Command + " rotate --abort"}
	case !writes:
		return "safe to stop here: nothing is written with the new key yet", ways
	default:
		return "safe to stop here: every kube-apiserver" + r.butLeftOut() + " can read the old key and the new one", []string{resume}
	}
}

// reached tells how far the goal's key has come: into a file, and to the front of one.
func (r *Run) reached() (has, writes bool) {
	for _, f := range r.Files {
		has = has || f.Config != nil && f.Config.Has(r.goal.Target)
		writes = writes || f.Config != nil && f.Config.Writes(r.goal.Target)
	}
	return has, writes || r.mayWrite
}

// standingOnOff is standing for a run that turns encryption on or off.
func (r *Run) standingOnOff(resume string) (safe string, hints []string) {
	_, writes := r.reached()
	switch {
	case r.record.ID == "":
		return "nothing was changed", nil
	case r.Mode == Disable:
		return "safe to stop here: every kube-apiserver reads what is encrypted as well as plaintext", []string{resume}
	case writes:
		return "safe to stop here: every kube-apiserver" + r.butLeftOut() + " can read the key and what is stored in plaintext", []string{resume}
	}
	if !wasOff(r.record) {
		return "safe to stop here: nothing is encrypted with the new key yet", []string{resume}
	}
	return "safe to stop here: nothing is encrypted with the new key yet", []string{resume, "or take it back with: " + project.Command + " disable --remove-flags"}
}

// resumeCommand is how the same is gone on with.
func (r *Run) resumeCommand() string {
	if r.named() {
		return project.Command + " " + string(r.Mode) + " --resume" + r.ignoring()
	}
	return project.Command + " rotate --resume" + r.ignoring()
}
