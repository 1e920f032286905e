// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const after = " S 1 10 10 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 9 0 248375 1000"
	for name, row := range map[string]struct {
		line  string
		want  stat
		ended bool
		fails string
	}{
		"a plain name => state and start":                   {line: "10 (etcd)" + after, want: stat{"S", 9, 248375}},
		"a name with spaces and parentheses => still found": {line: "10 (a) S (b c)" + after, want: stat{"S", 9, 248375}},
		"a first thread that ended before others => it runs": {
			line: "10 (etcd)" + strings.Replace(after, " S ", " Z ", 1), want: stat{"Z", 9, 248375},
		},
		"the only thread ended => it ended": {
			line: "10 (etcd)" + strings.NewReplacer(" S ", " Z ", " 9 0 ", " 1 0 ").Replace(after), want: stat{"Z", 1, 248375}, ended: true,
		},
		"a line that is cut => an error":         {line: "10 (etcd) S 1", fails: "too short"},
		"a start that is no number => an error":  {line: "10 (etcd)" + strings.Replace(after, "248375", "x", 1), fails: "invalid syntax"},
		"threads that are no number => an error": {line: "10 (etcd)" + strings.Replace(after, " 9 0 ", " x 0 ", 1), fails: "invalid syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseStat(row.line)
			if row.fails != "" {
				require.ErrorContains(t, err, row.fails)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, row.want, got)
			assert.Equal(t, row.ended, got.ended())
		})
	}
}

func TestIdentity_isOfOneProcessOnly(t *testing.T) {
	t.Parallel()
	self, err := Identify(os.Getpid())
	require.NoError(t, err)
	assert.True(t, self.Alive())

	other := self
	other.Started++
	assert.False(t, other.Alive(), "the same id, started at another time")
	require.ErrorIs(t, other.Signal(unix.SIGKILL), ErrGone)

	other = self
	other.BootID = "another boot"
	assert.False(t, other.Alive(), "the same id and time, in another boot")
	assert.False(t, Identity{}.Alive(), "nobody")
}

func TestIdentity_outlivesTheFirstThread(t *testing.T) {
	t.Parallel()
	started, says, err := os.Pipe()
	require.NoError(t, err)
	id, err := Start(Spec{
		Path: "/proc/self/exe", Env: []string{firstThreadEnds + "=1"}, Log: filepath.Join(t.TempDir(), "log"), Files: []*os.File{says},
	})
	require.NoError(t, err)
	require.NoError(t, says.Close())
	_, err = io.ReadFull(started, make([]byte, 1))
	require.NoError(t, err)
	assert.True(t, id.Alive())

	require.NoError(t, Kill(t.Context(), id))
	assert.False(t, id.Alive())
}

// firstThreadEnds makes of this program one whose first thread ends while the
// others go on.
const firstThreadEnds = "FIRST_THREAD_ENDS"

func TestMain(m *testing.M) {
	if os.Getenv(firstThreadEnds) != "" {
		endFirstThread()
	}
	os.Exit(m.Run())
}

func init() { //nolint:gochecknoinits // the first thread can be had nowhere else
	if os.Getenv(firstThreadEnds) != "" {
		// In an init the lock is to the first thread.
		runtime.LockOSThread()
	}
}

func endFirstThread() {
	go func() {
		line := ""
		for !strings.Contains(line, ") Z ") {
			content, err := os.ReadFile("/proc/self/stat")
			if err != nil {
				os.Exit(1)
			}
			line = string(content)
		}
		_, _ = os.NewFile(3, "started").WriteString("1")
		select {}
	}()
	_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		script string
		grace  time.Duration
		left   string
	}{
		"a process that listens => it ends by itself": {
			script: "trap 'echo bye; exit' TERM; echo up; exec 3>&-; while :; do sleep 0.01; done", grace: time.Minute, left: "up\nbye\n",
		},
		"a process that does not listen => it is killed": {
			script: "trap '' TERM; echo up; exec 3>&-; while :; do sleep 0.01; done", grace: time.Millisecond, left: "up\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := filepath.Join(t.TempDir(), "folder", "log")
			started, says, err := os.Pipe()
			require.NoError(t, err)
			id, err := Start(Spec{
				Path: "/bin/sh", Args: []string{"-c", row.script}, Env: []string{"PATH=/usr/bin:/bin"}, Log: log,
				Files: []*os.File{says},
			})
			require.NoError(t, err)
			require.NoError(t, says.Close())
			// The script says so when it is ready for a signal.
			_, err = io.ReadAll(started)
			require.NoError(t, err)
			assert.True(t, id.Alive())

			require.NoError(t, Stop(t.Context(), id, row.grace))
			assert.False(t, id.Alive())
			content, err := os.ReadFile(log)
			require.NoError(t, err)
			assert.Equal(t, row.left, string(content))
			assert.NoError(t, Stop(t.Context(), id, row.grace), "stopping it again is no error")
		})
	}
}
