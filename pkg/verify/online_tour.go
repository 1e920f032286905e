// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
)

// within is how long the agent counts for one request: as long as a reader of a progress line waits for news.
const within = 3 * time.Second

// asker is a conversation with an agent.
type asker interface {
	Ask(ctx context.Context, request agentapi.Request) (*agentapi.Response, error)
}

// tour goes through resources, in the etcd that each is in.
type tour struct {
	Online

	etcd   controlplane.Etcd
	layout etcdkey.Layout
	config encconfig.Description
	// resources to count. If everything is, there is one without a name.
	resources []etcdkey.Resource
	notes     []string

	sum census.Census
	// revisions that are read, by the servers of the etcd.
	revisions map[string]int64
}

func newTour(o Online, etcd controlplane.Etcd, config encconfig.Description) (*tour, error) {
	layout, err := etcdkey.NewLayout(etcd.Prefix, etcd.Servers, etcd.Overrides)
	if err != nil {
		return nil, err
	}
	t := &tour{
		Online: o, etcd: etcd, layout: layout, config: config,
		sum: census.Census{Config: config.Digest}, revisions: map[string]int64{},
	}
	switch {
	case o.Decrypt && config.Digest == "":
		t.Decrypt = false
		t.note("there is no configuration, so there are no keys to decrypt with")
	case o.Decrypt && config.Uses(encconfig.KMS):
		t.note("what is encrypted by KMS was not decrypted: only kube-apiserver may ask a plugin")
	}
	return t, nil
}

func (t *tour) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// what names the resources.
func (t *tour) what() string {
	if t.everything() {
		return "everything"
	}
	var names []string
	for _, r := range t.resources {
		names = append(names, r.Name)
	}
	return listed(names)
}

func (t *tour) everything() bool { return len(t.resources) == 1 && t.resources[0].Name == "" }

// walk counts the resources one after the other. All of those in one etcd are read at one revision, unless that is compacted
// meanwhile.
func (t *tour) walk(ctx context.Context, agent asker) (*Result, error) {
	result := &Result{Config: t.config, Everything: t.everything(), Decrypted: t.Decrypt}
	var asked, whole []string
	for i, r := range t.resources {
		servers, err := t.servers(r)
		if err != nil {
			return nil, err
		}
		etcd := strings.Join(controlplane.Hosts(servers), ",")
		if err := t.count(ctx, agent, r, etcd, i); err != nil {
			return nil, err
		}
		if !slices.Contains(asked, etcd) {
			asked = append(asked, etcd)
		}
		whole = append(whole, r.Name)
	}
	if t.everything() {
		whole = t.wholeOfEverything()
	}
	if len(asked) > 0 {
		result.Source.Endpoint, result.Source.Revision = strings.Join(asked, " "), t.revisions[asked[0]]
	}
	t.sum.Whole = slices.Compact(slices.Sorted(slices.Values(whole)))
	result.Census, result.Notes = t.sum, t.notes
	return result, nil
}

// at counts the resources as they were at a revision of the etcd that holds what no override moves.
func (t *tour) at(ctx context.Context, agent asker, revision int64) ([]census.Tally, error) {
	main, err := t.servers(etcdkey.Resource{})
	if err != nil {
		return nil, err
	}
	for i, r := range t.resources {
		servers, err := t.servers(r)
		switch {
		case err != nil:
			return nil, err
		case !slices.Equal(servers, main):
			continue // it is in files that were not searched
		}
		etcd := strings.Join(controlplane.Hosts(servers), ",")
		t.revisions[etcd] = revision
		if err := t.count(ctx, agent, r, etcd, i); err != nil {
			return nil, err
		}
		if t.revisions[etcd] != revision {
			return nil, errors.New("etcd was compacted meanwhile")
		}
	}
	return t.sum.Tallies, nil
}

// servers are those of the etcd that a resource is in.
func (t *tour) servers(r etcdkey.Resource) ([]string, error) {
	if r.Name == "" {
		r.Grouped = true // no override moves what has no name
	}
	servers, _ := t.layout.Servers(r)
	return servers, t.etcd.Usable(servers)
}

// count counts one resource, in as many requests as it takes.
func (t *tour) count(ctx context.Context, agent asker, r etcdkey.Resource, etcd string, number int) error {
	ask := agentapi.Counting{
		Resource: r, Prefix: t.etcd.Prefix, Servers: t.etcd.Servers, Overrides: t.etcd.Overrides, Config: t.config.Digest,
		Decrypt: t.Decrypt, Names: t.Names, MaxRate: t.MaxRate, Within: within, Revision: t.revisions[etcd],
	}
	var objects int64
	compacted := false
	for {
		answer, err := agent.Ask(ctx, agentapi.Request{Op: agentapi.Count, Count: &ask})
		if err != nil {
			return err
		}
		part := answer.Counted
		if part == nil || !part.Done && bytes.Compare(part.Next, ask.From) <= 0 {
			return errors.New("the agent's answer is not one to what was asked: it counted nothing")
		}
		if t.sum, err = census.Merge(t.Names, t.sum, census.Census{Config: t.config.Digest, Tallies: part.Tallies}); err != nil {
			return err
		}
		if part.Compactions > 0 && !compacted {
			compacted = true
			t.note("%s: the revision was compacted while it was read, and the rest was read at a later one: "+
				"what was written meanwhile behind the place that was reached is not counted", nameOr(r.Name, "everything"))
		}
		objects += int64(part.Count)
		t.revisions[etcd], ask.Revision, ask.From = part.Revision, part.Revision, part.Next
		done := number
		if part.Done {
			done++
		}
		t.Emit(event.StepProgress{
			Stage: stageCount, Done: done, Total: len(t.resources), Unit: "resources",
			Detail: fmt.Sprintf("%s %s", nameOr(r.Name, "everything"), census.Number(objects)),
		})
		if part.Done {
			return nil
		}
	}
}

// wholeOfEverything is what was counted to its end when all keys were. Where some belong to no resource that is known, nobody
// knows what else there is.
func (t *tour) wholeOfEverything() (whole []string) {
	at := slices.IndexFunc(t.sum.Tallies, func(tally census.Tally) bool { return tally.Resource == "" })
	if at < 0 {
		return []string{allResources}
	}
	t.sum.Tallies[at].Resource = Unfamiliar
	t.note("%s values are under keys of which it can't be told what resource they are of", census.Number(t.sum.Tallies[at].Objects))
	whole = slices.DeleteFunc(t.config.Patterns(), func(pattern string) bool { return strings.HasPrefix(pattern, "*") })
	for i, tally := range t.sum.Tallies {
		if i != at {
			whole = append(whole, tally.Resource)
		}
	}
	return whole
}

func nameOr(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}
