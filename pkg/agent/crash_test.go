// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

var errKilled = errors.New("killed")

// record lets an agent work and gives the system calls that it made.
func record(n *node, work func()) []operation {
	var made []operation
	n.before = func(op operation) error {
		op.data = append([]byte(nil), op.data...)
		made = append(made, op)
		return nil
	}
	work()
	n.before = nil
	return made
}

// killAt ends the agent before its nth system call: neither that one nor any later one happens.
func killAt(n *node, at int) {
	made := 0
	n.before = func(operation) error {
		if made++; made > at {
			return errKilled
		}
		return nil
	}
}

// killBefore ends the agent before the first system call of its kind in the folder of the configuration.
func killBefore(n *node, call string) {
	dead := false
	n.before = func(op operation) error {
		if dead = dead || op.folder == "config" && op.call == call; dead {
			return errKilled
		}
		return nil
	}
}

// failAt lets one system call fail and all others succeed.
func failAt(n *node, at int, with error) (failed *operation) {
	made := 0
	failed = new(operation)
	n.before = func(op operation) error {
		if made++; made == at+1 {
			*failed = op
			return with
		}
		return nil
	}
	return failed
}

// situation is a node before an installation, and the installation.
type situation struct {
	name    string
	prepare func(t *testing.T) (*node, agentapi.Installation)
}

func situations() []situation {
	return []situation{
		{"the first installation", func(t *testing.T) (*node, agentapi.Installation) {
			t.Helper()
			n := newNode(t, exampleConfig("1"))
			return n, n.prepared(addKey("2"))
		}},
		{"an installation with a full history", func(t *testing.T) (*node, agentapi.Installation) {
			t.Helper()
			n := newNode(t, exampleConfig("1"))
			for number := range KeepRevisions {
				r := revision{number: number + 1, time: n.Now(), run: "run-0"}
				writeHistory(t, n, r.fileName(), string(exampleConfig("1")))
			}
			return n, n.prepared(addKey("2"))
		}},
		{"an installation on top of an interrupted one", func(t *testing.T) (*node, agentapi.Installation) {
			t.Helper()
			n := newNode(t, exampleConfig("1"))
			killBefore(n, "rename")
			require.Error(t, n.Server.install(n.prepared(addKey("2"))))
			n.before = nil
			require.NotNil(t, n.inspect().Interrupted)
			return n, n.prepared(addKey("3"))
		}},
	}
}

// systemCalls is how many an installation makes.
func systemCalls(t *testing.T, s situation) int {
	t.Helper()
	n, i := s.prepare(t)
	calls := len(record(n, func() { require.NoError(t, n.Server.install(i)) }))
	require.Greater(t, calls, 25)
	return calls
}

func TestInstall_killedAtAnyPoint(t *testing.T) {
	t.Parallel()
	for _, s := range situations() {
		t.Run(s.name+" => old or new, and it can be run again", func(t *testing.T) {
			t.Parallel()
			calls := systemCalls(t, s)
			for at := range calls {
				n, i := s.prepare(t)
				killAt(n, at)
				require.Error(t, n.Server.install(i), "system call %d", at)
				n.before = nil

				st := assertSound(t, n, i.From, i.To)
				if last := at == calls-1; st.Digest == i.To && !last {
					assert.NotNil(t, st.Interrupted, "system call %d: what is unproven must be seen", at)
				}
				require.Nil(t, n.install(i).Error, "system call %d", at)
				assertInstalled(t, n, i)
			}
		})
	}
}

func assertInstalled(t *testing.T, n *node, i agentapi.Installation) {
	t.Helper()
	st := assertSound(t, n, i.To)
	assert.Nil(t, st.Interrupted)
	assert.GreaterOrEqual(t, len(st.History), 2)
	assert.LessOrEqual(t, len(st.History), KeepRevisions)
	var kept []string
	for _, r := range st.History {
		kept = append(kept, r.Config.Digest)
	}
	assert.Contains(t, kept, i.From)
	assert.Equal(t, i.To, kept[len(kept)-1])
	assertClean(t, n)
}

func TestInstall_anySystemCallFails(t *testing.T) {
	t.Parallel()
	type failure struct {
		situation

		errno syscall.Errno
	}
	var tests []failure
	for _, s := range situations() {
		tests = append(tests, failure{s, syscall.ENOSPC})
	}
	tests = append(tests, failure{situations()[0], syscall.EROFS}, failure{situations()[0], syscall.EIO})
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s, %v => old or new, told which, and it can be run again", tt.name, tt.errno), func(t *testing.T) {
			t.Parallel()
			for at := range systemCalls(t, tt.situation) {
				n, i := tt.prepare(t)
				failed := failAt(n, at, tt.errno)
				err := n.Server.install(i)
				n.before = nil

				assertTold(t, *failed, err, assertSound(t, n, i.From, i.To), i)
				require.Nil(t, n.install(i).Error)
				assertInstalled(t, n, i)
			}
		})
	}
}

