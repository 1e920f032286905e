// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// DefaultResources are what is encrypted where nothing else is said.
func DefaultResources() []string { return []string{"secrets", "configmaps"} }

// identity stands for plaintext.
func identity() encconfig.Key { return encconfig.Key{Provider: encconfig.Identity} }

// wanted is the goal of a run that turns encryption on or off, by what is in the files.
func (r *Run) wanted(o plan.Observed, highest []uint64) (plan.Goal, error) {
	g := plan.Goal{Keep: r.Keep, Resources: r.Resources}
	file := someConfig(o)
	if r.Mode == Disable {
		g.Target = identity()
		if r.RemoveFlags {
			g.Flags = plan.RemoveFlags
		}
		if len(g.Resources) == 0 && file != nil {
			g.Resources = file.Patterns()
		}
		return g, r.checkDisabled(o, file)
	}
	g.Flags = plan.SetFlags
	var writes []encconfig.Key
	if file != nil {
		writes = file.WriteKeys()
	}
	if len(g.Resources) == 0 && len(writes) == 0 {
		g.Resources = DefaultResources()
	}
	provider := r.newProvider(writes)
	g.Target = plan.NewKey(provider, o.Nodes, highest...)
	if len(writes) == 1 && writes[0].Provider == provider {
		g.Target = encconfig.Key{Provider: provider, Name: writes[0].Name}
	}
	return g, nil
}

// checkDisabled refuses what can't be turned off, since it is not on or not known.
func (r *Run) checkDisabled(o plan.Observed, file *encconfig.Description) error {
	if !slices.ContainsFunc(o.Nodes, func(n plan.Node) bool { return n.Flags != plan.FlagsUnset }) {
		return nil
	}
	for _, name := range r.Resources {
		served := slices.ContainsFunc(migrator.Names(r.served), func(s string) bool { return s == name })
		if !served && !strings.HasPrefix(name, "*.") && (file == nil || file.RuleFor(name) == nil) {
			return hint.Errorf("kubectl api-resources lists what is served; a group is written behind a dot: deployments.apps",
				"the server does not serve a resource %q, and the configuration does not name it", name)
		}
	}
	return nil
}

// someConfig is the configuration of the first node that has one, of those in use if any is.
func someConfig(o plan.Observed) *encconfig.Description {
	if readers := o.Readers(); len(readers.Nodes) > 0 {
		o = readers
	}
	for _, n := range o.Nodes {
		if n.Config != nil {
			return n.Config
		}
	}
	return nil
}

// beginOnOff opens the record of a run that turns encryption on or off, unless something is under way or nothing is
// to do.
func (r *Run) beginOnOff(ctx context.Context, o plan.Observed, book *ledger.Ledger) (done bool, err error) {
	open := book.Open()
	takesBack := open != nil && r.Mode == Disable && open.Command == string(Enable)
	takesOver := r.takesOver(o, open)
	if open != nil && !takesBack && !takesOver {
		return false, underWay(*open)
	}
	if k, pending := plan.Pending(o.Nodes); pending && !takesBack && !takesOver {
		return false, hint.Errorf("go on with: "+project.Command+" rotate --resume",
			"a rotation to key %s is under way: it is configured and not the write key yet", k)
	}
	if r.goal, err = r.wanted(o, r.highest(book)); err != nil {
		return false, err
	}
	if takesOver {
		r.goal = taken(r.goal, o, open)
	}
	if o.KubeadmStale, err = r.kubeadmStale(ctx); err != nil {
		return false, err
	}
	if done = r.Mode == Disable && r.nothingOn(o); !done {
		if done, err = r.check(ctx, o, book); err != nil {
			return false, err
		}
	}
	if takesBack {
		if err := r.supersede(ctx, *open); err != nil {
			return false, err
		}
	}
	if done {
		r.Emit(event.Notice{Text: "already so: " + r.already(o)})
		return true, nil
	}
	if takesOver {
		return r.takeOver(ctx, o, book)
	}
	return false, r.open(ctx, o)
}

// check looks ahead, before anything is changed: at the rights, the plan, and whether manifests can be edited. It tells
// whether there is nothing to do.
func (r *Run) check(ctx context.Context, o plan.Observed, book *ledger.Ledger) (done bool, err error) {
	if err := r.checkGoal(ctx, o); err != nil {
		return false, err
	}
	agreed := o.Agreed()
	if agreed != nil {
		o.Progress = r.followed(book.Trusted(r.goal.Target, agreed.Digest), *agreed)
	}
	steps, err := plan.Preview(o, r.goal)
	if open := book.Open(); err != nil && open != nil && agreed == nil && !r.takesOver(o, open) {
		return false, hint.New(fmt.Errorf("the %s that began %s was stopped while it changed files", open.Command, since(*open)),
			"let it end first, with: "+project.Command+" "+open.Command+" --resume")
	}
	if err != nil {
		return false, err
	}
	if r.edits(steps) {
		if err := r.checkEdits(ctx); err != nil {
			return false, err
		}
	}
	return nothingToDo(steps), nil
}

// checkGoal asks for the rights that the goal's migrations need, and learns which groups are stored elsewhere.
func (r *Run) checkGoal(ctx context.Context, o plan.Observed) error {
	var d encconfig.Description
	if file := someConfig(o); file != nil {
		d = *file
	}
	return r.checkMigration(ctx, d)
}

// nothingToDo tells whether a plan would only look, and close its record.
func nothingToDo(steps []plan.Step) bool {
	return !slices.ContainsFunc(steps, func(s plan.Step) bool {
		return s.Kind != plan.Verify && s.Kind != plan.Close && s.Kind != plan.Done
	})
}

func (r *Run) edits(steps []plan.Step) bool {
	return slices.ContainsFunc(steps, func(s plan.Step) bool { return s.Kind == plan.EditManifest })
}

