// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
)

func TestProbe_findsAFolderThatTakesNothing(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"config", "history"} {
		for _, call := range []string{"create", "write", "fsync"} {
			for _, cause := range []syscall.Errno{syscall.EROFS, syscall.ENOSPC} {
				t.Run(folder+" "+call+" "+cause.Error(), func(t *testing.T) {
					t.Parallel()
					n := newNode(t, exampleConfig("1"))
					n.before = func(op operation) error {
						if op.folder == folder && op.call == call {
							return cause
						}
						return nil
					}
					resp := n.ask(agentapi.Request{Op: agentapi.Probe})
					require.NotNil(t, resp.Error)
					assert.Equal(t, agentapi.WriteFailed, resp.Error.Code)
					assert.Contains(t, resp.Error.Message, cause.Error())
					assertUntouched(t, n)
				})
			}
		}
	}
}

func TestProbe_leavesNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	require.Nil(t, n.ask(agentapi.Request{Op: agentapi.Probe}).Error)
	assertUntouched(t, n)
}

func TestProbe_thatDiedIsSwept(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"config", "history"} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, exampleConfig("1"))
			dead := false
			n.before = func(op operation) error {
				if dead = dead || op.folder == folder && op.call == "fsync"; dead {
					return errors.New("dead")
				}
				return nil
			}
			require.NotNil(t, n.ask(agentapi.Request{Op: agentapi.Probe}).Error)
			left, err := os.ReadDir(map[string]string{"config": n.ConfigDir, "history": n.HistoryDir}[folder])
			require.NoError(t, err)
			require.True(t, len(left) > 0 && left[0].Name()[0] == '.', "it left its file: %v", left)

			n.before = nil
			require.Nil(t, n.install(n.prepared(addKey("2"))).Error)
			assertClean(t, n)
		})
	}
}

// assertUntouched requires that the node is as it was made.
func assertUntouched(t *testing.T, n *node) {
	t.Helper()
	assert.Equal(t, exampleConfig("1"), readFile(t, n.path()))
	files, err := filepath.Glob(filepath.Join(n.ConfigDir, "*"))
	require.NoError(t, err)
	hidden, err := filepath.Glob(filepath.Join(n.ConfigDir, ".*"))
	require.NoError(t, err)
	assert.Equal(t, []string{n.path()}, append(files, hidden...))
	assert.Empty(t, historyFiles(t, n))
}
