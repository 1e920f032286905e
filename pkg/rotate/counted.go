// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// counted is what came of counting what etcd holds, in this run.
type counted struct {
	// found is nil if etcd could not be counted; why says why not.
	found *ledger.Verification
	why   string
}

// verify counts what etcd holds and puts it on record. Where that can't be done the proof by baselines stands alone, which is
// told and is no error. A count that contradicts the migration has it made again, once: a write that took longer than settling
// gives it time is stored anew by that.
func (r *Run) verify(ctx context.Context) (string, error) {
	v, err := r.count(ctx)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		r.counted = &counted{why: hint.OneLine(err.Error())}
		r.Emit(event.Warning{Text: "what etcd holds could not be counted, so the proof is that by baselines alone: " + r.counted.why})
		return ": not counted", nil
	}
	r.counted = &counted{found: v}
	again, err := r.noteCount(ctx, *v)
	if err != nil {
		return "", err
	}
	if again {
		r.Emit(event.Warning{Text: r.contradiction() + ": they are migrated once more, by a new baseline"})
	}
	return ": " + r.countedText(), nil
}

// count has etcd counted, and does not take what was judged by another configuration.
func (r *Run) count(ctx context.Context) (*ledger.Verification, error) {
	if r.Count == nil {
		return nil, fmt.Errorf("this command does not count")
	}
	v, err := r.Count(ctx, func(e event.Event) {
		switch e := e.(type) {
		case event.StepProgress:
			e.Stage = string(plan.Verify)
			r.Emit(e)
		case event.Notice, event.Warning:
			r.Emit(e)
		}
	})
	if err == nil && v.Digest != r.Agreed().Digest {
		return nil, fmt.Errorf("it was counted by the configuration %s, and %s is the one that is agreed on",
			plan.ShortDigest(v.Digest), plan.ShortDigest(r.Agreed().Digest))
	}
	return v, err
}

// noteCount puts a count on record. It tells whether it voids a migration of this run.
func (r *Run) noteCount(ctx context.Context, v ledger.Verification) (again bool, err error) {
	err = r.Ledger().Update(ctx, func(l *ledger.Ledger) {
		again = false
		l.Note(v)
		rec := l.ByID(r.record.ID)
		if rec == nil || rec.Refuted {
			return
		}
		before := len(rec.Migrations)
		l.Refute(v)
		if again = len(rec.Migrations) < before; again {
			rec.Refuted = true
			r.record = *rec
		}
	})
	return again, err
}

// planned is what the plan has to know of the count.
func (c *counted) planned() *plan.Counted {
	if c == nil {
		return nil
	}
	p := &plan.Counted{}
	if c.found != nil {
		p.Stored = c.found.Keys
		p.Encrypted = len(encrypted(*c.found)) > 0
	}
	return p
}

// encrypted are the resources that are written in plaintext and have values that are not.
func encrypted(v ledger.Verification) []ledger.StoredResource {
	return slices.DeleteFunc(slices.Clone(v.Resources), func(res ledger.StoredResource) bool {
		return res.WriteKey.Provider != encconfig.Identity || res.Off() == 0
	})
}

// countedFor are the counts of what the goal has migrated in the end. Events are not: they expire.
func (r *Run) countedFor() []ledger.StoredResource {
	if r.counted == nil || r.counted.found == nil {
		return nil
	}
	agreed := r.Agreed()
	return slices.DeleteFunc(slices.Clone(r.counted.found.Resources), func(res ledger.StoredResource) bool {
		return migrator.IsEvents(res.Name) || !r.goal.Covers(agreed, res.Name)
	})
}

// off are those of them that are not all as they should be.
func (r *Run) off() []ledger.StoredResource {
	return slices.DeleteFunc(r.countedFor(), func(res ledger.StoredResource) bool { return res.Off() == 0 })
}

