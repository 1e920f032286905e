// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// withHistory is a machine whose history has these files, oldest first, and whose kube-apiserver reads joinPath.
func withHistory(t *testing.T, revisions ...[]byte) Machine {
	t.Helper()
	m := newMachine(t)
	for i, data := range revisions {
		m.write(t, fmt.Sprintf("%s/%06d-20261120T101112Z-run-1.yaml", project.NodeHistoryDir, i+1), data)
	}
	m.write(t, project.NodeManifestDir+"/"+project.APIServerManifest, []byte(manifestReading(joinPath)))
	return m
}

func manifestReading(file string) string {
	return `apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver, namespace: kube-system}
spec:
  containers:
    - name: kube-apiserver
      command:
        - kube-apiserver
        - --encryption-provider-config=` + file + `
        - --encryption-provider-config-automatic-reload=true
      volumeMounts:
        - {name: enc, mountPath: ` + project.DefaultConfigDir + `}
  volumes:
    - {name: enc, hostPath: {path: ` + project.DefaultConfigDir + `}}
`
}

func TestRestore_putsTheNewestValidRevisionBack(t *testing.T) {
	t.Parallel()
	for name, there := range map[string][]byte{"a cut file": exampleConfig("2", "1")[:60], "an empty file": {}, "no file": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := withHistory(t, exampleConfig("1"), exampleConfig("2", "1"), []byte("garbage"))
			require.NoError(t, os.MkdirAll(m.at(project.DefaultConfigDir), 0o700))
			if there != nil {
				m.write(t, joinPath, there)
			}
			before := m.files(t)

			r, err := m.PlanRestore("", 0)

			require.NoError(t, err)
			assert.Equal(t, before, m.files(t), "a plan changes nothing")
			assert.Equal(t, []any{joinPath, 2, []int{3}, false}, []any{r.Path, r.Revision.Number, r.Skipped, r.Already})
			assert.NotEmpty(t, r.Problem)
			assert.Empty(t, r.Lacking)
			require.NoError(t, m.Restore(r))
			assert.Equal(t, exampleConfig("2", "1"), readFile(t, m.at(joinPath)))
			if there != nil {
				assert.Equal(t, there, readFile(t, m.at(project.NodeHistoryDir+"/000004-20261120T101112Z-"+RestoreRun+".yaml")), "what was there is kept")
			}
			_, err = m.PlanRestore("", 0)
			require.ErrorIs(t, err, ErrNothingToRestore)
		})
	}
}

func TestRestore_aRevisionThatIsAskedFor(t *testing.T) {
	t.Parallel()
	m := withHistory(t, exampleConfig("1"), exampleConfig("2", "1"))
	m.write(t, joinPath, exampleConfig("2", "1"))
	r, err := m.PlanRestore("", 1)
	require.NoError(t, err)
	assert.Equal(t, []encconfig.Key{gcm("2")}, withoutFingerprints(r.Lacking), "it is told what would be missing")
	require.NoError(t, m.Restore(r))
	assert.Equal(t, exampleConfig("1"), readFile(t, m.at(joinPath)))
	r, err = m.PlanRestore("", 1)
	require.NoError(t, err)
	assert.True(t, r.Already)
}

// An older file that somebody copied into place leaves no trace of its own. That the newest revision is restored over it is one.
func TestRestore_isOnRecordAlsoWhereTheNewestRevisionIsRestored(t *testing.T) {
	t.Parallel()
	m := withHistory(t, exampleConfig("1"), exampleConfig("2", "1"))
	m.write(t, joinPath, exampleConfig("1"))
	r, err := m.PlanRestore("", 2)
	require.NoError(t, err)
	require.NoError(t, m.Restore(r))
	list, _, err := m.revisions()
	require.NoError(t, err)
	require.Len(t, list, 3)
	assert.Equal(t, RestoreRun, list[2].Run)
	assert.Equal(t, list[1].Config.Digest, list[2].Config.Digest)
}

// What we do not understand may be what the kube-apiserver runs with, and hold the only copy of a key.
func TestRestore_takesOnlyOnRequestThePlaceOfWhatAKubeAPIServerMayUse(t *testing.T) {
	t.Parallel()
	for name, there := range map[string]string{
		"a second document":               string(exampleConfig("7")) + "---\nx: 1\n",
		"an anchor":                       strings.Replace(string(exampleConfig("7")), "resources:", "resources: &all", 1),
		"a field that is not known to us": string(exampleConfig("7")) + "more: 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := withHistory(t, exampleConfig("1"), exampleConfig("2", "1"))
			require.NoError(t, os.MkdirAll(m.at(project.DefaultConfigDir), 0o700))
			m.write(t, joinPath, []byte(there))
			_, err := m.PlanRestore("", 0)
			require.ErrorIs(t, err, ErrMayBeInUse)
			require.ErrorContains(t, err, "--revision 2")
			r, err := m.PlanRestore("", 2)
			require.NoError(t, err)
			require.NoError(t, m.Restore(r))
			assert.Equal(t, exampleConfig("2", "1"), readFile(t, m.at(joinPath)))
		})
	}
}

