// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/readyz"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// bubble runs a test on a machine in a bubble, where waiting takes no time.
func bubble(t *testing.T, manifest []byte, test func(t *testing.T, m *kubeletNode)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newKubeletNode(t, manifest)) })
}

func TestGuard_editsAndWatches(t *testing.T) {
	t.Parallel()
	off, on := plainManifest(t), enabledManifest(t)
	t.Run("enable that works => done", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			e := m.called(hostFile)
			assert.Equal(t, agentapi.EditPrepared, m.inspect().Manifest.Edit.Stage)
			m.requireManifest(off)
			edit := m.guarded()
			assert.Equal(t, agentapi.EditDone, edit.Stage)
			assert.Equal(t, []string{e.From, encconfig.Digest(on), "", "run-1"}, []string{edit.From, edit.To, edit.Reason, edit.Run})
			m.requireManifest(on)
			m.requireClean()
			assert.True(t, m.inspect().Manifest.Encryption.AutomaticReload)
		})
	})
	t.Run("disable that works => done", func(t *testing.T) {
		bubble(t, on, func(t *testing.T, m *kubeletNode) {
			m.called("")
			assert.Equal(t, agentapi.EditDone, m.guarded().Stage)
			m.requireManifest(off)
			m.requireClean()
		})
	})
	t.Run("there and back on one node => done twice, by two guards", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			first := readFile(t, filepath.Join(m.ManifestDir, guardManifestName))
			require.Equal(t, agentapi.EditDone, m.guarded().Stage)
			m.called("")
			assert.NotEqual(t, string(first), string(readFile(t, filepath.Join(m.ManifestDir, guardManifestName))))
			require.Equal(t, agentapi.EditDone, m.guarded().Stage)
			m.requireManifest(off)
			m.called(hostFile)
			require.Equal(t, agentapi.EditDone, m.guarded().Stage)
			m.requireManifest(on)
		})
	})
}

func TestGuard_putsTheOldManifestBack(t *testing.T) {
	t.Parallel()
	off := plainManifest(t)
	isOn := func(manifest []byte) bool { return strings.Contains(string(manifest), "--encryption-provider-config=") }
	t.Run("the edited kube-apiserver ends => back, with its words and without its keys", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.breaks = isOn
			m.called(hostFile)
			edit := m.guarded()
			assert.Equal(t, agentapi.EditReverted, edit.Stage)
			assert.Equal(t, "the kube-apiserver was not ready as edited within 30s: it can't be asked over loopback: connection refused", edit.Reason)
			require.Len(t, edit.Log, 2)
			assert.Contains(t, edit.Log[1], "more than one provider specified")
			assertNoKey(t, []byte(strings.Join(edit.Log, "\n")), exampleKey("1").Base64())
			assertNoKey(t, bytes.Join(bytes.Fields(readFile(t, filepath.Join(m.HistoryDir, guardJournalName))), []byte(" ")), exampleKey("1").Base64())
			assertNoKey(t, m.out.Bytes(), exampleKey("1").Base64())
			m.requireManifest(off)
			m.requireClean()
		})
	})
	t.Run("the edited kube-apiserver never starts => back, and says so", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.breaks, m.silent = isOn, true
			m.called(hostFile)
			edit := m.guarded()
			assert.Equal(t, agentapi.EditReverted, edit.Stage)
			assert.Contains(t, edit.Reason, "its container has left no log")
			assert.Empty(t, edit.Log)
			m.requireManifest(off)
		})
	})
	t.Run("disable that does not work => back", func(t *testing.T) {
		on := enabledManifest(t)
		bubble(t, on, func(t *testing.T, m *kubeletNode) {
			m.breaks = func(manifest []byte) bool { return !isOn(manifest) }
			m.called("")
			assert.Equal(t, agentapi.EditReverted, m.guarded().Stage)
			m.requireManifest(on)
		})
	})
	t.Run("the kubelet does not notice the edit => back", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			m.asked = func(int) { m.running = encconfig.Digest(readFile(t, m.manifestPath())) }
			edit := m.guarded()
			assert.Equal(t, agentapi.EditReverted, edit.Stage)
			assert.Contains(t, edit.Reason, "the kubelet has not started it as edited")
		})
	})
	t.Run("something else answers there => back, and abandoned if it stays", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			m.asked = func(at int) {
				if at > 0 {
					m.certificate = "c2"
				}
			}
			edit := m.guarded()
			assert.Equal(t, agentapi.EditAbandoned, edit.Stage)
			assert.Contains(t, edit.Reason, "has another certificate than the kube-apiserver had")
			assert.Contains(t, edit.Reason, "within 10m0s after that the kube-apiserver was not ready as it was before either")
			m.requireManifest(off)
			m.requireClean()
		})
	})
	t.Run("the reserved copy is gone => back from the history", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.breaks = isOn
			m.called(hostFile)
			m.asked = func(int) { _ = os.Remove(filepath.Join(m.ManifestDir, backTemp(m.ManifestName, m.Run))) }
			assert.Equal(t, agentapi.EditReverted, m.guarded().Stage)
			m.requireManifest(off)
			m.requireClean()
		})
	})
	t.Run("the disk is full from the edit on => back, with the outcome recorded", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.breaks = isOn
			m.called(hostFile)
			g := m.newGuard()
			full := false
			g.before = func(op operation) error {
				full = full || op.call == "rename"
				if full && (op.call == "create" || op.call == "write" || op.call == "mkdir") {
					return syscall.ENOSPC
				}
				return nil
			}
			require.NoError(t, g.Work(t.Context()))
			assert.Equal(t, agentapi.EditReverted, m.inspect().Manifest.Edit.Stage)
			m.requireManifest(off)
			m.requireClean()
		})
	})
}

