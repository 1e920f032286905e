// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/residue"
)

// members are those whose files are to be searched: one on each control-plane node.
func (v *visit) members(ctx context.Context) ([]controlplane.Member, error) {
	if !v.Residue || v.node.Manifest.ConfigPath == "" {
		return nil, nil
	}
	found, err := controlplane.Members(ctx, v.Cluster.Typed)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	for _, node := range v.view.ControlPlane.Names() {
		if !slices.ContainsFunc(found, func(m controlplane.Member) bool { return m.Node == node }) {
			found = append(found, controlplane.Member{Node: node, Problem: errors.New("no etcd runs on it as a static pod")})
		}
	}
	return found, nil
}

// residue searches the files of one member after the other, so that no more than one of them shares its disk.
func (v *visit) residue(ctx context.Context, members []controlplane.Member, config encconfig.Description) (*Residue, error) {
	r := &Residue{Resources: residuePatterns(v.Resources, config), Doubts: v.elsewhere(members)}
	r.Compaction, _ = v.view.ControlPlane.CompactionInterval()
	switch {
	case len(config.Rules) == 0:
		r.Unknown = "no kube-apiserver has an encryption configuration, so nothing tells old values from new ones"
		return r, nil
	case len(members) == 0:
		r.Unknown = "etcd does not run as a pod on the control-plane nodes. On the machines of its members the files of --data-dir are to be looked at, " +
			"and verify --snapshot FILE --config FILE --residue looks into a snapshot"
		return r, nil
	}
	for _, m := range members {
		var one MemberResidue
		err := v.step("look for old values in the files of etcd on node "+m.Node, stageResidue, func() (err error) {
			one, err = v.search(ctx, m, config)
			return err
		})
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			one.Unknown = err.Error() // what was found until then is left all the same
		}
		one.Member = m
		r.Members = append(r.Members, one)
	}
	r.Doubts = append(r.Doubts, v.changedMeanwhile(ctx, config)...)
	return r, v.tellApart(ctx, r.Members, config)
}

// changedMeanwhile asks the kube-apiservers once more what they run with.
func (v *visit) changedMeanwhile(ctx context.Context, config encconfig.Description) []string {
	now := observe.View{ControlPlane: v.view.ControlPlane}
	now.Evidence, _ = v.Observer.Instances(ctx, now.ControlPlane)
	return changedSince(v.view.Evidence, &now, v.node, config)
}

// elsewhere says what of the resources is in an etcd that is not that of the members, whose files are not searched.
func (v *visit) elsewhere(members []controlplane.Member) (doubts []string) {
	layout, err := etcdkey.NewLayout(v.node.Etcd.Prefix, v.node.Etcd.Servers, v.node.Etcd.Overrides)
	if err != nil {
		return []string{"it is not understood where the kube-apiservers keep what"}
	}
	var moved []string
	for _, r := range v.resources {
		if _, is := layout.Servers(r); is {
			moved = append(moved, r.Name)
		}
	}
	if len(moved) > 0 {
		doubts = append(doubts, listed(moved)+" may be in another etcd (--etcd-servers-overrides), whose files were not searched")
	}
	if servers, _ := layout.Servers(etcdkey.Resource{Grouped: true}); !controlplane.Behind(servers, members) {
		doubts = append(doubts, "the kube-apiservers reach etcd at addresses that its pods do not name, so it may be another one")
	}
	return doubts
}