func TestRestore_aKeyOfTheSameNameIsAnother(t *testing.T) {
	t.Parallel()
	other := []byte(strings.Replace(string(exampleConfig("1")), exampleKey("1").Base64(), exampleKey("7").Base64(), 1))
	require.NotEqual(t, exampleConfig("1"), other)
	m := withHistory(t, other)
	m.write(t, joinPath, exampleConfig("1"))
	r, err := m.PlanRestore("", 1)
	require.NoError(t, err)
	assert.Equal(t, []encconfig.Key{gcm("1")}, withoutFingerprints(r.Lacking), "what is stored with it could not be read")
}

func TestRestore_tellsOfNewerRevisionsThatCantBeRead(t *testing.T) {
	t.Parallel()
	m := withHistory(t, exampleConfig("1"), []byte("garbage"), exampleConfig("3", "1"))
	newest := m.at(project.NodeHistoryDir + "/000003-20261120T101112Z-run-1.yaml")
	require.NoError(t, os.WriteFile(newest, make([]byte, encconfig.MaxSize+1), 0o600))
	r, err := m.PlanRestore("", 0)
	require.NoError(t, err)
	assert.Equal(t, 1, r.Revision.Number)
	assert.Equal(t, []int{3, 2}, r.Skipped)
	_, err = m.PlanRestore("", 3)
	require.EqualError(t, err, "revision 3 can't be read")
}

func TestRestore_changesNothingOnceSomebodyElseHas(t *testing.T) {
	t.Parallel()
	m := withHistory(t, exampleConfig("1"))
	m.write(t, joinPath, []byte("garbage"))
	r, err := m.PlanRestore("", 0)
	require.NoError(t, err)
	m.write(t, joinPath, exampleConfig("3"))
	require.ErrorContains(t, m.Restore(r), "changed by somebody else")
	assert.Equal(t, exampleConfig("3"), readFile(t, m.at(joinPath)))

	m.write(t, joinPath, []byte("garbage"))
	m.write(t, project.NodeHistoryDir+"/000001-20261120T101112Z-run-1.yaml", exampleConfig("4"))
	require.ErrorContains(t, m.Restore(r), "revision 1 has changed meanwhile")
	assert.Equal(t, "garbage", string(readFile(t, m.at(joinPath))))
}

func TestRestore_refuses(t *testing.T) {
	t.Parallel()
	manifest := project.NodeManifestDir + "/" + project.APIServerManifest
	tests := map[string]struct {
		prepare func(t *testing.T, m *Machine)
		file    string
		number  int
		message string
	}{
		"a valid file":                 {func(t *testing.T, m *Machine) { m.write(t, joinPath, exampleConfig("7")) }, "", 0, "that is there is valid: " + joinPath},
		"a revision that there is not": {nil, "", 9, "there is no revision 9"},
		"a revision that is garbage":   {nil, "", 2, "revision 2 is not a configuration that is understood"},
		"a user who is not root":       {func(_ *testing.T, m *Machine) { m.User++ }, "", 0, "must be run as root"},
		"a file outside":               {nil, "/var/lib/config.yaml", 0, "not below /etc/kubernetes"},
		"a file of kubeadm's":          {nil, "/etc/kubernetes/admin.conf", 0, "one of kubeadm's own"},
		"no manifest":                  {func(t *testing.T, m *Machine) { require.NoError(t, os.Remove(m.at(manifest))) }, "", 0, "name the encryption configuration with --file"},
		"a manifest that is none":      {func(t *testing.T, m *Machine) { m.write(t, manifest, []byte("x")) }, "", 0, "name the encryption configuration with --file"},
		"a link in the file's place": {func(t *testing.T, m *Machine) {
			require.NoError(t, os.MkdirAll(m.at(project.DefaultConfigDir), 0o700))
			require.NoError(t, os.Symlink("elsewhere", m.at(joinPath)))
		}, "", 0, "move it out of the way first: config.yaml is not a plain file but a symbolic link"},
		"nothing in the history that is understood": {func(t *testing.T, m *Machine) {
			require.NoError(t, os.Remove(m.at(project.NodeHistoryDir+"/000001-20261120T101112Z-run-1.yaml")))
		}, "", 0, "take the file from another control-plane node"},
	}
	for name, tt := range tests {
		t.Run(name+" => refused", func(t *testing.T) {
			t.Parallel()
			m := withHistory(t, exampleConfig("1"), []byte("garbage"))
			if tt.prepare != nil {
				tt.prepare(t, &m)
			}
			_, err := m.PlanRestore(tt.file, tt.number)
			require.ErrorContains(t, err, tt.message)
		})
	}
}
