// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package repair brings the files of all control-plane nodes to one agreed configuration: it asks package agreement for the next
// step, does it, and asks again.
//
// It takes no key out of any file, and has no record of its own: what a repair is about is found out anew each time. Nodes that
// can't be looked at are left as they are, and named.
package repair

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/agreement"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// command is how a repair is gone on with: what it is about is found out anew each time.
const command = project.Command + " repair"

// errChanged: what was consented to is not what there is any more.
var errChanged = errors.New("the nodes have changed since you were asked")

// Run is one repair.
type Run struct {
	*operation.Operation
	// served is what the API server serves.
	served []kube.Resource
	// distrusted: what was on record of the data is forgotten.
	distrusted bool
}

// New prepares a repair. It sends no request.
func New(c *kube.Cluster, s operation.Settings) (*Run, error) {
	s.Name = "repair"
	op, err := operation.New(c, s)
	if err != nil {
		return nil, err
	}
	return &Run{Operation: op}, nil
}

// Do brings the nodes to an agreement. It does what it finds to be done, or, with a finding that somebody has
// consented to, that alone. The nodes that could not be looked at are those of the finding that it gives.
func (r *Run) Do(ctx context.Context, consented *Finding) (*Finding, error) {
	var found *Finding
	err := r.Hold(ctx, func(ctx context.Context) (err error) {
		found, err = r.held(ctx, consented)
		return err
	})
	return found, err
}

// held is Do while the lock is held.
func (r *Run) held(ctx context.Context, consented *Finding) (*Finding, error) {
	if err := r.Sweep(ctx); err != nil {
		return nil, r.explain(ctx, "inspect", err)
	}
	// Whoever held the lock before may have changed what was seen.
	silent, err := r.look(ctx)
	if err != nil {
		return nil, r.explain(ctx, "inspect", err)
	}
	if err := r.Inspect(ctx); err != nil {
		return nil, r.explain(ctx, "inspect", err)
	}
	found, err := r.finding(ctx, silent)
	if err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	if consented != nil && !reflect.DeepEqual(consented.Steps, found.Steps) {
		return nil, r.explain(ctx, "plan", errChanged)
	}
	if err := r.follow(ctx, found); err != nil {
		return found, err
	}
	return found, r.explain(ctx, "plan", r.noteOvercome(ctx))
}

// follow asks for the next step and does it, until there is none.
func (r *Run) follow(ctx context.Context, found *Finding) error {
	for {
		o, err := r.toAgree(ctx, found.Silent)
		if err != nil {
			return r.explain(ctx, "plan", err)
		}
		step, err := agreement.Next(o)
		if err != nil {
			return r.explain(ctx, "plan", err)
		}
		if step.Kind == agreement.Done {
			return nil
		}
		err = r.do(ctx, o, step)
		if r.Replan(err) {
			if err = r.Inspect(ctx); err == nil {
				continue
			}
		}
		if err != nil {
			return r.explain(ctx, string(step.Kind), err)
		}
	}
}

// do carries out one step and tells of it.
func (r *Run) do(ctx context.Context, o agreement.Observed, step agreement.Step) error {
	told := operation.Step{Stage: string(step.Kind), Text: text(step)}
	if ahead, err := agreement.Preview(o); err == nil {
		const thisAndDone = 2
		told.Ahead = len(ahead) - thisAndDone
	}
	return r.Step(told, func() (string, error) {
		if step.Kind == agreement.Await {
			return "", r.await(ctx, o)
		}
		return "", r.push(ctx, step, o.Silent)
	})
}

// await waits until each kube-apiserver has loaded its file. One that ran another until then counts as one whose file
// is changed.
func (r *Run) await(ctx context.Context, o agreement.Observed) error {
	if err := r.Dismiss(ctx); err != nil {
		return err
	}
	if ranAnother(o) && !r.distrusted {
		if err := r.takeProofsBack(ctx); err != nil {
			return err
		}
	}
	return r.Await(ctx)
}