// countedText says what was counted of what the goal is about.
func (r *Run) countedText() string {
	list := r.countedFor()
	if len(list) == 0 {
		return "there is no value of what this is about"
	}
	if wrong := r.off(); len(wrong) > 0 {
		all, off := sums(wrong)
		return fmt.Sprintf("%s of %s values of %s are not stored %s", census.Number(off), census.Number(all), storedNames(wrong), r.storedWay())
	}
	all, _ := sums(list)
	slices.SortFunc(list, func(a, b ledger.StoredResource) int { return strings.Compare(a.Name, b.Name) })
	text := fmt.Sprintf("all %s values of %s are stored %s", census.Number(all), storedNames(list), r.storedWay())
	whole := encconfig.Rule{Resources: r.counted.found.Whole}
	if slices.ContainsFunc(list, func(res ledger.StoredResource) bool { return !whole.Covers(res.Name) }) {
		text += ", as far as they were counted"
	}
	return text
}

func sums(list []ledger.StoredResource) (all, off int64) {
	for _, res := range list {
		all, off = all+res.Objects, off+res.Off()
	}
	return all, off
}

// storedWay is how the goal has it stored.
func (r *Run) storedWay() string {
	if r.goal.Target == identity() {
		return "in plaintext"
	}
	return "with it"
}

// contradiction says what was counted that should not be there after the migration.
func (r *Run) contradiction() string {
	var parts []string
	for _, res := range r.off() {
		var kinds []string
		for _, k := range []struct {
			n    int64
			what string
		}{{res.Stale, "under a key that is kept for reading"}, {res.Plaintext, "in plaintext"}, {res.Unreadable, "that can't be read"}} {
			if k.n > 0 {
				kinds = append(kinds, census.Number(k.n)+" "+k.what)
			}
		}
		parts = append(parts, fmt.Sprintf("%s of %s (%s)", census.Number(res.Off()), res.Name, strings.Join(kinds, ", ")))
	}
	return fmt.Sprintf("etcd holds values that are not stored with %s, though every object was migrated: %s", r.targetText(), strings.Join(parts, "; "))
}

// ended is how a run ends whose record is closed: nil if all is as its goal says, else what a count has found.
func (r *Run) ended() error {
	const see = project.Command + " verify --all names them"
	switch {
	case r.counted == nil || r.counted.found == nil || r.goal.Abort:
		return nil
	case r.goal.Flags == plan.RemoveFlags && r.counted.planned().Encrypted:
		return &hint.Error{
			Err: fmt.Errorf("the kube-apiservers keep their flags, without which they could not read %s: etcd holds values that are encrypted, though everything was decrypted",
				listOf(encrypted(*r.counted.found))),
			Safe:  "safe to stop here: plaintext is written, every kube-apiserver reads what is encrypted, and the record is closed",
			Hints: []string{see, "when they can be read, this migrates them by a new baseline: " + project.Command + " disable --remove-flags"},
			Exit:  hint.ExitDrifted,
		}
	case len(r.off()) > 0:
		var names []string
		for _, res := range r.off() {
			names = append(names, res.Name)
		}
		again := storeAgain(names, migrator.Names(r.served))
		if r.goal.Target == identity() {
			again = []string{"what can be read is stored in plaintext by the next write to it, such as kubectl annotate"}
		}
		return &hint.Error{
			Err:   fmt.Errorf("%s", r.contradiction()),
			Safe:  "safe to stop here: every key that a value was seen under is kept, and the record is closed",
			Hints: append([]string{see}, again...), Exit: hint.ExitDrifted,
		}
	}
	return nil
}

// listOf names resources with the number of values that are not as they should be.
func listOf(list []ledger.StoredResource) string {
	parts := make([]string, len(list))
	for i, res := range list {
		parts[i] = fmt.Sprintf("%s of %s", census.Number(res.Off()), res.Name)
	}
	return strings.Join(parts, ", ")
}

func storedNames(list []ledger.StoredResource) string {
	names := make([]string, len(list))
	for i, res := range list {
		names[i] = res.Name
	}
	return strings.Join(names, ", ")
}
