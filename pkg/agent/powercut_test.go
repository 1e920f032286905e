// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
)

// inode is a file on the disk: its bytes, whether they were synced, and what was there before they were written over.
type inode struct {
	data   []byte
	synced bool
	former []byte
}

// part is what may be there of a file that was not synced: nothing, half of what was written last, or all of it.
func (i *inode) part(of2 int) []byte {
	cut := len(i.data) * of2 / 2
	if i.former == nil {
		return i.data[:cut]
	}
	first := 0
	for first < len(i.data) && i.data[first] == i.former[first] {
		first++
	}
	cut = first + (len(i.data)-first)*of2/2
	return slices.Concat(i.data[:cut], i.former[cut:])
}

// change is a change of names that was made and not synced: names that are set, or taken away where the inode is nil.
type change map[string]*inode

// disk is one folder as a strict file system may leave it after a power cut: names are durable from the sync of the
// folder on, bytes from the sync of the file on. Of what was not synced any part may be there.
type disk struct {
	names, durable map[string]*inode
	pending        []change
}

func newDisk(t *testing.T, dir string) *disk {
	t.Helper()
	d := &disk{names: map[string]*inode{}}
	for _, name := range fileNames(t, dir) {
		d.names[name] = &inode{data: readFile(t, filepath.Join(dir, name)), synced: true}
	}
	d.durable = maps.Clone(d.names)
	return d
}

func (d *disk) apply(op operation) {
	switch op.call {
	case "create":
		d.set(change{op.name: {}})
	case "lock":
		if d.names[op.name] == nil {
			d.set(change{op.name: {synced: true}})
		}
	case "write":
		d.names[op.name].data, d.names[op.name].synced = op.data, false
	case "overwrite":
		file := d.names[op.name]
		file.former, file.data, file.synced = file.data, slices.Clone(file.data), false
		copy(file.data[op.offset:], op.data)
	case "fsync":
		d.names[op.name].synced = true
	case "rename":
		d.set(change{op.name: nil, op.to: d.names[op.name]})
	case "remove":
		if d.names[op.name] != nil {
			d.set(change{op.name: nil})
		}
	case "fsync folder":
		d.durable, d.pending = maps.Clone(d.names), nil
	}
}

func (d *disk) set(c change) {
	c.applyTo(d.names)
	d.pending = append(d.pending, c)
}

func (c change) applyTo(names map[string]*inode) {
	for name, file := range c {
		if file == nil {
			delete(names, name)
			continue
		}
		names[name] = file
	}
}

// afterPowerCut lists what the folder may hold then: every subset of the changes of names that were not synced, in
// their order, with bytes that were not synced there, half there, or lost.
func (d *disk) afterPowerCut() []map[string]string {
	var found []map[string]string
	for subset := range 1 << len(d.pending) {
		names := maps.Clone(d.durable)
		for i, c := range d.pending {
			if subset&(1<<i) != 0 {
				c.applyTo(names)
			}
		}
		for _, part := range []int{0, 1, 2} {
			files := map[string]string{}
			for name, file := range names {
				files[name] = string(file.data)
				if !file.synced {
					files[name] = string(file.part(part))
				}
			}
			found = append(found, files)
		}
	}
	return found
}

// possibleDisks lists every pair of folders that a power cut during the system calls may leave, each once.
func possibleDisks(config, history *disk, made []operation) [][2]map[string]string {
	var found [][2]map[string]string
	seen := map[string]bool{}
	collect := func() {
		for _, c := range config.afterPowerCut() {
			for _, h := range history.afterPowerCut() {
				id, _ := json.Marshal([]any{c, h})
				if !seen[string(id)] {
					seen[string(id)] = true
					found = append(found, [2]map[string]string{c, h})
				}
			}
		}
	}
	collect()
	for _, op := range made {
		map[string]*disk{"config": config, "history": history}[op.folder].apply(op)
		collect()
	}
	return found
}

func writeFolder(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for _, name := range fileNames(t, dir) {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	for name, data := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
	}
}

func TestInstall_powerCutAtAnyPoint(t *testing.T) {
	t.Parallel()
	for _, s := range situations() {
		t.Run(s.name+" => old or new, both readable, and it can be run again", func(t *testing.T) {
			t.Parallel()
			n, i := s.prepare(t)
			config, history := newDisk(t, n.ConfigDir), newDisk(t, n.HistoryDir)
			made := record(n, func() { require.NoError(t, n.Server.install(i)) })
			disks := possibleDisks(config, history, made)
			require.Greater(t, len(disks), 15)
			for _, d := range disks {
				writeFolder(t, n.ConfigDir, d[0])
				writeFolder(t, n.HistoryDir, d[1])
				st := assertSound(t, n, i.From, i.To)
				if st.Digest == i.To {
					requireKept(t, st, i)
				}
				require.Nil(t, n.install(i).Error)
				assertInstalled(t, n, i)
			}
			require.Equal(t, i.To, durableDigest(config, n.ConfigName), "after the answer the new file is durable")
		})
	}
}

// requireKept holds that once the new file can be seen, both it and its predecessor are in the history.
func requireKept(t *testing.T, st agentapi.State, i agentapi.Installation) {
	t.Helper()
	for _, digest := range []string{i.From, i.To} {
		require.True(t, slices.ContainsFunc(st.History, func(r agentapi.Revision) bool { return r.Config.Digest == digest }))
	}
}

// durableDigest is the digest of a file that a power cut can't change any more.
func durableDigest(d *disk, name string) string {
	for _, files := range d.afterPowerCut() {
		if !bytes.Equal([]byte(files[name]), d.names[name].data) {
			return "not durable"
		}
	}
	return describe(d.names[name].data).Digest
}

func TestInstall_orderOfItsSystemCalls(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	i := n.prepared(addKey("2"))
	made := record(n, func() { require.NoError(t, n.Server.install(i)) })
	var trace strings.Builder
	for _, op := range made {
		trace.WriteString(strings.Join(strings.Fields(op.folder+" "+op.call+" "+op.name+" "+op.to), " ") + "\n")
	}
	assertGolden(t, "install.trace", trace.String())
}
