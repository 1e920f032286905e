// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// course is an edit and how it goes if nothing happens to the guard.
type course struct {
	name string
	// file is the configuration of an enable, empty for a disable.
	file  string
	works bool
	ends  agentapi.Stage
}

func courses() []course {
	return []course{
		{"enable that works", hostFile, true, agentapi.EditDone},
		{"disable that works", "", true, agentapi.EditDone},
		{"enable that does not work", hostFile, false, agentapi.EditReverted},
		{"disable that does not work", "", false, agentapi.EditReverted},
	}
}

// smallManifest is quickly parsed, since that is done thousands of times.
const smallManifest = `apiVersion: v1
kind: Pod
metadata:
  name: kube-apiserver
  namespace: kube-system
spec:
  containers:
  - command:
    - kube-apiserver
    - --secure-port=6443
    name: kube-apiserver
    volumeMounts:
    - mountPath: /etc/kubernetes/pki
      name: k8s-certs
  hostNetwork: true
  volumes:
  - hostPath:
      path: /etc/kubernetes/pki
    name: k8s-certs
`

// machine is a machine for the course, in a bubble, and the manifest before and after the edit.
func (c course) machine(t *testing.T) (m *kubeletNode, from, to []byte) {
	t.Helper()
	from = []byte(smallManifest)
	to, err := staticpod.Enable(from, hostFile)
	require.NoError(t, err)
	if c.file == "" {
		from, to = to, from
	}
	m = newKubeletNode(t, from)
	if !c.works {
		m.breaks = func(manifest []byte) bool { return string(manifest) == string(to) }
	}
	return m, from, to
}

// requireEnded requires that the edit ended as its stage says, with nothing left.
func (m *kubeletNode) requireEnded(edit agentapi.Edit, from, to []byte) {
	m.t.Helper()
	switch edit.Stage {
	case agentapi.EditDone:
		m.requireManifest(to)
	case agentapi.EditRefused, agentapi.EditReverted:
		m.requireManifest(from)
	default:
		require.Fail(m.t, "ended as "+string(edit.Stage), edit.Reason)
	}
	m.requireClean()
}

// inBubbles runs a test in a bubble of its own for each system call, until there is none of that number.
func inBubbles(t *testing.T, test func(t *testing.T, at int) (more bool)) int {
	t.Helper()
	for at := 0; ; at++ {
		more := false
		synctest.Test(t, func(t *testing.T) { more = test(t, at) })
		if !more {
			return at
		}
	}
}

func TestGuard_killedAtAnyPoint(t *testing.T) {
	t.Parallel()
	for _, c := range courses() {
		t.Run(c.name+" => is gone on with, and ends the same", func(t *testing.T) {
			t.Parallel()
			calls := inBubbles(t, func(t *testing.T, at int) bool {
				m, from, to := c.machine(t)
				m.called(c.file)
				ctx, kill := context.WithCancel(t.Context())
				defer kill()
				g, made := m.newGuard(), 0
				g.before = func(operation) error {
					if made++; made > at {
						kill()
						return errKilled
					}
					return nil
				}
				err := g.Work(ctx)
				edit := m.guarded()
				require.Equal(t, c.ends, edit.Stage, "system call %d: %s", at, edit.Reason)
				m.requireEnded(edit, from, to)
				return err != nil
			})
			assert.Greater(t, calls, 30)
		})
	}
}

func TestGuard_killedAtAnyPointAndTheDiskIsFullThen(t *testing.T) {
	t.Parallel()
	for _, c := range courses() {
		t.Run(c.name+" => old or edited, as told", func(t *testing.T) {
			t.Parallel()
			inBubbles(t, func(t *testing.T, at int) bool {
				m, from, to := c.machine(t)
				m.called(c.file)
				ctx, kill := context.WithCancel(t.Context())
				defer kill()
				g, made := m.newGuard(), 0
				g.before = func(operation) error {
					if made++; made > at {
						kill()
						return errKilled
					}
					return nil
				}
				err := g.Work(ctx)
				g = m.newGuard()
				g.before = func(op operation) error {
					if slices.Contains([]string{"create", "write", "mkdir"}, op.call) {
						return syscall.ENOSPC
					}
					return nil
				}
				require.NoError(t, g.Work(t.Context()))
				m.requireEnded(*m.inspect().Manifest.Edit, from, to)
				return err != nil
			})
		})
	}
}

func TestGuard_anySystemCallFails(t *testing.T) {
	t.Parallel()
	for _, c := range courses() {
		for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
			t.Run(c.name+", "+errno.Error()+" => old or edited, as told", func(t *testing.T) {
				t.Parallel()
				inBubbles(t, func(t *testing.T, at int) bool {
					m, from, to := c.machine(t)
					m.called(c.file)
					g, made := m.newGuard(), 0
					g.before = func(operation) error {
						if made++; made == at+1 {
							return errno
						}
						return nil
					}
					if err := g.Work(t.Context()); err != nil {
						m.guarded() // the kubelet starts it again
					}
					m.requireEnded(*m.inspect().Manifest.Edit, from, to)
					return made > at
				})
			})
		}
	}
}

