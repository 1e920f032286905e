// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package operation is one command at work on the control-plane nodes: it holds the lock, keeps an agent on every node,
// knows what was seen, hands out files, and waits until every kube-apiserver has proven its own.
//
// What there is to do it does not know: that is for the packages that are built on it. They rely on this:
//
//  1. Whoever changes something does so in Hold. Whatever way that ends, no agent and no Job of the operation outlives it.
//  2. No agent does anything before all of them have answered what is on their nodes, and a file is only replaced in the
//     same conversation in which it was looked at.
//  3. A file that was handed out is not proven to be loaded before Await has said so.
//  4. An operation may die anywhere. All that it knows can be found out again.
package operation

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/lock"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// The timing of an operation.
const (
	// DefaultConvergeTimeout is five polls of a kube-apiserver, which looks at its file every minute
	// (k8s.io/apiserver@v0.37.2 pkg/server/options/encryptionconfig/controller/controller.go).
	DefaultConvergeTimeout = 5 * time.Minute
	// DefaultJobTimeout leaves room for pulling the agent's image.
	DefaultJobTimeout = 2 * time.Minute
	// PollInterval is how often something is asked again that is waited for.
	PollInterval = time.Second
)

// Settings are what an operation needs.
type Settings struct {
	// Name of the command, and By who runs it, as user@host: the lock tells others.
	Name, By string
	// Ignore are nodes to go on without, if their kube-apiservers are seen not to serve.
	Ignore []string
	// Image of the agent.
	Image string
	// JobTimeout is how long an agent may take to start.
	JobTimeout time.Duration
	// ConvergeTimeout is how long kube-apiservers may take to load a file.
	ConvergeTimeout time.Duration
	// ReadOnly: the agents can't write. Manifests: they may make the configuration's folder, and change manifests.
	ReadOnly, Manifests bool
	// Emit takes events.
	Emit event.Sink
}

// Operation is one command at work.
type Operation struct {
	Settings
	// ID is the operation's name: in labels, in the ledger, in the lock.
	ID       string
	Cluster  *kube.Cluster
	Observer *observe.Observer
	// Runner runs the agents.
	Runner *nodejob.Runner

	// View is the control plane as last seen, nil before anybody has looked.
	View *observe.View
	// Files are what the agents saw last, by node.
	Files map[string]agentapi.State
	// Unproven are the nodes whose file was changed, or whose kube-apiserver was restarted: what they have loaded is not
	// awaited yet.
	Unproven map[string]bool
	// Pushed: a file may have been changed by this operation.
	Pushed bool
	// NewDir is where nodes get the configuration that have none, if no other has one. Empty for the default.
	NewDir string

	lock *lock.Lock
	// kept are the agents that wait for the next step, nil if none do.
	kept *crew
	// number counts the steps, replans how often one was given up because the nodes had changed.
	number, replans int
}

// New prepares an operation. It sends no request.
func New(c *kube.Cluster, s Settings) (*Operation, error) {
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("draw the run's name: %w", err)
	}
	observer := observe.New(c)
	observer.Ignore = s.Ignore
	return &Operation{
		Settings: s, ID: hex.EncodeToString(id), Cluster: c, Observer: observer,
		Runner:   &nodejob.Runner{Config: c.Config, Client: c.Typed, StartTimeout: s.JobTimeout},
		Unproven: map[string]bool{},
	}, nil
}

// Hold does some work while the lock is held. Its context ends when the lock is lost.
func (o *Operation) Hold(ctx context.Context, work func(context.Context) error) (err error) {
	defer o.Observer.Reacher.Close()
	waiting := func(text string) { o.Emit(event.Notice{Text: text}) }
	holder := fmt.Sprintf("%s (%s, run %s)", o.By, o.Name, o.ID)
	ctx, o.lock, err = lock.Acquire(ctx, o.Cluster.Typed.CoordinationV1(), holder, waiting)
	if err != nil {
		return hint.AtStage(err, "", "nothing was changed")
	}
	defer func() { err = tidied(err, errors.Join(o.Dismiss(ctx), o.Drain(ctx), o.lock.Release(ctx))) }()
	return work(ctx)
}

// tidied is how an operation ends that has tidied up. Where that alone failed, what was to be done is done.
func tidied(err, left error) error {
	if err != nil || left == nil {
		return errors.Join(err, left)
	}
	return hint.AtStage(fmt.Errorf("what was to be done is done, but something of it may be left behind: %w", left), "",
		"the next command that changes something removes it; else an agent ends by itself, and a lock that nobody renews is no lock",
		"see what is left with: kubectl -n "+project.Namespace+" get jobs,pods,leases -l "+project.LabelName+"="+project.Name)
}

// Sweep removes the Jobs that earlier runs have left, and tells how many they were.
func (o *Operation) Sweep(ctx context.Context) error {
	swept, err := o.Runner.Sweep(ctx, o.ID)
	if err == nil && swept > 0 {
		o.Emit(event.Notice{Text: fmt.Sprintf("%d Job(s) of an earlier run removed", swept)})
	}
	return err
}

// Drain removes all Jobs of the operation. Hold ends with that; it is for whoever has run agents without the lock.
func (o *Operation) Drain(ctx context.Context) error { return o.Runner.Drain(ctx, o.ID) }

// Bear has the lock outlast an API server that is out of reach for so long, if that is longer than it does by itself. 0 ends that.
func (o *Operation) Bear(d time.Duration) { o.lock.Bear(d) }

// Ledger is the record of the cluster.
func (o *Operation) Ledger() ledger.Store { return ledger.Store{Client: o.Cluster.Typed.CoreV1()} }

// Sleep waits, or gives the cause of the context's end.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// Interrupted says of an error that came with the end of the context what has ended it.
func Interrupted(ctx context.Context, wrapped error) error {
	var e *hint.Error
	if errors.As(wrapped, &e) && ctx.Err() != nil {
		if errors.Is(context.Cause(ctx), lock.ErrLost) {
			e.Err = fmt.Errorf("%w (%v)", lock.ErrLost, e.Err)
		} else {
			e.Err, e.Exit = errors.New("interrupted"), hint.ExitInterrupted
		}
	}
	return wrapped
}
