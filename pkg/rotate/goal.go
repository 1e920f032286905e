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

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// setGoal finds out from the files which key the run is about, and opens its record. done is true if there is
// nothing to do.
func (r *Run) setGoal(ctx context.Context) (done bool, err error) {
	o, err := r.observed(ctx)
	if err != nil {
		return false, err
	}
	book, _, err := r.Ledger().Load(ctx)
	if err != nil {
		return false, err
	}
	r.goal = plan.Goal{Keep: r.Keep, Abort: r.Mode == Abort}
	switch {
	case r.Mode == Begin:
		return false, r.begin(ctx, o, book)
	case r.Mode == Rollback:
		return r.rollBack(ctx, o, book)
	case r.Mode == Prune:
		return r.prune(ctx, o, book)
	case !r.changesFlags():
		return r.goOn(ctx, o, book)
	case r.Continue:
		return r.goOnOnOff(ctx, o, book)
	}
	return r.beginOnOff(ctx, o, book)
}

// begin opens a rotation to a new key, unless one is under way.
func (r *Run) begin(ctx context.Context, o plan.Observed, book *ledger.Ledger) error {
	if open := book.Open(); open != nil {
		return underWay(*open)
	}
	if o.Agreed() == nil {
		return differ(o)
	}
	if err := notPending(o); err != nil {
		return err
	}
	// A plan that is refused anyway shall be refused before a record is opened.
	r.goal.Target = plan.NewKey(r.newProvider(o.Agreed().WriteKeys()), o.Nodes, r.highest(book)...)
	if _, err := plan.Preview(o, r.goal); err != nil {
		return err
	}
	return r.open(ctx, o)
}

// newProvider is that of a new key: the one that was asked for, or that of the write key. One that makes no keys of its own gives way
// to the default; the plan says what is wrong with it.
func (r *Run) newProvider(writes []encconfig.Key) encconfig.Provider {
	provider := r.Provider
	if provider == "" && len(writes) > 0 {
		provider = writes[0].Provider
	}
	if !provider.Local() {
		return encconfig.LocalProviders()[0]
	}
	return provider
}

// notPending refuses to begin something while a key waits to become the write key.
func notPending(o plan.Observed) error {
	k, pending := plan.Pending(o.Nodes)
	if !pending {
		return nil
	}
	return hint.New(fmt.Errorf("a rotation to key %s is under way: it is configured and not the write key yet", k),
		"go on with: "+project.Command+" rotate --resume",
		"or, while nothing is written with the new key, take it back with: "+project.Command+" rotate --abort")
}

// goOn finds the rotation that resume or abort is about.
func (r *Run) goOn(ctx context.Context, o plan.Observed, book *ledger.Ledger) (done bool, err error) {
	open := book.Open()
	k, pending := plan.Pending(o.Nodes)
	if open != nil && open.Command == "" && plan.Overtaken(o.Nodes, open.To) {
		if err := r.endOvertaken(ctx, *open); err != nil {
			return false, err
		}
		open = nil
	}
	switch {
	case open != nil && open.Command != "":
		return false, underWay(*open)
	case pending:
		r.goal.Target = k
	case open != nil:
		r.goal.Target = encconfig.Key{Provider: open.To.Provider, Name: open.To.Name}
	default:
		if done, err := r.withoutRecord(o, book); done || err != nil {
			return done, err
		}
	}
	if open != nil && open.To.Is(r.goal.Target) {
		return r.reopen(ctx, o, book, *open)
	}
	return false, r.open(ctx, o)
}

// endOvertaken ends the record of a rotation that the nodes have left behind. To go on with it would let an older key write again.
func (r *Run) endOvertaken(ctx context.Context, open ledger.Rotation) error {
	r.Emit(event.Notice{Text: fmt.Sprintf("the record of the rotation to key %s is older than what the nodes have, as after etcd was restored: "+
		"a newer key has written since, so that rotation is ended", open.To)})
	return r.supersede(ctx, open)
}

// withoutRecord is for resume and abort where neither a file nor the record tells of a rotation under way: there is
// nothing to do, or the record was lost. Then the write key is there, and whether everything follows it is not known.
func (r *Run) withoutRecord(o plan.Observed, book *ledger.Ledger) (done bool, err error) {
	writeKey, one := theWriteKey(o)
	agreed := o.Agreed()
	switch {
	case !one || r.goal.Abort && agreed == nil:
		return false, differ(o)
	case r.goal.Abort, agreed != nil && book.Trusted(writeKey, agreed.Digest).Migrated(migrator.Names(r.encrypted(*agreed))):
		r.Emit(event.Notice{Text: "no rotation is under way: there is nothing to " + string(r.Mode)})
		return true, nil
	}
	r.goal.Target = writeKey
	r.Emit(event.Notice{Text: fmt.Sprintf("there is no record of the rotation to key %s: everything is migrated to it once more", writeKey)})
	return false, nil
}

// theWriteKey is the one key that every rule of every node writes with. False if there are several.
func theWriteKey(o plan.Observed) (k encconfig.Key, one bool) {
	for i, n := range o.Nodes {
		if n.Config == nil || len(n.Config.WriteKeys()) != 1 || i > 0 && !n.Config.WriteKeys()[0].Is(k) {
			return encconfig.Key{}, false
		}
		k = n.Config.WriteKeys()[0]
	}
	return k, len(o.Nodes) > 0
}

