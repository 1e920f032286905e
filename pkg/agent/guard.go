// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/readyz"
)

// GuardOptions say for which run a guard works, and with what.
type GuardOptions struct {
	// Run is the run that called the guard.
	Run string
	// ManifestDir is the folder of the node's static pods, ManifestName the file in it that runs kube-apiserver.
	ManifestDir, ManifestName string
	// HistoryDir is the folder of the history, LogDir that of the logs of the node's pods.
	HistoryDir, LogDir string
	// Owner is the user that must own the files: 0, but in tests.
	Owner int
	// Now is the node's clock, Boot identifies the boot of the node that it has run since.
	Now  func() time.Time
	Boot string
	// Ask asks the kube-apiserver at an address.
	Ask func(ctx context.Context, address string) (readyz.Answer, error)
	// Out is told in a line what the guard does. The container's log keeps it.
	Out io.Writer
}

// The timing of a guard.
const (
	// pause is between two looks.
	pause = 2 * time.Second
	// enough is how many looks in a row must find everything in order.
	enough = 3
	// sightWithin is how long the kube-apiserver may take to be ready before the edit.
	sightWithin = 20 * time.Second
	// restoreWithin is how long it may take to be ready with the manifest that was put back.
	restoreWithin = 10 * time.Minute
	// leaveWithin is how long a guard that has ended waits for the kubelet to end its pod.
	leaveWithin = time.Minute
)

// Guard edits the manifest of the node's kube-apiserver and watches over it until the kube-apiserver is ready as edited;
// otherwise it puts the old manifest back. It needs no API server, and nobody who waits for it.
//
// It may die between any two system calls and is then started again. It goes on from what the journal says and from
// which manifest is there:
//
//	journal     manifest   it goes on with
//	prepared    old        the edit, unless it is too late for that
//	prepared    edited     watching: the edit was made and not noted
//	watched     edited     watching, up to the same deadline
//	watched     old        waiting for the kube-apiserver: somebody has put it back
//	reverting   edited     putting the old manifest back
//	reverting   old        waiting for the kube-apiserver
//	any         another    nothing: somebody else is at work on it
//	final       any        taking its own manifest away, as the last act
//
// What it needs to put the old manifest back is on the disk before the edit, the room for the journal included: the way
// back is one rename.
type Guard struct {
	GuardOptions

	manifests *folder
	history   history
	logs      *os.Root
	journal   guardJournal
	sequence  uint64
	// before is nil outside tests, see folder.
	before func(operation) error
}

// NewGuard makes a guard.
func NewGuard(o GuardOptions) (*Guard, error) {
	if !runName.MatchString(o.Run) {
		return nil, fmt.Errorf("%q is not the identifier of a run", o.Run)
	}
	return &Guard{GuardOptions: o}, nil
}

// Work does a guard's work to its end. It ends early, without an error of its own, only when ctx does.
func (g *Guard) Work(ctx context.Context) error {
	closeAll, err := g.open()
	if err != nil {
		return err
	}
	defer closeAll()
	unlock, err := g.lock(ctx)
	if err != nil {
		return err
	}
	err = g.run(ctx)
	unlock()
	if err != nil {
		return err
	}
	_ = g.wait(ctx, leaveWithin) // the kubelet is about to end the pod, now or then
	return nil
}

func (g *Guard) open() (closeAll func(), err error) {
	g.manifests, err = openManifests(g.ManifestDir, g.Owner, g.before)
	if err != nil {
		return nil, err
	}
	h, err := openFolder(g.HistoryDir, "history", g.Owner, g.before)
	if err != nil {
		g.manifests.close()
		return nil, err
	}
	g.history = history{folder: h}
	g.logs, err = os.OpenRoot(g.LogDir)
	if err != nil {
		g.manifests.close()
		h.close()
		return nil, callFailed(err, "open the folder of logs")
	}
	return func() { g.manifests.close(); h.close(); _ = g.logs.Close() }, nil
}

// lock waits until the agent that called the guard, or a guard that is about to end, has gone.
func (g *Guard) lock(ctx context.Context) (unlock func(), err error) {
	for {
		unlock, err := g.history.folder.lock(guardLockName)
		if !errors.Is(err, errBusy) {
			return unlock, err
		}
		if err := g.wait(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// wait waits for a while, or until ctx ends, which is the error then.
func (g *Guard) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// run goes on from where the journal says, up to the end.
func (g *Guard) run(ctx context.Context) error {
	j, sequence, err := g.history.guard()
	if err != nil {
		return err
	}
	if j == nil || j.Edit.Run != g.Run {
		g.say("there is no edit to be made for run %s", g.Run)
		return g.leave(ctx)
	}
	g.journal, g.sequence = *j, sequence
	for !g.journal.Edit.Stage.Final() {
		g.say("%s", g.journal.Edit.Stage)
		switch g.journal.Edit.Stage {
		case agentapi.EditWatched:
			err = g.watch(ctx)
		case agentapi.EditReverting:
			err = g.revert(ctx)
		default:
			err = g.begin(ctx)
		}
		if err != nil {
			return err
		}
	}
	g.say("%s %s", g.journal.Edit.Stage, g.journal.Edit.Reason)
	return g.finish(ctx)
}

func (g *Guard) say(format string, args ...any) {
	fmt.Fprintf(g.Out, "%s %s\n", g.Now().UTC().Format(time.RFC3339), fmt.Sprintf(format, args...))
}

// enter makes a stage the present one. Whether the journal could take it is told; what a guard does from the edit on
// does not depend on it.
func (g *Guard) enter(stage agentapi.Stage, why string) error {
	g.journal.Edit.Stage, g.journal.Edit.Time = stage, g.Now()
	if why != "" {
		g.journal.Edit.Reason = why
	}
	return g.note()
}

func (g *Guard) note() error {
	if err := g.history.noteGuard(g.sequence+1, g.journal); err != nil {
		return err
	}
	g.sequence++
	return nil
}

// finish records the outcome, until it can, and leaves.
func (g *Guard) finish(ctx context.Context) error {
	for !g.recorded() {
		err := g.note()
		if err == nil {
			break
		}
		g.say("the outcome can't be recorded: %s", reason(err))
		if err := g.wait(ctx, pause); err != nil {
			return err
		}
	}
	return g.leave(ctx)
}

// recorded tells whether the outcome is in the journal, or there is none any more.
func (g *Guard) recorded() bool {
	j, _, err := g.history.guard()
	return err == nil && (j == nil || j.Edit.Stage == g.journal.Edit.Stage)
}

// leave removes what the guard has put into the folder of the manifests, its own manifest last. One that is another
// run's stays.
func (g *Guard) leave(ctx context.Context) error {
	for {
		err := g.clean()
		if err == nil {
			return nil
		}
		g.say("the guard's files can't be removed: %s", reason(err))
		if err := g.wait(ctx, pause); err != nil {
			return err
		}
	}
}

func (g *Guard) clean() error {
	if err := g.removeTemps(); err != nil {
		return err
	}
	own, err := g.manifests.read(guardManifestName, maxManifest)
	if call, ok := errors.AsType[*callError](err); ok && !errors.Is(err, fs.ErrNotExist) {
		return call
	}
	if err != nil || !isGuardOf(own.data, g.Run) {
		return nil //nolint:nilerr // what is not there, or not a file of root's, is not ours
	}
	return dismiss(g.manifests)
}

func (g *Guard) removeTemps() error {
	return errors.Join(
		g.manifests.remove(editTemp(g.ManifestName, g.Run)),
		g.manifests.remove(backTemp(g.ManifestName, g.Run)),
	)
}
