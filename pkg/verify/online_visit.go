// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// visit is one verification at work.
type visit struct {
	Online

	run    string
	runner *nodejob.Runner
	// view is what was seen of the control plane, node the instance whose etcd is read and whose file is judged by.
	view *observe.View
	node controlplane.Instance
	// resources are those that are counted.
	resources []etcdkey.Resource
	// number of the step, and how many there are.
	number, total int
}

// attempt looks at the control plane and counts.
func (v *visit) attempt(ctx context.Context) (*Result, error) {
	view, err := v.Observer.Look(ctx)
	if err != nil {
		return nil, err
	}
	if err := view.Known(); err != nil {
		return nil, err
	}
	v.view, v.node = view, judge(view)
	if err := v.node.EtcdError; err != nil {
		return nil, hint.Errorf("verify a snapshot of etcd instead, with --snapshot",
			"how the kube-apiserver on node %s reaches etcd is not understood: %v", v.node.Node, err)
	}
	if err := view.ControlPlane.SameEtcd(); err != nil {
		return nil, hint.Errorf("bring the kube-apiservers' manifests into line first", "it can't be told what is stored where: %v", err)
	}
	served, err := v.Cluster.Resources(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkNames(v.Resources, served, v.node.Manifest.ConfigPath != ""); err != nil {
		return nil, err
	}
	now, err := v.Cluster.Now(ctx)
	if err != nil {
		return nil, err
	}
	members, err := v.members(ctx)
	if err != nil {
		return nil, err
	}
	v.number, v.total = 0, 2+len(members)
	result, err := v.count(ctx, served)
	if err != nil {
		return nil, err
	}
	if v.Residue {
		if result.Residue, err = v.residue(ctx, members, result.Config); err != nil {
			return nil, err
		}
	}
	result.Source.Node, result.Source.Time = v.node.Node, now
	result.Doubts = append(result.Doubts, loadedElsewhere(view, v.node, result.Config)...)
	return result, v.askNodes(ctx, result)
}

// The stages of a verification, in events.
const (
	stageStart = "start-agent"
	stageCount = "count"
	stageHeld  = "find-keys"
	// stageCompare looks at every node's file where a kube-apiserver does not tell what it has loaded.
	stageCompare = "compare-files"
	// stageResidue looks for old values in the files of etcd.
	stageResidue = "search-files"
)

// step does something and tells of it.
func (v *visit) step(text, stage string, do func() error) error {
	started := time.Now()
	v.number++
	v.Emit(event.StepStarted{Number: v.number, Total: v.total, Stage: stage, Text: text})
	if err := do(); err != nil {
		return err
	}
	v.Emit(event.StepDone{Number: v.number, Total: v.total, Stage: stage, Text: text, Elapsed: time.Since(started)})
	return nil
}

// count has an agent count what is stored.
func (v *visit) count(ctx context.Context, served []kube.Resource) (*Result, error) {
	var agents *nodejob.Agents
	err := v.step("start an agent on node "+v.node.Node, stageStart, func() (err error) {
		agents, err = v.runner.Start(ctx, []nodejob.Spec{v.readerOfEtcd()})
		return err
	})
	if err != nil {
		return nil, err
	}
	defer func() { v.lament(agents.Close(ctx)) }()
	session := agents.Sessions[v.node.Node]
	config, err := v.config(ctx, session)
	if err != nil {
		return nil, err
	}
	p, err := newTour(v.Online, v.node.Etcd, config)
	if err != nil {
		return nil, err
	}
	if err := p.choose(served, func() (map[string]bool, error) { return v.Cluster.AggregatedGroups(ctx) }); err != nil {
		return nil, err
	}
	v.resources = p.resources
	var result *Result
	err = v.step("count what etcd holds of "+p.what(), stageCount, func() (err error) {
		result, err = p.walk(ctx, session)
		return err
	})
	return result, err
}

// readerOfEtcd is the agent that counts.
func (v *visit) readerOfEtcd() nodejob.Spec {
	spec := v.reader(v.node)
	life := usualLife
	if v.MaxRate > 0 {
		life = longLife
	}
	spec.Etcd = &nodejob.Etcd{CA: v.node.Etcd.CA, Cert: v.node.Etcd.Cert, Key: v.node.Etcd.Key, Life: life}
	return spec
}

// reader is an agent that looks at a node's files.
func (v *visit) reader(in controlplane.Instance) nodejob.Spec {
	spec := nodejob.Spec{Node: in.Node, Run: v.run, Image: v.Image, ConfigFile: project.ConfigFile, Reader: true}
	if in.Manifest.ConfigPath != "" {
		file := path.Join(in.Manifest.HostDir, in.Manifest.File)
		spec.ConfigDir, spec.ConfigFile = path.Dir(file), path.Base(file)
	}
	return spec
}

// config is the file that is judged by, the zero value if there is none.
func (v *visit) config(ctx context.Context, session asker) (encconfig.Description, error) {
	if v.node.Manifest.ConfigPath == "" {
		return encconfig.Description{}, nil
	}
	answer, err := session.Ask(ctx, agentapi.Request{Op: agentapi.Inspect})
	if err != nil {
		return encconfig.Description{}, err
	}
	switch {
	case answer.State != nil && answer.State.Config != nil:
		return *answer.State.Config, nil
	case answer.State != nil && answer.State.Problem != nil:
		return encconfig.Description{}, fmt.Errorf("node %s: %w", v.node.Node, answer.State.Problem)
	}
	return encconfig.Description{}, fmt.Errorf("node %s: the agent's answer tells nothing of the node", v.node.Node)
}

// listed names the first few.
func listed(names []string) string {
	const shown = 3
	if len(names) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
	}
	return strings.Join(names, ", ")
}