// nothingOn tells whether no kube-apiserver reads a configuration or is about to, and kubeadm's does not ask for one.
func (r *Run) nothingOn(o plan.Observed) bool {
	edited := slices.ContainsFunc(o.Nodes, func(n plan.Node) bool { return n.Edited })
	return len(o.Readers().Nodes) == 0 && !edited && !o.KubeadmStale
}

// already says how it is, where there is nothing to do.
func (r *Run) already(o plan.Observed) string {
	switch {
	case r.Mode == Enable:
		return fmt.Sprintf("%s stored with key %s", areStored(r.about(o)), r.goal.Target)
	case r.nothingOn(o):
		return "no kube-apiserver has an encryption configuration"
	}
	return areStored(r.about(o)) + " stored in plaintext"
}

func areStored(list []string) string { return strings.Join(list, ", ") + " are" }

// about are the resources of the goal, as people write them.
func (r *Run) about(o plan.Observed) []string {
	if len(r.goal.Resources) > 0 {
		return r.goal.Resources
	}
	var list []string
	if file := someConfig(o); file != nil {
		for _, rule := range file.EncryptingRules() {
			list = append(list, rule.Resources...)
		}
	}
	return list
}

// supersede ends the record of an enable that is taken back.
func (r *Run) supersede(ctx context.Context, open ledger.Rotation) error {
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return err
	}
	return r.Ledger().Update(ctx, func(l *ledger.Ledger) {
		if rec := l.ByID(open.ID); rec != nil {
			rec.CompletionTime, rec.Aborted = &now, true
		}
	})
}

// underWay refuses to begin something while something else has not ended.
func underWay(open ledger.Rotation) error {
	if open.Command != "" {
		hints := []string{"go on with: " + project.Command + " " + open.Command + " --resume"}
		if wasOff(open) {
			hints = append(hints, "or take it back with: "+project.Command+" disable --remove-flags")
		}
		return hint.New(fmt.Errorf("the %s that began %s has not ended", open.Command, since(open)), hints...)
	}
	return hint.New(fmt.Errorf("the rotation to key %s that began %s has not ended", open.To, since(open)), "go on with: "+project.Command+" rotate --resume",
		"or, while nothing is written with the new key, take it back with: "+project.Command+" rotate --abort")
}

func since(open ledger.Rotation) string { return open.StartTime.UTC().Format("2006-01-02 15:04 MST") }

// wasOff tells whether a record is of an enable before which nothing was encrypted: disable takes that one back, and
// no other.
func wasOff(open ledger.Rotation) bool { return open.Command == string(Enable) && len(open.From) == 0 }

// goOnOnOff takes the goal from the record.
func (r *Run) goOnOnOff(ctx context.Context, o plan.Observed, book *ledger.Ledger) (done bool, err error) {
	open := book.Open()
	switch {
	case open == nil:
		r.Emit(event.Notice{Text: fmt.Sprintf("no %s is under way: there is nothing to resume", r.Mode)})
		return true, nil
	case open.Command != string(r.Mode):
		return false, underWay(*open)
	}
	r.goal = plan.Goal{Target: encconfig.Key{Provider: open.To.Provider, Name: open.To.Name}, Resources: open.Resources, Keep: r.Keep}
	switch {
	case r.Mode == Enable:
		r.goal.Flags = plan.SetFlags
	case open.RemoveFlags:
		r.goal.Flags = plan.RemoveFlags
	}
	r.RemoveFlags = open.RemoveFlags
	if err := r.checkGoal(ctx, o); err != nil {
		return false, err
	}
	return r.reopen(ctx, o, book, *open)
}

// age waits until superseded revisions are gone, which may still need the keys.
func (r *Run) age(ctx context.Context) error {
	age, known := r.pruneAge(r.Agreed())
	if !known {
		return hint.Errorf("compact etcd yourself; then take the flags out of the manifests by hand",
			"kube-apiserver does not compact etcd here, so nothing tells when the last encrypted revision is gone")
	}
	for {
		now, err := r.Cluster.Now(ctx)
		if err != nil {
			return err
		}
		left := r.record.FollowedAt().Add(age).Sub(now)
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

// aged tells whether superseded revisions are gone.
func (r *Run) aged(rec *ledger.Rotation, agreed encconfig.Description, now time.Time) bool {
	age, known := r.pruneAge(agreed)
	at := rec.FollowedAt()
	return known && !at.IsZero() && at.Add(age).Before(now)
}

// followed is how far the data is on record to have followed the goal's key. Where the goal is about nothing that is
// stored, there is nothing to follow; but to be rid of the flags, even what expires by itself is waited for.
func (r *Run) followed(rec *ledger.Rotation, agreed encconfig.Description) plan.Progress {
	if !r.goal.Writes(agreed) || r.Mode == Enable && len(r.Readers()) < len(r.View.ControlPlane.Instances) {
		return plan.Progress{} // a node without flags writes plaintext, whatever was proven before
	}
	names := migrator.Names(r.covered(agreed))
	if len(names) == 0 && r.goal.Flags != plan.RemoveFlags {
		return plan.Progress{Settled: true, Migrated: true}
	}
	settled := rec.Settled(names) && (r.goal.Flags != plan.RemoveFlags || rec.SettleTime != nil)
	return plan.Progress{Settled: settled, Migrated: rec.Migrated(names)}
}

// checkPatterns refuses resources that can't stand in a configuration, and those that are not served.
func (r *Run) checkPatterns() error {
	if err := encconfig.CheckResources(r.Resources); err != nil {
		return hint.New(fmt.Errorf("%w: kube-apiserver would not take it", err),
			"kubectl api-resources lists what is served; a group is written behind a dot: deployments.apps")
	}
	return nil
}
