// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// The timing of an edit.
const (
	// guardMargin is how much longer than RollbackAfter an edit may take: the guard has to start, and where it puts the
	// manifest back the kube-apiserver has to start once more.
	guardMargin = 5 * time.Minute
	// guardStart is how long a guard is given until its pod can be seen.
	guardStart = 10 * time.Second
	// lookTimeout bounds one look at a control plane of which a part is restarting.
	lookTimeout = 15 * time.Second
)

// flagsOf is what a kube-apiserver runs with.
func flagsOf(m controlplane.Manifest) plan.Flags {
	switch {
	case m.ConfigPath == "":
		return plan.FlagsUnset
	case !m.AutomaticReload:
		return plan.FlagsWithoutReload
	}
	return plan.FlagsSet
}

// edited tells whether a guard is at work on a node, or the kubelet has not taken the manifest up yet.
func edited(in controlplane.Instance, file agentapi.State) bool {
	m := file.Manifest
	if m == nil {
		return false
	}
	underWay := m.Edit != nil && !m.Edit.Stage.Final()
	said := controlplane.Manifest{ConfigPath: m.Encryption.ConfigPath, AutomaticReload: m.Encryption.AutomaticReload}
	return underWay || m.Problem == nil && flagsOf(said) != flagsOf(in.Manifest)
}

// editManifest hands the edit of one node's manifest to a guard there.
func (r *Run) editManifest(ctx context.Context, step plan.Step) error {
	node := step.Targets[0]
	return r.WithAgents(ctx, func(agents *nodejob.Agents) error {
		if err := r.decideAgain(ctx, step); err != nil {
			return err
		}
		r.Unproven[node] = true
		if err := r.distrust(ctx, node, step); err != nil {
			return err
		}
		// An interruption waits for the answer: what was handed over is better known than guessed.
		_, err := agents.Sessions[node].Ask(context.WithoutCancel(ctx), agentapi.Request{Op: agentapi.EditManifest, Edit: r.edit(step)})
		return err
	})
}

// distrust forgets what is proven of the data where a node that had no flags gets them: it has written plaintext.
func (r *Run) distrust(ctx context.Context, node string, step plan.Step) error {
	if step.Flags != plan.FlagsSet || r.instance(node).Manifest.ConfigPath != "" {
		return nil
	}
	return r.note(ctx, func(rec *ledger.Rotation) { rec.Migrations, rec.SettleTime = nil, nil })
}

// edit is what an agent is asked for.
func (r *Run) edit(step plan.Step) *agentapi.ManifestEdit {
	node := step.Targets[0]
	file := r.Files[node]
	e := &agentapi.ManifestEdit{RollbackAfter: r.RollbackAfter, Image: r.Image}
	if file.Manifest != nil {
		e.From = file.Manifest.Digest
	}
	if step.Flags == plan.FlagsSet {
		e.File, e.Config = r.FileOn(r.instance(node)), file.Digest
	}
	return e
}

func (r *Run) instance(node string) controlplane.Instance {
	for _, in := range r.View.ControlPlane.Instances {
		if in.Node == node {
			return in
		}
	}
	return controlplane.Instance{Node: node}
}

// checkEdits asks every agent whether the manifest of its node can be edited as the plan will ask, before anything is
// changed anywhere.
func (r *Run) checkEdits(ctx context.Context) error {
	return r.WithAgents(ctx, func(agents *nodejob.Agents) error {
		for _, in := range r.View.ControlPlane.Instances {
			m := r.Files[in.Node].Manifest
			if m == nil {
				return errUnseen(in.Node)
			}
			if m.Edit != nil && !m.Edit.Stage.Final() {
				continue // the guard's work is awaited first, and looked at then
			}
			flags := plan.FlagsSet
			if r.goal.Flags == plan.RemoveFlags {
				flags = plan.FlagsUnset
			}
			request := r.edit(plan.Step{Targets: []string{in.Node}, Flags: flags})
			request.Config = "" // it is there only when it was pushed
			if _, err := agents.Sessions[in.Node].Ask(ctx, agentapi.Request{Op: agentapi.CheckEdit, Edit: request}); err != nil {
				return err
			}
		}
		return nil
	})
}

// errUnseen is about a node whose agent does not see what it is to edit.
func errUnseen(node string) error {
	return hint.Errorf("look for what changes the pods of Jobs in "+project.Namespace+", such as an admission policy",
		"node %s: the agent does not see the manifests of the node's static pods, %s", node, project.NodeManifestDir)
}

