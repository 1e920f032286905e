// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package podlog

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func at(second int) time.Time { return time.Date(2026, 11, 20, 10, 0, second, 0, time.UTC) }

func logFile(second int, text string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(text), ModTime: at(second)}
}

func logsOf(files fs.FS) Logs {
	return Logs{FS: files, Namespace: "kube-system", Pod: "kube-apiserver-n1", Container: "kube-apiserver"}
}

func TestCurrent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files fstest.MapFS
		want  string
	}{
		{"no folder => none", fstest.MapFS{"kube-system_etcd-n1_a/etcd/0.log": logFile(1, "")}, ""},
		{"the folder of another node's pod => not it", fstest.MapFS{"kube-system_kube-apiserver-n10_a/kube-apiserver/0.log": logFile(1, "")}, ""},
		{"the folder of a pod whose name goes on => not it", fstest.MapFS{"kube-system_kube-apiserver-n1_x_a/kube-apiserver/0.log": logFile(1, "")}, ""},
		{"a folder without a log => not it", fstest.MapFS{"kube-system_kube-apiserver-n1_a/kube-apiserver/notes": logFile(1, "")}, ""},
		{"one => it", fstest.MapFS{"kube-system_kube-apiserver-n1_a/kube-apiserver/0.log": logFile(1, "")}, "kube-system_kube-apiserver-n1_a"},
		{"two => the one that wrote last", fstest.MapFS{
			"kube-system_kube-apiserver-n1_a/kube-apiserver/0.log": logFile(1, ""),
			"kube-system_kube-apiserver-n1_b/kube-apiserver/0.log": logFile(2, ""),
		}, "kube-system_kube-apiserver-n1_b"},
		{"a former one that runs again => it", fstest.MapFS{
			"kube-system_kube-apiserver-n1_a/kube-apiserver/0.log": logFile(1, ""),
			"kube-system_kube-apiserver-n1_a/kube-apiserver/1.log": logFile(3, ""),
			"kube-system_kube-apiserver-n1_b/kube-apiserver/0.log": logFile(2, ""),
		}, "kube-system_kube-apiserver-n1_a"},
		{"another container that wrote later => does not matter", fstest.MapFS{
			"kube-system_kube-apiserver-n1_a/kube-apiserver/0.log": logFile(2, ""),
			"kube-system_kube-apiserver-n1_b/kube-apiserver/0.log": logFile(1, ""),
			"kube-system_kube-apiserver-n1_b/proxy/0.log":          logFile(3, ""),
		}, "kube-system_kube-apiserver-n1_a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := logsOf(tt.files).Current()
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestCurrent_noFolderOfLogs(t *testing.T) {
	t.Parallel()
	_, err := logsOf(os.DirFS("/nosuch")).Current()
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

const (
	stamp  = "2026-11-20T10:00:01.123456789Z"
	folder = "kube-system_kube-apiserver-n1_a"
	file   = folder + "/kube-apiserver/"
)

func TestLast(t *testing.T) {
	t.Parallel()
	long := stamp + " stderr F " + strings.Repeat("x ", window) + "\n"
	tests := []struct {
		name  string
		files fstest.MapFS
		want  []string
	}{
		{"no log => nothing", fstest.MapFS{}, nil},
		{
			"lines of a container runtime => their messages",
			fstest.MapFS{
				file + "0.log": logFile(1, stamp+" stdout F one\n"+stamp+" stderr F two: more\n2026-11-20T10:00:01.1+01:00 stderr F three\n"),
			},
			[]string{"one", "two: more", "three"},
		},
		{"lines that were split => whole", fstest.MapFS{file + "0.log": logFile(1, stamp+" stderr P on\n"+stamp+" stderr F e\n")}, []string{"one"}},
		{"another format => as it is", fstest.MapFS{file + "0.log": logFile(1, "{\"log\":\"one\"}\r\n")}, []string{`{"log":"one"}`}},
		{"more than asked for => the last", fstest.MapFS{file + "0.log": logFile(1, "1\n2\n3\n4\n5\n6\n")}, []string{"4", "5", "6"}},
		{"empty lines => left out", fstest.MapFS{file + "0.log": logFile(1, "\n\n1\n\n"+stamp+" stderr F \n")}, []string{"1"}},
		{"a line without an end => left out", fstest.MapFS{file + "0.log": logFile(1, "1\n2")}, []string{"1"}},
		{"a part without the rest => left out", fstest.MapFS{file + "0.log": logFile(1, "1\n"+stamp+" stderr P 2\n")}, []string{"1"}},
		{"several starts => the last", fstest.MapFS{file + "9.log": logFile(1, "9\n"), file + "10.log": logFile(1, "10\n")}, []string{"10"}},
		{"the last start is silent => the one before", fstest.MapFS{file + "9.log": logFile(1, "9\n"), file + "10.log": logFile(1, "")}, []string{"9"}},
		{"nothing but silent starts => not all are looked into", fstest.MapFS{
			file + "0.log": logFile(1, "0\n"), file + "1.log": logFile(1, ""), file + "2.log": logFile(1, ""),
			file + "3.log": logFile(1, ""), file + "4.log": logFile(1, ""),
		}, nil},
		{"a log that was put aside => not it", fstest.MapFS{file + "0.log.20261120-100000": logFile(1, "0\n")}, nil},
		{"one endless line => nothing", fstest.MapFS{file + "0.log": logFile(1, strings.Repeat("x", 3*window))}, nil},
		{"one line longer than what is read => nothing", fstest.MapFS{file + "0.log": logFile(1, long)}, nil},
		{"lines after one => they", fstest.MapFS{file + "0.log": logFile(1, long+"dropped\n1\n2\n")}, []string{"1", "2"}},
		{
			"a message whose beginning is not read => left out",
			fstest.MapFS{
				file + "0.log": logFile(1, strings.Repeat("x", window)+"\n"+stamp+" stderr P a key's\n"+stamp+" stderr F  end\n"+stamp+" stderr F 1\n"),
			},
			[]string{"1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, logsOf(tt.files).Last(folder, 3))
		})
	}
}

func TestLast_onADisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	container := filepath.Join(dir, folder, "kube-apiserver")
	require.NoError(t, os.MkdirAll(container, 0o755))
	big, err := os.Create(filepath.Join(container, "0.log"))
	require.NoError(t, err)
	require.NoError(t, big.Truncate(100<<20))
	_, err = big.WriteAt([]byte("\ndropped\nthe end\n"), 100<<20)
	require.NoError(t, err)
	require.NoError(t, big.Close())
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer func() { assert.NoError(t, root.Close()) }()
	logs := logsOf(root.FS())
	current, err := logs.Current()
	require.NoError(t, err)
	assert.Equal(t, folder, current)
	assert.Equal(t, []string{"the end"}, logs.Last(folder, 20))

	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("a secret\n"), 0o600))
	require.NoError(t, os.Symlink(secret, filepath.Join(container, "1.log")))
	assert.Equal(t, []string{"the end"}, logs.Last(folder, 20), "a link out of the folder is not followed")
}

func ExampleScrubber_Line() {
	s := NewScrubber([]byte("keys:\n  - name: a\n    secret: AQEBAQEBAQEBAQEBAQEBAQ==\n"))
	fmt.Println(s.Line(`Invalid value: {"Secret":"AQEBAQEBAQEBAQEBAQEBAQ=="}: more than one provider specified`))
	// Output: Invalid value: {"Secret":"[hidden]=="}: more than one provider specified
}
