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
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// The stages of a prune besides those of a plan.
const (
	stageProve  = "prove"
	stageForget = "forget"
)

// prune proves which keys nothing needs, and opens the record of their removal, or goes on with the one on record. done is true
// if there is nothing to take out of the configuration.
func (r *Run) prune(ctx context.Context, o plan.Observed, book *ledger.Ledger) (done bool, err error) {
	open := book.Open()
	switch {
	case r.Continue && open == nil:
		r.Emit(event.Notice{Text: "no prune is under way: there is nothing to resume"})
		return true, nil
	case open != nil && (!r.Continue || open.Command != string(Prune)):
		return false, underWay(*open)
	case open != nil && !anewToProve(o, *open):
		r.goal, r.dropped = plan.Goal{Drop: open.Pruned}, open.Pruned
		return false, r.takeUp(ctx, *open)
	}
	if err := r.agreedAndLoaded(o); err != nil {
		return false, err
	}
	if err := notPending(o); err != nil {
		return false, err
	}
	if err := r.dismiss(ctx); err != nil {
		return false, err
	}
	agreed := *o.Agreed()
	if open != nil {
		if err := r.proveAnew(ctx, agreed, *open); err != nil {
			return false, err
		}
	}
	list, err := r.proven(ctx, agreed, book)
	if err != nil || len(list) == 0 {
		return true, err
	}
	r.dropped, r.goal = list, plan.Goal{Drop: list}
	if !slices.ContainsFunc(list, agreed.Has) {
		return true, nil // histories alone have them
	}
	return false, r.openPrune(ctx, agreed, list)
}

// anewToProve tells whether a prune that was stopped begins anew: the nodes agree on a file that has its keys. Either no node was
// changed, or a repair has given the keys back, since a node had another file meanwhile: it may have written with one of them. Nodes
// that differ can't be counted by; and what makes them differ by more than the keys is refused.
func anewToProve(o plan.Observed, open ledger.Rotation) bool {
	agreed := o.Agreed()
	return agreed != nil && slices.ContainsFunc(open.Pruned, agreed.Has)
}

// proveAnew ends the record of a prune that was stopped, and has the run be about the same keys: what is needed now stays, and
// nothing stands in the way then.
func (r *Run) proveAnew(ctx context.Context, agreed encconfig.Description, open ledger.Rotation) error {
	r.Keys, r.Wait = nil, true
	for _, k := range open.Pruned {
		if agreed.Has(k) {
			r.Keys = append(r.Keys, k.String())
		}
	}
	r.Emit(event.Notice{Text: fmt.Sprintf("every node has the keys that were to leave: whether nothing needs %s is proven once more", strings.Join(r.Keys, ", "))})
	return r.supersede(ctx, open)
}

// agreedAndLoaded refuses to begin where nodes differ or a kube-apiserver is not proven to run its file: what it would need is
// not what is counted by.
func (r *Run) agreedAndLoaded(o plan.Observed) error {
	if o.Agreed() == nil {
		return differ(o)
	}
	for _, n := range o.Nodes {
		if n.Flags != plan.FlagsUnset && n.Loaded != n.Config.Digest {
			return hint.Errorf("it looks at its file once a minute; run the same command then",
				"the kube-apiserver on node %s is not proven to run the configuration that is in its file", n.Name)
		}
	}
	return nil
}