func TestInstall_failsAndLeavesNoTemporaryFile(t *testing.T) {
	t.Parallel()
	first := situations()[0]
	for at := range systemCalls(t, first) {
		n, i := first.prepare(t)
		failed := failAt(n, at, syscall.ENOSPC)
		_ = n.Server.install(i) // whether it went through is the business of the test above
		n.before = nil
		assert.Equal(t, []string{n.ConfigName}, fileNames(t, n.ConfigDir), "%s %s", failed.call, failed.name)
	}
}

// assertTold holds an answer to a failure against the node.
func assertTold(t *testing.T, failed operation, err error, st agentapi.State, i agentapi.Installation) {
	t.Helper()
	if err == nil {
		assert.Equal(t, i.To, st.Digest, "%s %s", failed.call, failed.name)
		return
	}
	answer := coded(err, agentapi.WriteFailed)
	assert.Contains(t, []agentapi.Code{agentapi.WriteFailed, agentapi.Unreadable, agentapi.Invalid}, answer.Code)
	inPlace := strings.Contains(answer.Message, "new configuration is in place")
	assert.Equal(t, st.Digest == i.To, inPlace, "%s %s: %s", failed.call, failed.name, answer.Message)
}

func TestInstall_runAgainProvesAnewWhatIsInPlace(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	i := n.prepared(addKey("2"))
	n.before = func(op operation) error {
		if op.folder == "config" && op.call == "fsync folder" {
			return syscall.EIO
		}
		return nil
	}
	resp := n.install(i)
	require.NotNil(t, resp.Error)
	assert.Contains(t, resp.Error.Message, "it is not proven that it would outlive a power cut")
	assert.Equal(t, &agentapi.Installation{From: i.From, To: i.To}, resp.State.Interrupted)

	// A sync that failed once may succeed the next time without having written anything: only a new file is proof.
	made := configCalls(record(n, func() { require.Nil(t, n.install(i).Error) }))
	assert.Contains(t, made, "rename")
	assertInstalled(t, n, i)

	// Once it is proven, the file stays, and is synced for the case that it was written by somebody else.
	made = configCalls(record(n, func() { require.Nil(t, n.install(i).Error) }))
	assert.NotContains(t, made, "rename")
	assert.Subset(t, made, []string{"fsync", "fsync folder"})
}

func configCalls(made []operation) []string {
	var calls []string
	for _, op := range made {
		if op.folder == "config" {
			calls = append(calls, op.call)
		}
	}
	return calls
}

func TestInstall_failsAndIsNotRunAgain(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	i := n.prepared(addKey("2"))
	temp := tempName(n.ConfigName, n.Run)
	n.before = func(op operation) error {
		if op.call == "write" && op.name == temp {
			return syscall.ENOSPC
		}
		return nil
	}
	resp := n.install(i)
	require.NotNil(t, resp.Error)
	assert.Equal(t, &agentapi.Error{
		Code: agentapi.WriteFailed, Message: "write " + temp + ": no space left on device",
	}, resp.Error)
	assert.Nil(t, resp.State.Interrupted)
	require.Len(t, resp.State.History, 1, "what never came into place is not kept")
	assert.Equal(t, i.From, resp.State.History[0].Config.Digest)
	assert.Equal(t, uint64(2), resp.State.HighestKey, "but its key's name is spent")
	assertClean(t, n)
}

func TestInstall_fileIsEditedWhileTheNewOneIsWritten(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	i := n.prepared(addKey("2"))
	edited := exampleConfig("1", "7")
	n.before = func(op operation) error {
		if op.call == "fsync" && op.name == tempName(n.ConfigName, n.Run) {
			n.write(edited)
		}
		return nil
	}
	resp := n.install(i)
	require.NotNil(t, resp.Error)
	assert.Equal(t, agentapi.Changed, resp.Error.Code)
	assert.Equal(t, edited, readFile(t, n.path()))
	assertClean(t, n)
}

func TestInstall_whatWasWrittenReadsOtherwise(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	i := n.prepared(addKey("2"))
	temp := tempName(n.ConfigName, n.Run)
	n.before = func(op operation) error {
		if op.call == "read" && op.name == temp {
			n.write(exampleConfig("1")) // touched, not changed
			return writeBadBlock(n, temp)
		}
		return nil
	}
	resp := n.install(i)
	require.NotNil(t, resp.Error)
	assert.Equal(t, agentapi.WriteFailed, resp.Error.Code)
	assert.Contains(t, resp.Error.Message, "does not hold what was written to it")
	assert.Equal(t, encconfig.Digest(exampleConfig("1")), n.digest())
	assertClean(t, n)
}

// writeBadBlock changes a byte of a file as a bad disk would.
func writeBadBlock(n *node, name string) error {
	root, err := n.openConfig()
	if err != nil {
		return err
	}
	defer root.close()
	file, err := root.root.OpenFile(name, syscall.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt([]byte{'#'}, 3)
	return errors.Join(err, file.Close())
}