func TestGuard_refuses(t *testing.T) {
	t.Parallel()
	off := plainManifest(t)
	edited := append([]byte("# edited\n"), off...)
	tests := []struct {
		name    string
		prepare func(t *testing.T, m *kubeletNode)
		want    []byte
		reason  string
	}{
		{
			"the guard starts too late", func(t *testing.T, _ *kubeletNode) {
				require.Error(t, waitIn(t, startWithin+time.Second))
			}, off, "the guard was not started in time",
		},
		{"the manifest was changed meanwhile", func(_ *testing.T, m *kubeletNode) { m.put(edited) }, edited, "somebody else has changed the manifest"},
		{"the manifest is gone", func(t *testing.T, m *kubeletNode) { require.NoError(t, os.Remove(m.manifestPath())) }, nil, "can't be read"},
		{
			"the kube-apiserver is not ready", func(_ *testing.T, m *kubeletNode) { m.breaks = func([]byte) bool { return true } }, off,
			"is not known to be ready before the edit, so nothing could tell whether the edit works: it can't be asked over loopback: connection refused",
		},
		{
			"there is no log of the kube-apiserver", func(t *testing.T, m *kubeletNode) {
				require.NoError(t, os.RemoveAll(m.logDir))
				require.NoError(t, os.Mkdir(m.logDir, 0o755))
			}, off, "the kubelet keeps no log of it in /var/log/pods",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name+" => nothing is changed", func(t *testing.T) {
			bubble(t, off, func(t *testing.T, m *kubeletNode) {
				m.called(hostFile)
				tt.prepare(t, m)
				require.NoError(t, m.newGuard().Work(t.Context()))
				edit := m.inspect().Manifest.Edit
				assert.Equal(t, agentapi.EditRefused, edit.Stage)
				assert.Contains(t, edit.Reason, tt.reason)
				if tt.want != nil {
					m.requireManifest(tt.want)
					m.requireClean()
				}
			})
		})
	}
}

// waitIn lets time pass in a bubble.
func waitIn(t *testing.T, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
	return ctx.Err()
}

func TestGuard_manifestThatCannotBeReplaced(t *testing.T) {
	t.Parallel()
	off := plainManifest(t)
	bubbleIn := func(errno syscall.Errno) func(t *testing.T) {
		return func(t *testing.T) {
			bubble(t, off, func(t *testing.T, m *kubeletNode) {
				m.called(hostFile)
				g := m.newGuard()
				g.before = func(op operation) error {
					if op.call == "rename" {
						return errno
					}
					return nil
				}
				require.NoError(t, g.Work(t.Context()))
				edit := m.inspect().Manifest.Edit
				assert.Equal(t, agentapi.EditRefused, edit.Stage)
				assert.Contains(t, edit.Reason, "the manifest can't be edited: rename .kube-apiserver.yaml.run-1.kubectl-encryption: "+errno.Error())
				m.requireManifest(off)
				m.requireClean()
			})
		}
	}
	t.Run("a file that is mounted over itself => refused", bubbleIn(syscall.EBUSY))
	t.Run("a file that is immutable => refused", bubbleIn(syscall.EPERM))
}