// proven counts what etcd holds, and gives the keys that may leave. One that was named and may not is an error, one that
// retention has chosen stays and is told of.
func (r *Run) proven(ctx context.Context, agreed encconfig.Description, book *ledger.Ledger) ([]encconfig.Key, error) {
	list, err := r.candidates(agreed, inHistories(r.files))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		r.Emit(event.Notice{Text: nothingBeyond(r.Keep)})
		return nil, nil
	}
	const text = "prove that nothing in etcd needs them"
	started := time.Now()
	r.number++
	total := r.number
	if slices.ContainsFunc(list, agreed.Has) {
		const rest = 3 // the removal, its proof, the record
		total += rest
	}
	if r.Forget {
		total++
	}
	r.Emit(event.StepStarted{Number: r.number, Total: total, Stage: stageProve, Text: text})
	for {
		usage, err := r.use(ctx, agreed)
		if err != nil {
			return nil, err
		}
		free, stay, err := r.decide(ctx, book, *usage, list)
		if err != nil {
			return nil, err
		}
		if err := r.noteUsage(ctx, *usage, list); err != nil {
			return nil, err
		}
		until := latest(stay)
		if !r.Wait || until.IsZero() {
			r.Emit(event.StepDone{
				Number: r.number, Total: total, Stage: stageProve, Elapsed: time.Since(started),
				Text: fmt.Sprintf("%s: %s values counted at revision %d", text, census.Number(usage.Verification.Objects), usage.Verification.Revision),
			})
			return free, r.tell(ctx, stay)
		}
		if err := r.waitUntil(ctx, until); err != nil {
			return nil, err
		}
		// Counted anew: the time begins with what is on record, and what etcd holds may have changed.
		if book, _, err = r.ledger().Load(ctx); err != nil {
			return nil, err
		}
	}
}

func nothingBeyond(keep int) string {
	return fmt.Sprintf("nothing to prune: no rule of the configuration has a key beyond the %d that are kept", max(keep, plan.MinKeep))
}

// use has everything in etcd counted, and puts it on record.
func (r *Run) use(ctx context.Context, config encconfig.Description) (*Usage, error) {
	if r.CountAll == nil {
		return nil, errors.New("this command does not count")
	}
	usage, err := r.CountAll(ctx, func(e event.Event) {
		switch e := e.(type) {
		case event.StepProgress:
			e.Stage = stageProve
			r.Emit(e)
		case event.Notice, event.Warning:
			r.Emit(e)
		}
	})
	if err != nil {
		return nil, hint.New(fmt.Errorf("what etcd holds can't be counted, and without that no key is taken out: %w", err),
			"a rotation takes keys beyond its --keep out by the proof of its own migrations: "+project.Command+" rotate")
	}
	if usage.Config.Digest != config.Digest {
		return nil, fmt.Errorf("it was counted by the configuration %s, and the nodes have %s: %w",
			plan.ShortDigest(usage.Config.Digest), plan.ShortDigest(config.Digest), errReplan)
	}
	r.usage = usage
	return usage, usage.told()
}

// told refuses a count by which nothing is proven.
func (u Usage) told() error {
	if u.Unknown == "" {
		return nil
	}
	return hint.Errorf("see what was counted with: "+project.Command+" verify --resources '*.*'", "whether a key is needed can't be told: %s", u.Unknown)
}

// decide sorts keys by whether they may leave now. The first that was named and is needed, or has to wait and is not waited
// for, is an error.
func (r *Run) decide(ctx context.Context, book *ledger.Ledger, u Usage, list []encconfig.Key) (free []encconfig.Key, stay []dropping, err error) {
	now, err := r.cluster.Now(ctx)
	if err != nil {
		return nil, nil, err
	}
	age, known := r.pruneAge(u.Config)
	if !known {
		return nil, nil, hint.Errorf("compact etcd yourself; a rotation does not need it: "+project.Command+" rotate",
			"kube-apiserver does not compact etcd here, so nothing tells when the last superseded revision is gone")
	}
	byRecord := book.Unneeded(u.Config, resourceNames(r.encrypted(u.Config)), now, age)
	since := func(k encconfig.Key) time.Time {
		if slices.ContainsFunc(byRecord, k.Is) {
			return now.Add(-age)
		}
		return book.UnusedSince(k, u.Verification)
	}
	for _, d := range u.judge(list, since, age) {
		refused := d.refusal(now)
		switch {
		case refused == nil:
			free = append(free, d.key)
		case len(r.Keys) > 0 && (d.objects > 0 || !r.Wait):
			return nil, nil, refused
		default:
			stay = append(stay, d)
		}
	}
	return free, stay, nil
}

