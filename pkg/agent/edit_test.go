// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

func TestGuardPod(t *testing.T) {
	t.Parallel()
	pod := guardPod("ghcr.io/kubectl-encryption/encryption-agent@sha256:0123", "enable-x7k2p", time.Date(2026, 11, 20, 10, 11, 12, 13, time.UTC))
	assertGolden(t, "guard.yaml", string(pod))
	assert.True(t, isGuardOf(pod, "enable-x7k2p"))
	assert.False(t, isGuardOf(pod, "enable-x7k2"))
	assert.NotContains(t, string(pod), "{")
}

func TestEditManifest_keepsWhatWillBeNeeded(t *testing.T) {
	bubble(t, plainManifest(t), func(t *testing.T, m *kubeletNode) {
		e := m.edit(hostFile)
		resp := m.call(e)
		require.Nil(t, resp.Error)
		edit := resp.State.Manifest.Edit
		require.NotNil(t, edit)
		assert.Equal(t, agentapi.Edit{
			Run: "run-1", From: e.From, To: encconfig.Digest(enabledManifest(t)), Stage: agentapi.EditPrepared, Time: edit.Time,
		}, *edit)
		m.requireManifest(plainManifest(t))
		assert.Equal(t, []string{m.ManifestName, guardManifestName}, fileNames(t, m.ManifestDir))
		require.Len(t, resp.State.History, 1, "the configuration")
		assert.Equal(t, m.digest(), resp.State.History[0].Config.Digest)
		backups := fileNames(t, filepath.Join(m.HistoryDir, backupDir))
		require.Len(t, backups, 1)
		assert.Regexp(t, `^000001-[0-9]{8}T[0-9]{6}Z-run-1-kube-apiserver\.yaml$`, backups[0])
		kept := filepath.Join(m.HistoryDir, backupDir, backups[0])
		assert.Equal(t, plainManifest(t), readFile(t, kept))
		for path, mode := range map[string]os.FileMode{kept: 0o600, filepath.Dir(kept): 0o700 | os.ModeDir, m.HistoryDir: 0o700 | os.ModeDir} {
			info, err := os.Stat(path)
			require.NoError(t, err)
			assert.Equal(t, mode, info.Mode(), path)
		}
	})
}

func TestEditManifest_nothingToEdit(t *testing.T) {
	bubble(t, enabledManifest(t), func(t *testing.T, m *kubeletNode) {
		resp := m.call(m.edit(hostFile))
		require.Nil(t, resp.Error)
		assert.Equal(t, agentapi.EditDone, resp.State.Manifest.Edit.Stage)
		m.requireClean()
		m.requireManifest(enabledManifest(t))
	})
}

func TestEditManifest_keepsEightManifests(t *testing.T) {
	bubble(t, plainManifest(t), func(t *testing.T, m *kubeletNode) {
		h, err := m.openHistory()
		require.NoError(t, err)
		defer h.close()
		for i := range 12 {
			name, err := h.keepManifest([]byte(fmt.Sprint(i)), "run-1", m.Now())
			require.NoError(t, err)
			data, err := h.backup(name, encconfig.Digest([]byte(fmt.Sprint(i))))
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprint(i), string(data))
			_, err = h.backup(name, encconfig.Digest(nil))
			require.Error(t, err)
		}
		names := fileNames(t, filepath.Join(m.HistoryDir, backupDir))
		require.Len(t, names, maxBackups)
		assert.Regexp(t, `^000005-`, names[0])
		assert.Regexp(t, `^000012-`, names[maxBackups-1])
	})
}