// awaitEdit waits until the guard of a node has ended, through the time in which the kube-apiserver is away, and says
// how it went. The guard needs nobody who waits.
func (r *Run) awaitEdit(ctx context.Context, node string) error {
	limit := r.RollbackAfter + guardMargin
	r.Bear(limit)
	defer r.Bear(0)
	w := &editWait{run: r, node: node, began: time.Now(), last: "the guard was called"}
	if m := r.Files[node].Manifest; m != nil && m.Edit != nil {
		w.atWork = !m.Edit.Stage.Final()
	}
	for {
		ended, err := w.look(ctx)
		switch {
		case err != nil:
			return err
		case ended:
			return r.inOrderAgain(ctx)
		case time.Since(w.began) > limit:
			return &hint.Error{
				Err:  fmt.Errorf("the guard on node %s has not ended within %s: %s", node, limit, w.last),
				Exit: hint.ExitTimeout,
			}
		}
		r.Emit(event.StepProgress{Stage: string(plan.AwaitEdit), Total: 1, Unit: "nodes", Detail: w.last})
		if err := operation.Sleep(ctx, operation.PollInterval); err != nil {
			return err
		}
	}
}

// editWait is the waiting for one guard.
type editWait struct {
	run   *Run
	node  string
	began time.Time
	// seen: the guard's pod was there. atWork: a guard had not ended when the waiting began.
	seen, atWork bool
	// last is what was seen last.
	last string
}

// look tells whether the guard has ended and done what it was asked for. What can't be asked while a kube-apiserver is
// away is asked again later; the error is the guard's.
func (w *editWait) look(ctx context.Context) (ended bool, err error) {
	short, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	runs, err := w.run.Runner.GuardRuns(short, w.node)
	if err != nil {
		w.last = "the API server does not answer yet (" + cause(err) + ")"
		return false, nil
	}
	if runs {
		w.seen, w.last = true, "the kube-apiserver on "+w.node+" restarts, watched by the guard on its node"
		return false, nil
	}
	if !w.seen && time.Since(w.began) < guardStart {
		w.last = "the guard on " + w.node + " starts"
		return false, nil
	}
	return w.outcome(ctx)
}

// cause is the innermost reason of an error, without the request that it is about.
func cause(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return hint.OneLine(err.Error())
}

// outcome asks the node itself, when its guard is not to be seen any more.
func (w *editWait) outcome(ctx context.Context) (ended bool, err error) {
	if view, err := w.run.Observer.Look(ctx); err == nil {
		w.run.View = view
	}
	if err := w.run.Look(ctx); err != nil {
		if ctx.Err() != nil {
			return false, err
		}
		w.last = "the node can't be asked yet: " + hint.OneLine(err.Error())
		return false, nil
	}
	file := w.run.Files[w.node]
	if m := file.Manifest; m != nil && m.Edit != nil && (w.atWork || m.Edit.Run == w.run.ID) {
		if ended, err := w.judge(m.Edit); !ended || err != nil {
			return false, err
		}
	}
	if edited(w.run.instance(w.node), file) {
		w.last = "the kubelet on " + w.node + " does not show the kube-apiserver as its manifest has it yet"
		return false, nil
	}
	return true, nil
}

func (w *editWait) judge(e *agentapi.Edit) (ended bool, err error) {
	switch e.Stage {
	case agentapi.EditDone:
		return true, nil
	case agentapi.EditReverted, agentapi.EditAbandoned, agentapi.EditRefused:
		return false, w.failed(e)
	case agentapi.EditPrepared, agentapi.EditWatched, agentapi.EditReverting:
	}
	w.last = fmt.Sprintf("the guard on %s is at work (%s)", w.node, e.Stage)
	return false, nil
}

// errEdit is matched where a manifest could not be edited.
var errEdit = errors.New("the manifest of the kube-apiserver could not be changed")

// failed is how an edit ended that did not come to be.
func (w *editWait) failed(e *agentapi.Edit) error {
	what := map[agentapi.Stage]string{
		agentapi.EditReverted:  "its manifest is back as it was, and the kube-apiserver is ready with it",
		agentapi.EditAbandoned: "the guard has given up",
		agentapi.EditRefused:   "nothing was changed there",
	}[e.Stage]
	err := fmt.Errorf("node %s: %w; %s: %s", w.node, errEdit, what, hint.OneLine(e.Reason))
	if len(e.Log) > 0 {
		err = fmt.Errorf("%w\n  the last lines of the kube-apiserver that did not become ready:\n    %s", err, strings.Join(e.Log, "\n    "))
	}
	hints := []string{"when the cause is gone, go on with: " + w.run.resumeCommand()}
	if e.Stage == agentapi.EditAbandoned {
		hints = append([]string{fmt.Sprintf("look at the node: the manifest as it was is in %s/manifests there", project.NodeHistoryDir)}, hints...)
	}
	return hint.New(err, hints...)
}

// inOrderAgain waits until the whole control plane is as it should be, after one of its parts was restarted.
func (r *Run) inOrderAgain(ctx context.Context) error {
	deadline := time.Now().Add(r.ConvergeTimeout)
	for {
		view, err := r.Observer.Look(ctx)
		if err == nil {
			r.View = view
			err = view.Known()
		}
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		if err := operation.Sleep(ctx, operation.PollInterval); err != nil {
			return err
		}
	}
}