// toAgree puts together what package agreement looks at. After a push nothing counts as loaded before it was awaited. It
// is an error if a kube-apiserver does not say what it has loaded: that must not look like one that can't say it.
func (r *Run) toAgree(ctx context.Context, silent []Silent) (agreement.Observed, error) {
	evidence, failed := r.Observer.Instances(ctx, r.View.ControlPlane)
	r.View.Evidence, r.View.Errors = evidence, failed
	o := agreement.Observed{}
	for _, s := range silent {
		o.Silent = append(o.Silent, s.Node)
	}
	for _, in := range r.View.ControlPlane.Instances {
		file := r.Files[in.Node]
		e, ok := evidence[in.Node]
		if !ok {
			return agreement.Observed{}, fmt.Errorf("the kube-apiserver on node %s can't be asked what it has loaded: %v", in.Node, failed[in.Node])
		}
		n := agreement.Node{
			Name: in.Node, Digest: file.Digest, Config: file.Config, History: operation.Configs(file.History),
			HighestWritten: file.HighestWritten, HistoryDamaged: file.HistoryDamaged, TellsLoaded: e.TellsHash, Loaded: e.Hash,
			Proven:   file.Digest != "" && !r.Unproven[in.Node] && e.Proves(file.Digest, file.ModTime).Loaded,
			Rejected: !file.ModTime.IsZero() && e.FailedSince(file.ModTime), Given: r.Unproven[in.Node],
		}
		if file.Problem != nil && file.Config == nil {
			n.Problem, n.Missing = file.Problem.Message, file.Problem.Code == agentapi.Missing
		}
		o.Nodes = append(o.Nodes, n)
	}
	return o, nil
}

// text says for people what a step does.
func text(s agreement.Step) string {
	nodes := make([]string, len(s.Targets))
	for i, t := range s.Targets {
		nodes[i] = t.Node
	}
	switch on := strings.Join(nodes, ", "); s.Kind {
	case agreement.Unite:
		return fmt.Sprintf("give %s the keys that they lack, behind the write keys that their kube-apiservers have", on)
	case agreement.Agree:
		return fmt.Sprintf("give %s the agreed file%s", on, madeOn(s))
	default:
		return "wait until every kube-apiserver has loaded the file of its node (it looks once a minute)"
	}
}

func madeOn(s agreement.Step) string {
	switch digest := s.Targets[0].Want.Digest; {
	case digest != "" && s.FromHistory:
		return ", " + plan.ShortDigest(digest) + ", from the history of " + s.Base
	case digest != "":
		return ", " + plan.ShortDigest(digest) + ", which " + s.Base + " has"
	}
	return ", made on " + s.Base
}

// explain adds to an error where the repair stands, whether it is safe to stop there, and how to go on.
func (r *Run) explain(ctx context.Context, stage string, err error) error {
	if err == nil {
		return nil
	}
	var hints []string
	if r.Pushed || errors.Is(err, errChanged) {
		hints = []string{"go on with: " + command}
	}
	if refusal, ok := errors.AsType[*agreement.Refusal](err); ok {
		err, hints = hint.New(err, refusal.Hints...), nil
	}
	safe := "nothing was changed"
	if r.Pushed {
		safe = "safe to stop here: no key was taken out of any file, and no kube-apiserver writes with a key that another can't read and could before"
	}
	return operation.Interrupted(ctx, hint.AtStage(err, stage, safe, hints...))
}

// Result is one sentence on what the repair has done, and what comes next, empty if nothing does.
func (r *Run) Result(ctx context.Context) (result, next string) {
	if !r.Pushed {
		return fmt.Sprintf("nothing to repair: %s, and %s loaded it", haveFile(r.View.ControlPlane.Names(), r.Digest()), r.EveryInstance()), r.after(ctx)
	}
	result = fmt.Sprintf("repaired: %s, and %s loaded it", haveFile(r.View.ControlPlane.Names(), r.Digest()), r.EveryInstance())
	return result, r.after(ctx)
}

func haveFile(nodes []string, digest string) string {
	if len(nodes) == 1 {
		return fmt.Sprintf("%s has the file %s", nodes[0], plan.ShortDigest(digest))
	}
	return fmt.Sprintf("%s have the same file, %s", strings.Join(nodes, ", "), plan.ShortDigest(digest))
}

// after is the command that lets the data follow the agreed write keys: what nodes have stored meanwhile may be
// under others. It is told again until the data has followed, also by a repair that finds nothing left to do: the one before may
// have been killed before it told.
func (r *Run) after(ctx context.Context) string {
	book, _, err := r.Ledger().Load(ctx)
	if open := book.Open(); err == nil && open != nil {
		verb := open.Command
		if verb == "" {
			verb = "rotate"
		}
		return fmt.Sprintf("the %s to key %s that has begun before goes on with: %s %s --resume", nounOf(verb), open.To, project.Command, verb)
	}
	config := r.Agreed()
	names := migrator.Names(migrator.Encrypted(r.served, config, nil))
	const many = 8
	switch {
	case len(names) == 0, err == nil && !book.Distrusted(names), err != nil && !r.distrusted:
		return ""
	case len(names) > many:
		return "some objects may be stored with other keys; the next rotation migrates all of them: " + project.Command + " rotate"
	}
	return fmt.Sprintf("some objects may be stored with other keys; let them follow with: %s migrate --resources %s", project.Command, strings.Join(names, ","))
}

func nounOf(verb string) string {
	if verb == "rotate" {
		return "rotation"
	}
	return verb
}
