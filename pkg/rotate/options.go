// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rotate carries out plans: it asks package plan for the next step, does it, verifies it, and asks again.
//
// One run holds the lock from its first change to its end. What it knows of the files on the nodes it has from
// agents, and a file is only replaced in the same conversation in which it was looked at. A run may die anywhere:
// the next one derives from what it sees where to go on.
package rotate

import (
	"context"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
)

// Mode is what a run is for.
type Mode string

// The modes.
const (
	// Begin makes a new key.
	Begin Mode = "rotate"
	// Resume goes on with a rotation that stopped.
	Resume Mode = "resume"
	// Abort takes a new key back that was never used.
	Abort Mode = "abort"
	// Enable turns encryption on, or changes its resources and provider where it is on.
	Enable Mode = ledger.CommandEnable
	// Disable turns encryption off, for some resources or for all.
	Disable Mode = ledger.CommandDisable
	// Rollback lets a key write again that has written before.
	Rollback Mode = ledger.CommandRollback
	// Prune takes keys out that are proven to be needed by nothing.
	Prune Mode = ledger.CommandPrune
	// MigrateOnly rewrites what is stale under the write key as it is.
	MigrateOnly Mode = "migrate"
)

// Options are all that a run needs.
type Options struct {
	// Settings of the operation. Mode names it.
	Settings operation.Settings
	Mode     Mode
	// Continue has Enable, Disable, Rollback or Prune go on with what one before has begun.
	Continue bool
	// Target is the key that Rollback is to, with its fingerprint.
	Target encconfig.Key
	// Seen are the nodes as somebody has just looked at them, for a plan that can say more by it. What is done rests on what the
	// run sees itself.
	Seen map[string]agentapi.State
	// Keys are the names of those that Prune is about, as PROVIDER/NAME or NAME; none for those that retention lets go.
	Keys []string
	// Forget has Prune remove them from the nodes' histories too, which destroys them.
	Forget bool
	// Wait has Prune wait until superseded revisions are compacted.
	Wait bool
	// DryRun: the plan is all that is asked for, and nothing is put on record.
	DryRun bool
	// SeenUsage is what etcd was just counted to hold, for the plan of a Prune.
	SeenUsage *Usage
	// CountAll counts which keys the values in etcd name, of all resources, for Prune.
	CountAll func(context.Context, event.Sink) (*Usage, error)
	// Provider of the new key; empty for that of the write key.
	Provider encconfig.Provider
	// Keep is how many keys the configuration keeps.
	Keep int
	// Resources to migrate, for MigrateOnly, or to turn encryption on or off for.
	Resources []string
	// ConfigDir is where Enable puts the configuration on nodes that have none. Empty for where other nodes have it, or
	// the default.
	ConfigDir string
	// RollbackAfter is how long a kube-apiserver may take to be ready with an edited manifest.
	RollbackAfter time.Duration
	// RemoveFlags has Disable take the flags out of the kube-apiservers' manifests.
	RemoveFlags bool

	// Migration says how objects are migrated.
	Migration migrator.Settings

	// Count counts what etcd holds of what the configuration has keys for; its steps are told as progress. nil: it is not
	// counted. It is a function since a verification is an orchestration of its own, which knows of the permissions here.
	Count func(context.Context, event.Sink) (*ledger.Verification, error)
}

// The timing of a run.
const (
	// DefaultRollbackAfter is several times what a kube-apiserver needs for its start.
	DefaultRollbackAfter = 3 * time.Minute
	// settleTime lets writes end that were encrypted with the old key just before the new one was loaded. One that
	// takes longer is not lost: the old key stays readable, and the next rotation migrates it.
	settleTime = 5 * time.Second
)

// changesFlags tells whether the run may edit manifests.
func (o Options) changesFlags() bool { return o.Mode == Enable || o.Mode == Disable }

// named tells whether the run is put on record by the name of its command, by which it is resumed.
func (o Options) named() bool { return o.changesFlags() || o.Mode == Rollback || o.Mode == Prune }