func TestEditManifest_refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(t *testing.T, m *kubeletNode, e *agentapi.ManifestEdit)
		code    agentapi.Code
		message string
	}{
		{
			"another manifest than expected",
			func(_ *testing.T, m *kubeletNode, _ *agentapi.ManifestEdit) { m.put([]byte("other")) },
			agentapi.Changed, "changed by somebody else",
		},
		{
			"no manifest",
			func(t *testing.T, m *kubeletNode, _ *agentapi.ManifestEdit) {
				require.NoError(t, os.Remove(m.manifestPath()))
			},
			agentapi.Missing, "is not there",
		},
		{
			"no folder of manifests",
			func(t *testing.T, m *kubeletNode, _ *agentapi.ManifestEdit) {
				require.NoError(t, os.RemoveAll(m.ManifestDir))
			},
			agentapi.Missing, "open the manifests folder",
		},
		{
			"a manifest that is not understood",
			func(_ *testing.T, m *kubeletNode, e *agentapi.ManifestEdit) {
				m.put([]byte("kind: Pod\n"))
				e.From = encconfig.Digest([]byte("kind: Pod\n"))
			},
			agentapi.Invalid, "is not understood",
		},
		{
			"a kube-apiserver in a network of its own",
			func(t *testing.T, m *kubeletNode, e *agentapi.ManifestEdit) {
				manifest := bytes.Replace(plainManifest(t), []byte("hostNetwork: true"), []byte("hostNetwork: false"), 1)
				m.put(manifest)
				e.From = encconfig.Digest(manifest)
			},
			agentapi.Invalid, "does not use the network of its node",
		},
		{
			"a configuration that is not there",
			func(t *testing.T, m *kubeletNode, _ *agentapi.ManifestEdit) { require.NoError(t, os.Remove(m.path())) },
			agentapi.Missing, "the encryption configuration is not there",
		},
		{
			"another configuration than expected",
			func(_ *testing.T, m *kubeletNode, _ *agentapi.ManifestEdit) { m.write(exampleConfig("9")) },
			agentapi.Changed, "the encryption configuration is",
		},
		{
			"a configuration that is not understood",
			func(_ *testing.T, m *kubeletNode, e *agentapi.ManifestEdit) {
				m.write([]byte("kind: Pod\n"))
				e.Config = m.digest()
			},
			agentapi.Invalid, "the encryption configuration is not understood",
		},
		{
			"a folder that can't be mounted",
			func(_ *testing.T, _ *kubeletNode, e *agentapi.ManifestEdit) { e.File = "/etc/kubernetes/config.yaml" },
			agentapi.Invalid, "can't be edited",
		},
		{
			"a file that is not the agent's",
			func(_ *testing.T, _ *kubeletNode, e *agentapi.ManifestEdit) {
				e.File = "/etc/kubernetes/encryption/other.yaml"
			},
			agentapi.BadRequest, "another file than the one that the agent was given",
		},
		{
			"a manifest of another group",
			func(t *testing.T, m *kubeletNode, _ *agentapi.ManifestEdit) {
				require.NoError(t, os.Chown(m.manifestPath(), -1, os.Getegid()+1))
			},
			agentapi.Invalid, "does not have root's group",
		},
		{
			"no digest",
			func(_ *testing.T, _ *kubeletNode, e *agentapi.ManifestEdit) { e.From = "" },
			agentapi.BadRequest, "which manifest it is for",
		},
		{
			"no configuration named",
			func(_ *testing.T, _ *kubeletNode, e *agentapi.ManifestEdit) { e.Config = "" },
			agentapi.BadRequest, "which configuration is to be read",
		},
		{
			"no time",
			func(_ *testing.T, _ *kubeletNode, e *agentapi.ManifestEdit) { e.RollbackAfter = time.Second },
			agentapi.BadRequest, "between 10s and 1h0m0s",
		},
		{
			"an image that would be more than one",
			func(_ *testing.T, _ *kubeletNode, e *agentapi.ManifestEdit) { e.Image = "a\n    image: b" },
			agentapi.BadRequest, "does not name the image",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name+" => nothing is changed", func(t *testing.T) {
			bubble(t, plainManifest(t), func(t *testing.T, m *kubeletNode) {
				e := m.edit(hostFile)
				tt.prepare(t, m, &e)
				resp := m.call(e)
				require.NotNil(t, resp.Error)
				assert.Equal(t, tt.code, resp.Error.Code)
				assert.Contains(t, resp.Error.Message, tt.message)
				_, err := os.Stat(filepath.Join(m.ManifestDir, guardManifestName))
				assert.ErrorIs(t, err, os.ErrNotExist)
			})
		})
	}
}

func TestCheckEdit(t *testing.T) {
	bubble(t, plainManifest(t), func(t *testing.T, m *kubeletNode) {
		check := func(e agentapi.ManifestEdit) *agentapi.Error {
			return m.node.ask(agentapi.Request{Op: agentapi.CheckEdit, Edit: &e}).Error
		}
		e := m.edit(hostFile)
		require.NoError(t, os.Remove(m.path()))
		e.Config, e.Image, e.RollbackAfter = "", "", 0
		assert.Nil(t, check(e), "the configuration need not be there yet")
		e.File = "/etc/kubernetes/config.yaml"
		assert.Contains(t, check(e).Message, "the configuration must be in a folder of its own")
		assert.Empty(t, historyFiles(t, m.node), "looking leaves nothing")
		m.requireClean()
	})
}