// reopen goes on with a record. A key that is in no file and has not written never came to be, or was lost with the attempt to
// install it; its name is spent, and the rotation goes on with the next one. One that has written is brought back from a history.
func (r *Run) reopen(ctx context.Context, o plan.Observed, book *ledger.Ledger, open ledger.Rotation) (done bool, err error) {
	if err := r.takeUp(ctx, open); err != nil {
		return false, err
	}
	if err := r.noteLeftOut(ctx); err != nil {
		return false, err
	}
	for _, n := range o.Nodes {
		if n.Config == nil && !n.Missing || n.Config != nil && n.Config.Has(r.goal.Target) {
			return false, nil
		}
	}
	if r.Mode == Abort || !r.goal.Target.Provider.Local() {
		return false, nil
	}
	if open.Used {
		return false, r.bringBack(open.To)
	}
	r.goal.Target = plan.NewKey(open.To.Provider, o.Nodes, r.highest(book)...)
	r.Emit(event.Notice{Text: fmt.Sprintf("key %s is on no node: going on with a new one, %s", open.To, r.goal.Target)})
	if err := r.note(ctx, func(rec *ledger.Rotation) { rec.To = r.goal.Target }); err != nil {
		return false, err
	}
	return false, r.Ledger().Update(ctx, func(l *ledger.Ledger) {
		l.HighestKey = max(l.HighestKey, keys.Number(r.goal.Target.Name))
	})
}

// bringBack has the plan bring back the key of the rotation, which has written and is in no file any more.
func (r *Run) bringBack(k encconfig.Key) error {
	if k.Fingerprint == "" || !slices.Contains(inHistories(r.Files), k) {
		return hint.New(fmt.Errorf("key %s has written, and no node has it any more, neither in its file nor in its history: what is stored with it can't be read", k),
			"look for it in backups of the nodes' "+project.NodeHistoryDir+" and configurations, and put it behind the other keys on every node",
			"see what needs it with: "+project.Command+" verify")
	}
	r.goal.Target = k
	r.Emit(event.Notice{Text: fmt.Sprintf("key %s has written, and is in no file any more: it is brought back from the history of a node", k)})
	return nil
}

// differ refuses to begin while the nodes differ. What a stopped rotation left is for resume, which knows its own.
func differ(o plan.Observed) error {
	var parts []string
	for _, n := range o.Nodes {
		if n.Config == nil {
			_, err := plan.Next(o, plan.Goal{}) // says what is wrong with it
			return err
		}
		parts = append(parts, n.Name+" "+plan.ShortDigest(n.Config.Digest))
	}
	if o.Agreed() != nil {
		return hint.New(errors.New("no rotation is under way, and the resources are written with different keys"),
			"bring them under one with: "+project.Command+" rotate")
	}
	return hint.New(fmt.Errorf("the encryption configurations of the control-plane nodes differ: %s", strings.Join(parts, ", ")),
		"if a rotation stopped half-way, go on with: "+project.Command+" rotate --resume",
		"if somebody has edited a file, or a node has an older one, bring them to one with: "+project.Command+" repair")
}

// takeUp makes a record that has not ended the run's own, and the last one.
func (r *Run) takeUp(ctx context.Context, open ledger.Rotation) error {
	r.record = open
	return r.Ledger().Update(ctx, func(l *ledger.Ledger) { l.Resume(open.ID) })
}

// highest are the highest numbers that keys ever had, by the record and by each node.
func (r *Run) highest(book *ledger.Ledger) []uint64 {
	list := []uint64{book.HighestKey}
	for _, f := range r.Files {
		list = append(list, f.HighestKey)
	}
	return list
}

// open writes a new record.
func (r *Run) open(ctx context.Context, o plan.Observed) error {
	if err := r.checkRoom(ctx, o); err != nil && !r.cantCount(o, err) {
		return err
	}
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return err
	}
	r.record = ledger.Rotation{ID: r.ID, By: r.By, To: r.goal.Target, Stage: "plan", StartTime: now, LeftOut: r.leftOut()}
	if r.named() {
		r.record.Command, r.record.Resources = string(r.Mode), r.goal.Resources
	}
	if r.changesFlags() {
		r.record.RemoveFlags, r.record.ConfigDir = r.RemoveFlags, r.Dir()
	}
	agreed := o.Agreed()
	if agreed != nil {
		r.record.From, r.record.StartDigest = agreed.WriteKeys(), agreed.Digest
	}
	return r.Ledger().Update(ctx, func(l *ledger.Ledger) {
		record := r.record
		if agreed != nil && len(r.Readers()) == len(r.View.ControlPlane.Instances) {
			inherit(&record, l.Trusted(record.To, agreed.Digest), *agreed)
		}
		l.HighestKey = max(l.HighestKey, keys.Number(record.To.Name))
		l.Begin(record)
		r.record = record
	})
}

// inherit takes over what an earlier record proves of the same key under the same configuration.
func inherit(record, earlier *ledger.Rotation, agreed encconfig.Description) {
	if earlier != nil && within(earlier.LeftOut, record.LeftOut) {
		// Of an earlier record the digest alone may be left, and what outlasts a push is told by the rules.
		record.Config, record.Migrations = &agreed, maps.Clone(earlier.Migrations)
		record.SettleTime, record.Used = earlier.SettleTime, earlier.Used
	}
}