func TestGuard_secondEditor(t *testing.T) {
	t.Parallel()
	off := plainManifest(t)
	other := append([]byte("# edited\n"), off...)
	broken := func([]byte) bool { return true }
	tests := []struct {
		name   string
		at     int // the question before which the other editor comes
		put    []byte
		broken bool
		stage  agentapi.Stage
		reason string
	}{
		{"while it is watched => hands off", 3, other, false, agentapi.EditAbandoned, "somebody else has changed the manifest after the edit"},
		{"with the old manifest, while it is watched => that is awaited", 3, off, false, agentapi.EditReverted, "somebody else has put the old manifest back"},
		{"while the old one is awaited => hands off", 21, other, true, agentapi.EditAbandoned, "on the way back somebody else has changed the manifest"},
		{"with the edited manifest, after the old one is back => hands off", 21, enabledManifest(t), true, agentapi.EditAbandoned, "on the way back somebody else"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, off, func(t *testing.T, m *kubeletNode) {
				m.called(hostFile)
				m.asked = func(at int) {
					if at == tt.at {
						m.put(tt.put)
					}
					if at == 1 && tt.broken {
						m.breaks = broken
					}
				}
				edit := m.guarded()
				assert.Equal(t, tt.stage, edit.Stage)
				assert.Contains(t, edit.Reason, tt.reason)
				m.requireManifest(tt.put)
				m.requireClean()
			})
		})
	}
}

func TestGuard_editorWhileTheEditIsWritten(t *testing.T) {
	off := plainManifest(t)
	other := append([]byte("# edited\n"), off...)
	bubble(t, off, func(t *testing.T, m *kubeletNode) {
		m.called(hostFile)
		g := m.newGuard()
		g.before = func(op operation) error {
			if op.call == "fsync" && op.name == editTemp(m.ManifestName, m.Run) {
				m.put(other)
			}
			return nil
		}
		require.NoError(t, g.Work(t.Context()))
		edit := m.inspect().Manifest.Edit
		assert.Equal(t, agentapi.EditRefused, edit.Stage)
		assert.Contains(t, edit.Reason, "somebody else has changed the manifest")
		m.requireManifest(other)
		m.requireClean()
	})
}

func TestGuard_time(t *testing.T) {
	t.Parallel()
	off := plainManifest(t)
	t.Run("started again after the deadline, and all is well => done", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			m.stopAfter(t, 2)
			require.Error(t, waitIn(t, time.Hour))
			assert.Equal(t, agentapi.EditDone, m.guarded().Stage)
		})
	})
	t.Run("started again after the deadline, and nothing is well => back at once", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			m.stopAfter(t, 2)
			require.Error(t, waitIn(t, time.Hour))
			m.breaks = func(manifest []byte) bool { return string(manifest) != string(off) }
			began := time.Now()
			assert.Equal(t, agentapi.EditReverted, m.guarded().Stage)
			assert.Less(t, time.Since(began), leaveWithin+20*time.Second)
		})
	})
	t.Run("started again after a long power cut => the whole time anew", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			m.stopAfter(t, 2)
			require.Error(t, waitIn(t, time.Hour))
			m.running = ""
			g := m.newGuard()
			g.Boot = "b2"
			require.NoError(t, g.Work(t.Context()))
			assert.Equal(t, agentapi.EditDone, m.inspect().Manifest.Edit.Stage)
		})
	})
	t.Run("the clock was set back => no more than the whole time", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			m.stopAfter(t, 2)
			m.breaks = func(manifest []byte) bool { return string(manifest) != string(off) }
			g := m.newGuard()
			g.Now = func() time.Time { return time.Now().Add(-24 * time.Hour) }
			began := time.Now()
			require.NoError(t, g.Work(t.Context()))
			assert.Equal(t, agentapi.EditReverted, m.inspect().Manifest.Edit.Stage)
			assert.Less(t, time.Since(began), rollback+leaveWithin+30*time.Second)
		})
	})
}

// stopAfter lets a guard work until it has asked so many times, and then ends it.
func (m *kubeletNode) stopAfter(t *testing.T, questions int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m.asked = func(at int) {
		if at == questions {
			cancel()
		}
	}
	require.ErrorIs(t, m.newGuard().Work(ctx), context.Canceled)
	m.asked = nil
	require.Equal(t, agentapi.EditWatched, m.inspect().Manifest.Edit.Stage)
}

