// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// The environment of a test's process that is an agent and dies: the folder of the node, and before which system call.
const (
	dyingNode = "AGENT_THAT_DIES"
	dyingAt   = "AGENT_THAT_DIES_AT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(dyingNode); dir != "" {
		die(dir, os.Getenv(dyingAt))
	}
	os.Exit(m.Run())
}

// die installs a configuration as an agent does, and is killed by a signal before one of its system calls: nothing is deferred,
// nothing is flushed, and it is the kernel that lets go of the lock.
func die(dir, at string) {
	left, err := strconv.Atoi(at)
	if err == nil {
		err = installIn(dir, func(operation) error {
			if left--; left < 0 {
				_ = unix.Kill(os.Getpid(), unix.SIGKILL)
				select {}
			}
			return nil
		})
	}
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// installIn replaces key 1 by keys 2 and 1.
func installIn(dir string, before func(operation) error) error {
	config, err := openFolder(filepath.Join(dir, "config"), "config", os.Getuid(), before)
	if err != nil {
		return err
	}
	defer config.close()
	folder, err := openFolder(filepath.Join(dir, "history"), "history", os.Getuid(), before)
	if err != nil {
		return err
	}
	h := history{folder: folder}
	defer h.close()
	was, is := exampleConfig("1"), exampleConfig("2", "1")
	i := &installation{
		config: config, history: h, name: testConfigName, temp: tempName(testConfigName, "run-1"),
		intent: intent{Version: journalVersion, Run: "run-1", From: encconfig.Digest(was), To: encconfig.Digest(is)},
		data:   is, desc: describe(is), now: time.Date(2026, 11, 20, 10, 11, 12, 0, time.UTC),
	}
	return i.run()
}

// Not beside others: a process that is being started shares the locks of this one for a moment.
func TestInstall_killedBySignalAtAnyPoint(t *testing.T) { //nolint:paralleltest // see above
	was, is := encconfig.Digest(exampleConfig("1")), encconfig.Digest(exampleConfig("2", "1"))
	died := 0
	for at := 0; ; at++ {
		n := newNode(t, exampleConfig("1"))
		dir := filepath.Dir(n.ConfigDir)
		agent := exec.CommandContext(t.Context(), "/proc/self/exe")
		agent.Env = append(os.Environ(), dyingNode+"="+dir, dyingAt+"="+strconv.Itoa(at))
		out, err := agent.CombinedOutput()
		if err == nil {
			break // it made fewer system calls than that
		}
		status, ok := agent.ProcessState.Sys().(syscall.WaitStatus)
		require.True(t, ok && status.Signal() == unix.SIGKILL, "system call %d: %v\n%s", at, err, out)
		died++

		assertSound(t, n, was, is)
		require.NoError(t, installIn(dir, nil), "system call %d: it can be run again", at)
		assertSound(t, n, is)
		assertClean(t, n)
	}
	assert.Greater(t, died, 25)
}
