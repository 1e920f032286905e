// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
)

// Online verifies a live cluster. An agent on one control-plane node reads etcd as the kube-apiserver there does, and tells
// numbers and names. Nothing is changed, so no lock is taken: a rotation may go on meanwhile. One that replaces the
// node's file while it is counted has it counted again.
type Online struct {
	Cluster  *kube.Cluster
	Observer *observe.Observer
	// Image of the agent, JobTimeout how long it may take to start.
	Image      string
	JobTimeout time.Duration
	// Resources to look at, wildcards included. None stands for those that the configuration has keys for, or
	// Secrets where there is no configuration.
	Resources []string
	// Names is how many names of each group are told: census.FirstNames, census.AllNames, or another number.
	Names int
	// Decrypt has each value opened on the node.
	Decrypt bool
	// MaxRate is in values per second, at least 1. 0 is no limit.
	MaxRate float64
	// Residue has the files of etcd's members searched for old values as well.
	Residue bool
	// Emit takes events.
	Emit event.Sink
}

const (
	// maxAttempts is how often the configuration may change under a verification before it gives up.
	maxAttempts = 3
	// usualLife is how long an agent may take to count without a limit of the rate, longLife with one. It ends with its command
	// anyway.
	usualLife, longLife = time.Hour, 24 * time.Hour
)

// unchanged is what every error can say.
const unchanged = "nothing was changed"

// Permissions are what verifying a live cluster needs. Where a wildcard for a group stands for what is served of it, the
// right to list apiservices besides.
func Permissions() []kube.Permission {
	return slices.Concat(observe.Permissions(), nodejob.Permissions())
}

// Run verifies. What it finds is no error.
func (o Online) Run(ctx context.Context) (*Result, error) {
	result, err := o.run(ctx)
	if err == nil {
		return result, nil
	}
	if ctx.Err() != nil {
		return nil, &hint.Error{Err: errors.New("interrupted"), Safe: unchanged, Exit: hint.ExitInterrupted}
	}
	return nil, hint.AtStage(err, "", unchanged)
}

func (o Online) run(ctx context.Context) (*Result, error) {
	defer o.Observer.Reacher.Close()
	if o.MaxRate != 0 && !(o.MaxRate >= 1) {
		return nil, errors.New("the limit of the rate must be 1 value per second at least")
	}
	if err := o.Cluster.CheckAccess(ctx, Permissions()); err != nil {
		return nil, err
	}
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("draw the run's name: %w", err)
	}
	v := &visit{
		Online: o, run: hex.EncodeToString(id),
		runner: &nodejob.Runner{Config: o.Cluster.Config, Client: o.Cluster.Typed, StartTimeout: o.JobTimeout},
	}
	defer func() { v.lament(v.runner.Drain(ctx, v.run)) }()
	for attempt := 1; ; attempt++ {
		result, err := v.attempt(ctx)
		var known *agentapi.Error
		if attempt < maxAttempts && errors.As(err, &known) && known.Code == agentapi.Changed {
			o.Emit(event.Notice{Text: err.Error() + ": counting again"})
			continue
		}
		return result, err
	}
}
