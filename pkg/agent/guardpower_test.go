// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
)

// folders are the files of several folders, by the label of the folder and the name of the file.
type folders map[string]map[string]string

// afterAnyPowerCut lists what several folders may hold after a power cut during the system calls, each once.
func afterAnyPowerCut(disks map[string]*disk, made []operation) []folders {
	var found []folders
	seen := map[string]bool{}
	collect := func() {
		all := []folders{{}}
		for label, d := range disks {
			var next []folders
			for _, files := range d.afterPowerCut() {
				for _, have := range all {
					with := maps.Clone(have)
					with[label] = files
					next = append(next, with)
				}
			}
			all = next
		}
		for _, f := range all {
			id, _ := json.Marshal(f)
			if !seen[string(id)] {
				seen[string(id)] = true
				found = append(found, f)
			}
		}
	}
	collect()
	for _, op := range made {
		disks[op.folder].apply(op)
		collect()
	}
	return found
}

// restore makes the folders of a machine what they may be after a power cut.
func (m *kubeletNode) restore(f folders) {
	m.t.Helper()
	for label, dir := range map[string]string{
		"manifests": m.ManifestDir, "history": m.HistoryDir, "history/manifests": filepath.Join(m.HistoryDir, backupDir),
	} {
		require.NoError(m.t, os.MkdirAll(dir, 0o700))
		entries, err := os.ReadDir(dir)
		require.NoError(m.t, err)
		for _, e := range entries {
			if e.Type().IsRegular() {
				require.NoError(m.t, os.Remove(filepath.Join(dir, e.Name())))
			}
		}
		for name, data := range f[label] {
			require.NoError(m.t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
		}
	}
	m.running = "" // the kubelet starts everything anew
}

func TestGuard_powerCutAtAnyPoint(t *testing.T) {
	t.Parallel()
	for _, c := range courses() {
		t.Run(c.name+" => old or edited, as told, and it is gone on with", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, from, to := c.machine(t)
				disks := map[string]*disk{
					"manifests": newDisk(t, m.ManifestDir), "history": newDisk(t, m.HistoryDir), "history/manifests": newDisk(t, t.TempDir()),
				}
				began := time.Now()
				e := m.edit(c.file)
				var made []operation
				note := func(op operation) error {
					op.data = slices.Clone(op.data)
					made = append(made, op)
					return nil
				}
				m.before = note
				require.NoError(t, m.editManifest(e))
				m.before = nil
				g := m.newGuard()
				g.before = note
				require.NoError(t, g.Work(t.Context()))
				require.Equal(t, c.ends, m.inspect().Manifest.Edit.Stage)

				found := afterAnyPowerCut(disks, made)
				require.Greater(t, len(found), 40)
				for _, f := range found {
					m.restore(f)
					at := time.Now()
					m.Now = func() time.Time { return began.Add(time.Since(at)) }
					m.requireComesThrough(from, to)
				}
			})
		})
	}
}

// requireComesThrough lets the kubelet start the guard, if it is there, and requires that the edit has an end that the
// manifest agrees with.
func (m *kubeletNode) requireComesThrough(from, to []byte) {
	m.t.Helper()
	if slices.Contains(fileNames(m.t, m.ManifestDir), guardManifestName) {
		g := m.newGuard()
		g.Boot, g.Now = "b2", m.Now
		require.NoError(m.t, g.Work(m.t.Context()))
		require.Equal(m.t, []string{m.ManifestName}, fileNames(m.t, m.ManifestDir))
	}
	st := m.inspect().Manifest
	require.Nil(m.t, st.Problem)
	if st.Edit == nil {
		m.requireManifest(from)
		return
	}
	require.Contains(m.t, map[agentapi.Stage]string{
		agentapi.EditDone: string(to), agentapi.EditRefused: string(from), agentapi.EditReverted: string(from),
	}, st.Edit.Stage, st.Edit.Reason)
	if st.Edit.Stage == agentapi.EditDone {
		from = to
	}
	m.requireManifest(from)
}