func TestEditManifest_killedAtAnyPoint(t *testing.T) {
	t.Parallel()
	for _, c := range courses()[:2] {
		t.Run(c.name+" => untouched, and it can be asked for again", func(t *testing.T) {
			t.Parallel()
			calls := inBubbles(t, func(t *testing.T, at int) bool {
				m, from, to := c.machine(t)
				e := m.edit(c.file)
				killAt(m.node, at)
				err := m.editManifest(e)
				m.before = nil
				m.requireManifest(from)
				if slices.Contains(fileNames(t, m.ManifestDir), guardManifestName) {
					require.Equal(t, agentapi.EditPrepared, m.inspect().Manifest.Edit.Stage)
				} else {
					require.Nil(t, m.call(e).Error, "system call %d", at)
				}
				edit := m.guarded()
				require.Equal(t, agentapi.EditDone, edit.Stage, "system call %d: %s", at, edit.Reason)
				m.requireEnded(edit, from, to)
				return err != nil
			})
			assert.Greater(t, calls, 25)
		})
	}
}

func TestEditManifest_anySystemCallFails(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, at int) bool {
		c := courses()[0]
		m, from, to := c.machine(t)
		e := m.edit(c.file)
		failed := failAt(m.node, at, syscall.ENOSPC)
		err := m.editManifest(e)
		m.before = nil
		m.requireManifest(from)
		if err != nil {
			assert.NotContains(t, fileNames(t, m.ManifestDir), guardManifestName, "%s %s", failed.call, failed.name)
			assert.Equal(t, agentapi.WriteFailed, writeCode(err), "%s %s: %v", failed.call, failed.name, err)
			require.Nil(t, m.call(e).Error)
		}
		edit := m.guarded()
		require.Equal(t, agentapi.EditDone, edit.Stage, edit.Reason)
		m.requireEnded(edit, from, to)
		return failed.call != ""
	})
}

// writeCode is the code of an error, where files that can't be read count as ones that can't be written.
func writeCode(err error) agentapi.Code {
	code := coded(err, "").Code
	if slices.Contains([]agentapi.Code{agentapi.Unreadable, agentapi.Invalid}, code) {
		return agentapi.WriteFailed
	}
	return code
}

func TestGuard_orderOfItsSystemCalls(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]course{"edit.trace": courses()[0], "revert.trace": courses()[2]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, _, _ := c.machine(t)
				var trace strings.Builder
				write := func(op operation) error {
					if !slices.Contains([]string{"read", "list"}, op.call) {
						trace.WriteString(strings.Join(strings.Fields(op.folder+" "+op.call+" "+op.name+" "+op.to), " ") + "\n")
					}
					return nil
				}
				m.before = write
				e := m.edit(c.file)
				require.NoError(t, m.editManifest(e))
				m.before = nil
				trace.WriteString("# the guard\n")
				g := m.newGuard()
				g.before = write
				require.NoError(t, g.Work(t.Context()))
				assertGolden(t, name, trace.String())
			})
		})
	}
}

func TestGuardJournal_tornWrite(t *testing.T) {
	bubble(t, plainManifest(t), func(t *testing.T, m *kubeletNode) {
		m.called(hostFile)
		h, err := m.openHistory()
		require.NoError(t, err)
		defer h.close()
		path := filepath.Join(m.HistoryDir, guardJournalName)
		j, sequence, err := h.guard()
		require.NoError(t, err)
		require.EqualValues(t, 1, sequence)
		before := readFile(t, path)
		for _, stage := range []agentapi.Stage{agentapi.EditWatched, agentapi.EditReverting, agentapi.EditReverted} {
			was := j.Edit.Stage
			j.Edit.Stage = stage
			require.NoError(t, h.noteGuard(sequence+1, *j))
			after := readFile(t, path)
			require.Len(t, after, len(before), "it never needs more room")
			for cut := 0; cut < slotSize; cut += 97 {
				at := int(sequence+1) % slots * slotSize
				torn := append(append(slices.Clone(before[:at]), after[at:at+cut]...), before[at+cut:]...)
				require.NoError(t, os.WriteFile(path, torn, 0o600))
				got, _, err := h.guard()
				require.NoError(t, err)
				require.Contains(t, []agentapi.Stage{was, stage}, got.Edit.Stage)
			}
			require.NoError(t, os.WriteFile(path, after, 0o600))
			before, sequence = after, sequence+1
		}
	})
}

func TestGuardJournal_hasRoomForTheWorst(t *testing.T) {
	t.Parallel()
	j := guardJournal{Version: guardJournalVersion, Before: &sighting{Logs: strings.Repeat("x", 600)}, File: strings.Repeat("x", 255)}
	j.Edit.Reason = strings.Repeat("\\", 2000)
	for range maxLogLines {
		j.Edit.Log = append(j.Edit.Log, strings.Repeat("𝄞", 300))
	}
	data, err := encodeSlot(1<<60, j)
	require.NoError(t, err)
	got, sequence, err := decodeSlots(data)
	require.NoError(t, err)
	assert.Equal(t, j, got)
	assert.EqualValues(t, 1<<60, sequence)
}
