// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

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
	list, err := r.candidates(agreed, inHistories(r.Files))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		r.Emit(event.Notice{Text: nothingBeyond(r.Keep)})
		return nil, nil
	}
	step := operation.Step{Stage: stageProve, Text: "prove that nothing in etcd needs them"}
	if slices.ContainsFunc(list, agreed.Has) {
		const rest = 3 // the removal, its proof, the record
		step.Ahead += rest
	}
	if r.Forget {
		step.Ahead++
	}
	var free []encconfig.Key
	var stay []dropping
	err = r.Step(step, func() (result string, err error) {
		free, stay, err = r.prove(ctx, agreed, book, list)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf(": %s values counted at revision %d", census.Number(r.usage.Verification.Objects), r.usage.Verification.Revision), nil
	})
	if err != nil {
		return nil, err
	}
	return free, r.tell(ctx, stay)
}

// prove counts, and sorts keys by whether they may leave. It waits for those that may when time has passed, and counts again, if
// that was asked for.
func (r *Run) prove(ctx context.Context, agreed encconfig.Description, book *ledger.Ledger, list []encconfig.Key) (free []encconfig.Key, stay []dropping, err error) {
	for {
		usage, err := r.use(ctx, agreed)
		if err != nil {
			return nil, nil, err
		}
		if free, stay, err = r.decide(ctx, book, *usage, list); err != nil {
			return nil, nil, err
		}
		if err := r.noteUsage(ctx, *usage, list); err != nil {
			return nil, nil, err
		}
		until := latest(stay)
		if !r.Wait || until.IsZero() {
			return free, stay, nil
		}
		if err := r.waitUntil(ctx, until); err != nil {
			return nil, nil, err
		}
		// Counted anew: the time begins with what is on record, and what etcd holds may have changed.
		if book, _, err = r.Ledger().Load(ctx); err != nil {
			return nil, nil, err
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
			plan.ShortDigest(usage.Config.Digest), plan.ShortDigest(config.Digest), operation.ErrReplan)
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
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return nil, nil, err
	}
	age, known := r.pruneAge(u.Config)
	if !known {
		return nil, nil, hint.Errorf("compact etcd yourself; a rotation does not need it: "+project.Command+" rotate",
			"kube-apiserver does not compact etcd here, so nothing tells when the last superseded revision is gone")
	}
	byRecord := book.Unneeded(u.Config, migrator.Names(r.encrypted(u.Config)), now, age)
	since := func(k encconfig.Key) time.Time {
		if slices.ContainsFunc(byRecord, k.Is) {
			return now.Add(-age)
		}
		return book.UnusedSince(k, u.Verification)
	}
	for _, d := range u.judge(list, since, age) {
		refused := d.refusal(now, migrator.Names(r.served))
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
	return r.Ledger().Update(ctx, func(l *ledger.Ledger) { l.NoteWhole(u.Verification, list) })
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
	now, err := r.Cluster.Now(ctx)
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
		now, err := r.Cluster.Now(ctx)
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
		if err := operation.Sleep(ctx, min(left+time.Second, operation.PollInterval)); err != nil {
			return err
		}
	}
}