// noteUsage puts a count on record.
func (r *Run) noteUsage(ctx context.Context, u Usage, list []encconfig.Key) error {
	return r.ledger().Update(ctx, func(l *ledger.Ledger) { l.NoteWhole(u.Verification, list) })
}

// latest is when the last of the keys that only wait may leave, zero if none does.
func latest(stay []dropping) (until time.Time) {
	for _, d := range stay {
		if d.objects == 0 && d.free.After(until) {
			until = d.free
		}
	}
	return until
}

// tell says which keys stay, and why.
func (r *Run) tell(ctx context.Context, stay []dropping) error {
	now, err := r.cluster.Now(ctx)
	if err != nil {
		return err
	}
	for _, d := range stay {
		r.Emit(event.Notice{Text: d.told(now)})
	}
	return nil
}

func (r *Run) waitUntil(ctx context.Context, until time.Time) error {
	for {
		now, err := r.cluster.Now(ctx)
		if err != nil {
			return err
		}
		left := until.Sub(now)
		if left < 0 {
			return nil
		}
		r.Emit(event.StepProgress{
			Stage: string(plan.Age), Total: 1, Unit: "waits",
			Detail: fmt.Sprintf("%s left, until superseded revisions are compacted", left.Round(time.Second)),
		})
		if err := r.sleep(ctx, min(left+time.Second, pollInterval)); err != nil {
			return err
		}
	}
}

// openPrune writes the record of a removal. What is proven of the data stays proven: no write key changes.
func (r *Run) openPrune(ctx context.Context, agreed encconfig.Description, list []encconfig.Key) error {
	now, err := r.cluster.Now(ctx)
	if err != nil {
		return err
	}
	to := identity()
	if writes := agreed.WriteKeys(); len(writes) > 0 {
		to = writes[0]
	}
	r.record = ledger.Rotation{
		ID: r.id, By: r.By, Command: string(Prune), From: agreed.WriteKeys(), To: to, Stage: "plan",
		StartTime: now, StartDigest: agreed.Digest, Pruned: list,
	}
	return r.ledger().Update(ctx, func(l *ledger.Ledger) {
		record := r.record
		inherit(&record, l.Trusted(to, agreed.Digest))
		l.HighestKey = max(l.HighestKey, keys.Number(to.Name))
		l.Begin(record)
		r.record = record
	})
}

// forget has every node remove keys from its history that are in no configuration any more.
func (r *Run) forget(ctx context.Context) error {
	if !r.Forget || len(r.dropped) == 0 {
		return nil
	}
	text := fmt.Sprintf("remove every revision that holds %s from the history of each node", keyNames(r.dropped))
	started := time.Now()
	r.number++
	r.Emit(event.StepStarted{Number: r.number, Total: r.number, Stage: stageForget, Text: text})
	err := r.withAgents(ctx, func(agents *nodejob.Agents) error {
		var nodes []string
		lists := map[string][]encconfig.Key{}
		for node, f := range r.files {
			all := slices.DeleteFunc(inHistories(map[string]agentapi.State{node: f}), func(k encconfig.Key) bool { return !slices.ContainsFunc(r.dropped, k.Is) })
			if lists[node] = all; len(all) > 0 {
				nodes = append(nodes, node)
			}
		}
		before := maps.Clone(r.files)
		_, err := askAll(context.WithoutCancel(ctx), agents, nodes, func(node string) agentapi.Request {
			return agentapi.Request{Op: agentapi.Forget, Forget: &agentapi.Forgetting{From: before[node].Digest, Keys: lists[node]}}
		})
		return err
	})
	if err != nil {
		return hint.AtStage(err, stageForget, "safe to stop here: the keys have left the configuration, and some nodes still have them in their history",
			"when that is mended, run the same command again")
	}
	r.forgot = true
	r.Emit(event.StepDone{Number: r.number, Total: r.number, Stage: stageForget, Text: text, Elapsed: time.Since(started)})
	return nil
}