func TestInspect_manifest(t *testing.T) {
	t.Run("no folder => nothing is told of it", func(t *testing.T) {
		t.Parallel()
		n := newNode(t, exampleConfig("1"))
		assert.Nil(t, n.inspect().Manifest)
		n.ManifestDir = filepath.Join(n.ConfigDir, "none")
		assert.Nil(t, n.inspect().Manifest)
	})
	t.Run("a manifest that was never edited => what it says", func(t *testing.T) {
		bubble(t, enabledManifest(t), func(t *testing.T, m *kubeletNode) {
			assert.Equal(t, &agentapi.Manifest{
				Digest:     encconfig.Digest(enabledManifest(t)),
				Encryption: staticpod.Encryption{ConfigPath: hostFile, AutomaticReload: true, HostPath: hostFile},
			}, m.inspect().Manifest)
		})
	})
	t.Run("a manifest that is not understood => the problem and the digest", func(t *testing.T) {
		bubble(t, []byte("kind: Pod\n"), func(t *testing.T, m *kubeletNode) {
			got := m.inspect().Manifest
			assert.Equal(t, encconfig.Digest([]byte("kind: Pod\n")), got.Digest)
			require.NotNil(t, got.Problem)
			assert.Equal(t, agentapi.Invalid, got.Problem.Code)
		})
	})
	t.Run("a manifest that is a link => not followed", func(t *testing.T) {
		bubble(t, plainManifest(t), func(t *testing.T, m *kubeletNode) {
			require.NoError(t, os.Remove(m.manifestPath()))
			require.NoError(t, os.Symlink(m.path(), m.manifestPath()))
			assert.Contains(t, m.inspect().Manifest.Problem.Message, "a symbolic link")
		})
	})
}

func TestInspect_guardThatIsGone(t *testing.T) {
	t.Parallel()
	t.Run("before the edit => refused", func(t *testing.T) {
		bubble(t, plainManifest(t), func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			require.NoError(t, os.Remove(filepath.Join(m.ManifestDir, guardManifestName)))
			assert.Equal(t, agentapi.EditRefused, m.inspect().Manifest.Edit.Stage)
			m.called(hostFile)
			assert.Equal(t, agentapi.EditDone, m.guarded().Stage)
		})
	})
	t.Run("after the edit => abandoned", func(t *testing.T) {
		bubble(t, plainManifest(t), func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			m.stopAfter(t, 2)
			require.NoError(t, os.Remove(filepath.Join(m.ManifestDir, guardManifestName)))
			edit := m.inspect().Manifest.Edit
			assert.Equal(t, agentapi.EditAbandoned, edit.Stage)
			assert.Contains(t, edit.Reason, "the guard was gone before it was done")
			m.called("")
			assert.Equal(t, agentapi.EditDone, m.guarded().Stage, "what it left can be edited again")
			m.requireClean()
		})
	})
	t.Run("called and never started => refused, and another one can be called", func(t *testing.T) {
		bubble(t, plainManifest(t), func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			require.Error(t, waitIn(t, startWithin+lateness+time.Second))
			assert.Equal(t, agentapi.EditRefused, m.inspect().Manifest.Edit.Stage)
			m.called(hostFile)
			assert.Equal(t, agentapi.EditDone, m.guarded().Stage)
		})
	})
}

func TestInstall_closesAFolderThatWasMadeForIt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		other bool
		want  os.FileMode
	}{
		{"an empty folder => closed", false, 0o700},
		{"a folder with something else in it => as it is", true, 0o755},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, exampleConfig("1"))
			copied := n.prepared(encconfig.Change{Kind: encconfig.KeepAll})
			copied.From = ""
			require.NoError(t, os.Remove(n.path()))
			if tt.other {
				require.NoError(t, os.WriteFile(filepath.Join(n.ConfigDir, "notes"), nil, 0o600))
			}
			require.Nil(t, n.install(copied).Error)
			info, err := os.Stat(n.ConfigDir)
			require.NoError(t, err)
			assert.Equal(t, tt.want, info.Mode().Perm())
		})
	}
}