func TestGuard_oneAtATime(t *testing.T) {
	t.Parallel()
	off := plainManifest(t)
	t.Run("an edit while a guard is at work => refused", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			m.asked = func(at int) {
				if at == 2 {
					resp := m.call(m.edit(""))
					require.NotNil(t, resp.Error)
					assert.Equal(t, agentapi.Changed, resp.Error.Code)
					assert.Contains(t, resp.Error.Message, "a guard is at work on this node")
				}
			}
			assert.Equal(t, agentapi.EditDone, m.guarded().Stage)
		})
	})
	t.Run("an edit while a guard is called => refused", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			resp := m.call(m.edit(hostFile))
			require.NotNil(t, resp.Error)
			assert.Equal(t, &agentapi.Error{Code: agentapi.Changed, Message: "the guard of run run-1 has not ended on this node (prepared)"}, resp.Error)
		})
	})
	t.Run("a guard that starts while the agent is at work => waits", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			h, err := m.openHistory()
			require.NoError(t, err)
			defer h.close()
			unlock, err := h.folder.lock(guardLockName)
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { done <- m.newGuard().Work(t.Context()) }()
			require.Error(t, waitIn(t, time.Minute))
			assert.Zero(t, m.questions)
			unlock()
			require.NoError(t, <-done)
			assert.Equal(t, agentapi.EditDone, m.inspect().Manifest.Edit.Stage)
		})
	})
	t.Run("a guard of another run => does nothing, and only its own manifest goes", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			g := m.newGuard()
			g.Run = "run-0"
			require.NoError(t, g.Work(t.Context()))
			assert.Contains(t, fileNames(t, m.ManifestDir), guardManifestName)
			m.requireManifest(off)
			assert.Equal(t, agentapi.EditDone, m.guarded().Stage)
		})
	})
	t.Run("a guard that is started once more after its end => does nothing", func(t *testing.T) {
		bubble(t, off, func(t *testing.T, m *kubeletNode) {
			m.called(hostFile)
			first := m.guarded()
			asked := m.questions
			assert.Equal(t, first, m.guarded())
			assert.Equal(t, asked, m.questions)
		})
	})
}

func TestGuard_damagedJournal(t *testing.T) {
	bubble(t, plainManifest(t), func(t *testing.T, m *kubeletNode) {
		m.called(hostFile)
		require.NoError(t, os.WriteFile(filepath.Join(m.HistoryDir, guardJournalName), []byte("{}\n"), 0o600))
		require.ErrorContains(t, m.newGuard().Work(t.Context()), "guard.json is damaged")
		assert.Contains(t, m.inspect().Manifest.Problem.Message, "guard.json is damaged")
	})
}

func TestGuard_asksOverLoopback(t *testing.T) {
	t.Parallel()
	status := http.StatusOK
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprintf(w, "[+]ping ok\n[+]%s ok\nreadyz check passed\n", readyz.ReloadHook)
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	m := newKubeletNode(t, bytes.Replace([]byte(smallManifest), []byte("6443"), []byte(port), 1))
	m.called(hostFile)
	g := m.newGuard()
	g.Ask = readyz.Ask
	closeAll, err := g.open()
	require.NoError(t, err)
	defer closeAll()
	g.journal.Node = m.Node

	seen, err := g.look(t.Context())
	require.NoError(t, err)
	assert.True(t, seen.Reloads)
	assert.Len(t, seen.Certificate, 64)
	assert.Contains(t, seen.Logs, "kube-system_kube-apiserver-n1_")

	status = http.StatusUnauthorized
	_, err = g.look(t.Context())
	require.ErrorContains(t, err, "it answers /readyz with 401 to a request without credentials, as where anonymous requests are turned off")
	server.Close()
	_, err = g.look(t.Context())
	require.ErrorContains(t, err, "it can't be asked over loopback: connection refused")
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for bind, want := range map[string]string{"": "127.0.0.1:1", "0.0.0.0": "127.0.0.1:1", "::": "[::1]:1", "10.0.0.11": "10.0.0.11:1", "fd00::1": "[fd00::1]:1"} {
		assert.Equal(t, want, address(staticpod.Manifest{BindAddress: bind, SecurePort: 1}))
	}
}