// inHistories are the keys that nodes have in their histories, with their fingerprints.
func inHistories(files map[string]agentapi.State) (list []encconfig.Key) {
	for _, node := range slices.Sorted(maps.Keys(files)) {
		for _, rev := range files[node].History {
			for _, k := range rev.Config.Keys() {
				if !slices.Contains(list, k) {
					list = append(list, k)
				}
			}
		}
	}
	return list
}

// planPrune is the plan by what was counted.
func (r *Run) planPrune(ctx context.Context, p *v1alpha1.RotationPlan, on string) (*v1alpha1.RotationPlan, error) {
	if open := r.view.Ledger.Open(); open != nil {
		return nil, r.explain(ctx, "plan", underWay(*open))
	}
	u := r.SeenUsage
	if err := u.told(); err != nil {
		return nil, r.explain(ctx, "plan", err)
	}
	r.files = maps.Clone(r.Seen)
	defer func() { r.files, r.goal = nil, plan.Goal{} }()
	list, err := r.candidates(u.Config, inHistories(r.files))
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
	p.Goal = fmt.Sprintf("take key(s) out that nothing in etcd needs: %s%s", keyNames(going), on)
	p.Steps = append(p.Steps, v1alpha1.PlanStep{Stage: stageProve, Text: "prove once more that nothing needs them; " + counted})
	if r.Wait {
		p.Steps = append(p.Steps, v1alpha1.PlanStep{Stage: string(plan.Age), Text: "wait until superseded revisions are compacted, if they are not yet"})
	}
	nodes := strings.Join(p.Nodes, ", ")
	if slices.ContainsFunc(going, u.Config.Has) {
		p.Steps = append(p.Steps,
			v1alpha1.PlanStep{Stage: stagePrune, Text: fmt.Sprintf("take keys out of the configuration (%s) on %s", keyNames(going), nodes)},
			v1alpha1.PlanStep{Stage: stageAwait, Text: r.text(plan.Step{Kind: plan.Await})},
			v1alpha1.PlanStep{Stage: string(plan.Close), Text: r.text(plan.Step{Kind: plan.Close})})
	}
	if r.Forget {
		p.Steps = append(p.Steps, v1alpha1.PlanStep{Stage: stageForget, Text: fmt.Sprintf("remove every revision that holds %s from the history of each node", keyNames(going))})
		p.Warnings = append(p.Warnings, "this destroys "+keyNames(going)+" for good: a backup of etcd, or of a file, that needs it can't be read any more")
	} else {
		p.Warnings = append(p.Warnings, "they stay in each node's history: a backup of etcd from before may need them")
	}
	return p, nil
}

// planned are the keys that would leave now, and for those that would not a warning.
func (r *Run) planned(ctx context.Context, p *v1alpha1.RotationPlan, u Usage, list []encconfig.Key) (going []encconfig.Key, err error) {
	free, stay, err := r.decide(ctx, r.view.Ledger, u, list)
	if err != nil {
		return nil, err
	}
	now, err := r.cluster.Now(ctx)
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

// pruned says what a prune has done.
func (r *Run) pruned() string {
	if len(r.dropped) == 0 {
		return "nothing was taken out"
	}
	if r.usage == nil {
		return keyNames(r.dropped) + " left the configuration of every node; it stays in each node's history, for backups of etcd from before"
	}
	text := fmt.Sprintf("%s left the configuration of every node: none of %s values in etcd is stored with it (revision %d)",
		keyNames(r.dropped), census.Number(r.usage.Verification.Objects), r.usage.Verification.Revision)
	if r.forgot {
		return text + ", and every node's history"
	}
	return text + "; it stays in each node's history, for backups of etcd from before"
}
