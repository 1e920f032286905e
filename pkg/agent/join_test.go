// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/bundle"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

const joinPath = project.DefaultConfigDir + "/" + project.ConfigFile

var joinTime = time.Date(2026, 11, 20, 10, 11, 12, 0, time.UTC)

// newMachine is a machine with an empty file system.
func newMachine(t *testing.T) Machine {
	t.Helper()
	root := tempFolder(t)
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	return Machine{Root: root, Owner: os.Getuid(), User: os.Getuid(), Now: func() time.Time { return joinTime }}
}

func (m Machine) write(t *testing.T, path string, data []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(m.at(path)), 0o755))
	require.NoError(t, os.WriteFile(m.at(path), data, 0o600))
}

// files are the names and contents of all files on the machine, and the modes of its folders.
func (m Machine) files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(m.Root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			all[path] = mode(t, path).String()
		} else {
			all[path] = string(readFile(t, path))
		}
		return nil
	}))
	return all
}

func publicKeyOf(t *testing.T, m Machine) []byte {
	t.Helper()
	text, err := m.Recipient(false)
	require.NoError(t, err)
	key, err := bundle.ParseRecipient(text)
	require.NoError(t, err)
	return key
}

// bundleFor has the agent of a healthy node seal its configuration to a machine.
func bundleFor(t *testing.T, m Machine, path string, config []byte) bundle.Bundle {
	t.Helper()
	healthy := newNode(t, config)
	key := publicKeyOf(t, m)
	b := bundle.New(path, healthy.digest(), healthy.Run, bundle.DefaultLabel, key, joinTime)
	resp := healthy.ask(agentapi.Request{Op: agentapi.Propose, Propose: &agentapi.Proposal{
		From: healthy.digest(), Change: encconfig.Change{Kind: encconfig.KeepAll},
		Recipients: map[string][]byte{b.SealedFor(): key},
	}})
	require.Nil(t, resp.Error)
	b.Sealed = resp.Proposed.Sealed[b.SealedFor()]
	return b
}

func text(t *testing.T, b bundle.Bundle) []byte {
	t.Helper()
	data, err := b.Encode()
	require.NoError(t, err)
	return data
}

func TestRecipient_keepsItsIdentityToItself(t *testing.T) {
	t.Parallel()
	m := newMachine(t)

	first, err := m.Recipient(false)

	require.NoError(t, err)
	again, err := m.Recipient(false)
	require.NoError(t, err)
	assert.Equal(t, first, again, "a second call gives the same key, so that it can be tried again")
	file := m.at(project.NodeHistoryDir + "/identity")
	assert.Equal(t, fs.FileMode(0o600), mode(t, file))
	assert.Equal(t, fs.FileMode(0o700), mode(t, filepath.Dir(file)))
	assert.Equal(t, fs.FileMode(0o755), mode(t, m.at("/etc/kubernetes")), "others may have things below it")
	assert.ElementsMatch(t, []string{"identity", "lock"}, fileNames(t, filepath.Dir(file)))

	other, err := m.Recipient(true)
	require.NoError(t, err)
	assert.NotEqual(t, first, other)
	again, err = m.Recipient(false)
	require.NoError(t, err)
	assert.Equal(t, other, again)
}

func TestRecipient_refuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(*testing.T, *Machine)
		message string
	}{
		"another user than root": {func(_ *testing.T, m *Machine) { m.User++ }, "this must be run as root"},
		"a damaged identity": {func(t *testing.T, m *Machine) {
			m.write(t, project.NodeHistoryDir+"/identity", []byte("kei1AAAA\n"))
		}, "is damaged: make another identity with recipient --new"},
		"an identity that is a link": {func(t *testing.T, m *Machine) {
			m.write(t, project.NodeHistoryDir+"/other", nil)
			require.NoError(t, os.Symlink("other", m.at(project.NodeHistoryDir+"/identity")))
		}, "identity is not a plain file but a symbolic link"},
		"a file in the folder's place": {func(t *testing.T, m *Machine) {
			m.write(t, "/etc/kubernetes", nil)
		}, "make the folder /etc/kubernetes/kubectl-encryption: not a directory"},
		"another agent at work": {func(t *testing.T, m *Machine) {
			_, err := m.Recipient(false)
			require.NoError(t, err)
			h, unlock, err := m.lockHistory()
			require.NoError(t, err)
			t.Cleanup(func() { unlock(); h.close() })
		}, "another agent works on this machine"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			tt.prepare(t, &m)
			before := m.files(t)
			_, err := m.Recipient(false)
			require.ErrorContains(t, err, tt.message)
			if name != "a damaged identity" && name != "an identity that is a link" { // these have a folder that is closed
				assert.Equal(t, before, m.files(t))
			}
		})
	}
}

func TestRecipient_renewsADamagedIdentity(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.write(t, project.NodeHistoryDir+"/identity", []byte("kei1AAAA\n"))
	made, err := m.Recipient(true)
	require.NoError(t, err)
	kept, err := m.Recipient(false)
	require.NoError(t, err)
	assert.Equal(t, made, kept)
}

func TestRecipient_killedAtAnyPointIsTriedAgain(t *testing.T) {
	t.Parallel()
	for at := 0; ; at++ {
		m := newMachine(t)
		failing, reached := m.failingAt(at)
		_, err := failing.Recipient(false)
		if !*reached {
			require.NoError(t, err)
			require.Greater(t, at, 5, "system calls")
			return
		}
		require.Error(t, err)
		first, err := m.Recipient(false)
		require.NoError(t, err, "after a failure at system call %d", at)
		second, err := m.Recipient(false)
		require.NoError(t, err)
		assert.Equal(t, first, second)
	}
}

// failingAt is the machine with the disk gone from one system call on.
func (m Machine) failingAt(at int) (failing Machine, reached *bool) {
	calls, reached := 0, new(false)
	m.before = func(operation) error {
		calls++
		if calls > at {
			*reached = true
			return fs.ErrPermission
		}
		return nil
	}
	return m, reached
}