// tellApart counts what etcd held at the revision up to which it is compacted, which is in no free page (rule 4 of package residue).
// If that fails the places are told by the revisions alone, and the members say so.
func (v *visit) tellApart(ctx context.Context, members []MemberResidue, config encconfig.Description) error {
	held := map[int64][]census.Tally{}
	for i := range members {
		m := &members[i]
		if !slices.ContainsFunc(m.Counts, func(c residue.Count) bool { return c.Place == residue.Freed && len(c.Old()) > 0 }) {
			continue
		}
		var err error
		if _, known := held[m.Compacted]; !known {
			v.total++
			err = v.step(fmt.Sprintf("count what etcd held at revision %d, which is in no free page", m.Compacted), stageCount, func() (err error) {
				held[m.Compacted], err = v.heldAt(ctx, m.Compacted, config)
				return err
			})
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if err == nil {
			m.Counts, err = residue.Apart(m.Counts, held[m.Compacted])
		}
		if err != nil {
			delete(held, m.Compacted)
			m.Note = "superseded revisions and free pages were told apart by revision alone, so some of what is called free pages may be superseded: " + err.Error()
		}
	}
	return nil
}

// heldAt counts what could be read in etcd at a revision.
func (v *visit) heldAt(ctx context.Context, revision int64, config encconfig.Description) ([]census.Tally, error) {
	agents, err := v.runner.Start(ctx, []nodejob.Spec{v.readerOfEtcd()})
	if err != nil {
		return nil, err
	}
	defer func() { v.lament(agents.Close(ctx)) }()
	online := v.Online
	online.Names, online.Decrypt = 0, false
	t, err := newTour(online, v.node.Etcd, config)
	if err != nil {
		return nil, err
	}
	t.resources = v.resources
	return t.at(ctx, agents.Sessions[v.node.Node], revision)
}

// search searches the files of one member.
func (v *visit) search(ctx context.Context, m controlplane.Member, config encconfig.Description) (MemberResidue, error) {
	if m.Problem != nil {
		return MemberResidue{}, m.Problem
	}
	agents, err := v.runner.Start(ctx, []nodejob.Spec{v.searcher(m)})
	if err != nil {
		return MemberResidue{}, err
	}
	defer func() { v.lament(agents.Close(ctx)) }()
	return v.ask(ctx, agents.Sessions[m.Node], m.Node, agentapi.Searching{
		Prefix: v.node.Etcd.Prefix, Config: config, Resources: residuePatterns(v.Resources, config), Within: within,
	})
}

// searcher is an agent that sees the files of etcd and nothing else.
func (v *visit) searcher(m controlplane.Member) nodejob.Spec {
	spec := v.reader(controlplane.Instance{Node: m.Node})
	spec.Data = &nodejob.Data{Snap: m.SnapDir, WAL: m.WALDir, Life: usualLife}
	return spec
}

// ask has an agent search, in as many requests as it takes. With an error, what was found before it.
func (v *visit) ask(ctx context.Context, agent asker, node string, ask agentapi.Searching) (MemberResidue, error) {
	var found MemberResidue
	for {
		answer, err := agent.Ask(ctx, agentapi.Request{Op: agentapi.Search, Search: &ask})
		if known := (*agentapi.Error)(nil); errors.As(err, &known) && known.Code == agentapi.Changed {
			return MemberResidue{}, err // the file that it was found in is gone
		}
		if err != nil {
			return found, err
		}
		part := answer.Searched
		if part == nil || !part.Done && (part.Read == 0 || part.Next == ask.From) {
			return MemberResidue{}, errors.New("the agent's answer is not one to what was asked: it searched nothing")
		}
		if found.Counts, err = residue.Merge(found.Counts, part.Counts); err != nil {
			return MemberResidue{}, err
		}
		found.Read += part.Read
		found.Compacted = part.Compacted
		const megabyte = 1_000_000
		v.Emit(event.StepProgress{
			Stage: stageResidue, Done: int(found.Read / megabyte), Total: int(max(part.Size, found.Read) / megabyte), Unit: "MB", Detail: node,
		})
		if part.Done {
			return found, nil
		}
		ask.From, ask.Compacted = part.Next, part.Compacted
	}
}

// lament tells of what went wrong after the work was done: what was found is not thrown away for it.
func (v *visit) lament(err error) {
	if err != nil {
		v.Emit(event.Warning{Text: fmt.Sprintf("the agents could not be tidied up: %v; they end by themselves", err)})
	}
}
