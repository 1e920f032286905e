// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package join seals the configuration that the nodes agree on to a machine that is no working control-plane node yet, or no
// more.
package join

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/bundle"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Run is one join.
type Run struct{ *operation.Operation }

// New prepares a join. It sends no request.
func New(c *kube.Cluster, s operation.Settings) (*Run, error) {
	s.Name, s.ReadOnly = stage, true
	op, err := operation.New(c, s)
	if err != nil {
		return nil, err
	}
	return &Run{Operation: op}, nil
}

// stage is the only one of a join.
const stage = "join"

// Join has an agent seal the configuration to a public key. It changes nothing, and holds the lock, so that nobody
// else changes what is sealed meanwhile.
//
// Every kube-apiserver must have proven that it has loaded the same file. If label is the name of a control-plane
// node, that one is left out of all this: it is the one that is to be mended.
func (r *Run) Join(ctx context.Context, publicKey []byte, label string) (b bundle.Bundle, err error) {
	defer r.Observer.Reacher.Close()
	if err := r.look(ctx, label); err != nil {
		return bundle.Bundle{}, err
	}
	err = r.Hold(ctx, func(ctx context.Context) (err error) {
		b, err = r.held(ctx, publicKey, label)
		return err
	})
	return b, err
}

// held is Join while the lock is held.
func (r *Run) held(ctx context.Context, publicKey []byte, label string) (b bundle.Bundle, err error) {
	if _, err := r.Runner.Sweep(ctx, r.ID); err != nil {
		return bundle.Bundle{}, err
	}
	// Whoever held the lock before may have changed what was seen.
	if err := r.look(ctx, label); err != nil {
		return bundle.Bundle{}, err
	}
	r.tell(label)
	err = r.WithAgents(ctx, func(agents *nodejob.Agents) (err error) {
		b, err = r.sealFor(ctx, agents, publicKey, label)
		return err
	})
	if err != nil {
		return bundle.Bundle{}, operation.Interrupted(ctx, hint.AtStage(err, stage, "nothing was changed"))
	}
	return b, nil
}

// look looks at the control plane without the node that is to be mended.
func (r *Run) look(ctx context.Context, label string) error {
	if err := r.Cluster.CheckAccess(ctx, operation.Permissions()); err != nil {
		return err
	}
	view, err := r.Observer.Look(ctx)
	if err != nil {
		return err
	}
	all := view.ControlPlane.Names()
	view.Without(label)
	if len(view.ControlPlane.Instances) == 0 && len(all) > 0 {
		return hint.Errorf("look for the file in the history of that node, "+project.NodeHistoryDir,
			"node %s is the only control-plane node: there is no other that could give it the file", label)
	}
	if err := view.Usable(); err != nil {
		return err
	}
	r.View = view
	_, err = onePlace(view.ControlPlane.Instances)
	return err
}

// onePlace is where all nodes have the configuration: a further node gets it there too.
func onePlace(instances []controlplane.Instance) (string, error) {
	var first string
	for i, in := range instances {
		file := path.Join(in.Manifest.HostDir, in.Manifest.File)
		if i == 0 {
			first = file
		}
		if file != first {
			return "", fmt.Errorf("the configuration is %s on node %s and %s on node %s: where a further node needs it can't be told",
				first, instances[0].Node, file, in.Node)
		}
	}
	return first, nil
}

func (r *Run) tell(label string) {
	if label != bundle.DefaultLabel {
		r.Emit(event.Notice{Text: fmt.Sprintf("the bundle is for %s; the file is that of %s", label, strings.Join(r.View.ControlPlane.Names(), ", "))})
	}
	if open := r.View.Ledger.Open(); open != nil {
		r.Emit(event.Warning{Text: fmt.Sprintf("the rotation to key %s has not ended: when it goes on, the file in the bundle is out of date", open.To)})
	}
}

// sealFor has the first node's agent seal its file, which all others have and have loaded.
func (r *Run) sealFor(ctx context.Context, agents *nodejob.Agents, publicKey []byte, label string) (bundle.Bundle, error) {
	instances := r.View.ControlPlane.Instances
	digest, err := r.sameFile(instances)
	if err != nil {
		return bundle.Bundle{}, err
	}
	if err := r.Await(ctx); err != nil {
		return bundle.Bundle{}, err
	}
	file, err := onePlace(instances)
	if err != nil {
		return bundle.Bundle{}, err
	}
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return bundle.Bundle{}, err
	}
	source := instances[0].Node
	b := bundle.New(file, digest, r.ID, label, publicKey, now)
	answer, err := agents.Sessions[source].Ask(ctx, agentapi.Request{Op: agentapi.Propose, Propose: &agentapi.Proposal{
		From: digest, Change: encconfig.Change{Kind: encconfig.KeepAll}, Recipients: map[string][]byte{b.SealedFor(): publicKey},
	}})
	if err != nil {
		return bundle.Bundle{}, err
	}
	if answer.Proposed == nil || answer.Proposed.Config.Digest != digest || len(answer.Proposed.Sealed[b.SealedFor()]) == 0 {
		return bundle.Bundle{}, fmt.Errorf("node %s: the agent does not hand out the file that it was asked for", source)
	}
	b.Sealed = answer.Proposed.Sealed[b.SealedFor()]
	return b, nil
}

// sameFile is the digest of the file that the agents have found on every node.
func (r *Run) sameFile(instances []controlplane.Instance) (string, error) {
	var found []string
	first := r.Files[instances[0].Node].Digest
	differ := false
	for _, in := range instances {
		file := r.Files[in.Node]
		if file.Config == nil && file.Problem != nil {
			return "", fmt.Errorf("node %s: %w", in.Node, file.Problem)
		}
		if file.Config == nil {
			return "", fmt.Errorf("node %s: its configuration is not understood", in.Node)
		}
		differ = differ || file.Digest != first
		found = append(found, in.Node+" "+plan.ShortDigest(file.Digest))
	}
	if differ {
		return "", hint.New(fmt.Errorf("the encryption configurations of the control-plane nodes differ: %s", strings.Join(found, ", ")),
			"if a rotation stopped half-way, go on with: "+project.Command+" rotate --resume",
			"else bring the nodes to one configuration with: "+project.Command+" repair")
	}
	return first, nil
}
