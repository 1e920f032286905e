// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/readyz"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

const (
	hostFile   = "/etc/kubernetes/encryption/config.yaml"
	guardImage = "registry.example/agent@sha256:0123"
	startTime  = 5 * time.Second
	rollback   = 30 * time.Second
)

// kubeletNode is a control-plane node with a kubelet that starts a kube-apiserver for each manifest that it finds, with a log
// folder of its own, as soon as it is asked for.
type kubeletNode struct {
	*node

	logDir, certificate string
	// breaks tells whether a kube-apiserver does not come up with a manifest.
	breaks func(manifest []byte) bool
	// silent: what does not come up leaves no log.
	silent bool
	// asked is called before each answer.
	asked func(at int)

	questions int
	running   string
	since     time.Time
	starts    map[string]int
	out       bytes.Buffer
}

// newKubeletNode is a machine whose kube-apiserver runs. It must be made in a bubble of synctest.
func newKubeletNode(t *testing.T, manifest []byte) *kubeletNode {
	t.Helper()
	m := &kubeletNode{node: newNode(t, exampleConfig("1")), certificate: "c1", starts: map[string]int{}}
	m.Now = time.Now
	m.ManifestDir, m.ManifestName = filepath.Join(filepath.Dir(m.ConfigDir), "manifests"), project.APIServerManifest
	m.logDir = filepath.Join(filepath.Dir(m.ConfigDir), "pods")
	require.NoError(t, os.Mkdir(m.ManifestDir, 0o700))
	require.NoError(t, os.Mkdir(m.logDir, 0o755))
	m.put(manifest)
	m.kubelet(time.Now().Add(-time.Hour))
	return m
}

func plainManifest(t *testing.T) []byte {
	t.Helper()
	return readFile(t, filepath.Join("..", "staticpod", "testdata", "kubeadm-1.37.yaml"))
}

func enabledManifest(t *testing.T) []byte {
	t.Helper()
	manifest, err := staticpod.Enable(plainManifest(t), hostFile)
	require.NoError(t, err)
	return manifest
}

func (m *kubeletNode) manifestPath() string { return filepath.Join(m.ManifestDir, m.ManifestName) }

func (m *kubeletNode) put(manifest []byte) {
	m.t.Helper()
	require.NoError(m.t, os.WriteFile(m.manifestPath(), manifest, 0o640))
	require.NoError(m.t, os.Chmod(m.manifestPath(), 0o640))
}

// kubelet starts the kube-apiserver anew if its manifest is another one.
func (m *kubeletNode) kubelet(now time.Time) {
	manifest, err := os.ReadFile(m.manifestPath())
	if err != nil || encconfig.Digest(manifest) == m.running {
		return
	}
	m.running, m.since = encconfig.Digest(manifest), now
	if m.broken() && m.silent {
		return
	}
	uid := strings.TrimPrefix(m.running, "sha256:")[:32]
	dir := filepath.Join(m.logDir, "kube-system_kube-apiserver-n1_"+uid, "kube-apiserver")
	require.NoError(m.t, os.MkdirAll(dir, 0o755))
	log := filepath.Join(dir, strconv.Itoa(m.starts[uid])+".log")
	m.starts[uid]++
	require.NoError(m.t, os.WriteFile(log, []byte(logText()), 0o640))
	require.NoError(m.t, os.Chtimes(log, m.since, m.since))
}

func logText() string {
	return `2026-11-20T10:11:12.123456789Z stderr F I1120 10:11:12.000000       1 options.go:228] external host was not specified
2026-11-20T10:11:12.123456789Z stderr F E1120 10:11:12.000000       1 run.go:72] "command failed" err="Invalid value: {\"Secret\":\"` + exampleKey("1").Base64() + `\"}: more than one provider specified"
`
}

func (m *kubeletNode) broken() bool {
	if m.breaks == nil {
		return false
	}
	manifest, err := os.ReadFile(m.manifestPath())
	return err == nil && m.breaks(manifest)
}

// ask answers as the kube-apiserver that runs.
func (m *kubeletNode) ask(ctx context.Context, address string) (readyz.Answer, error) {
	assert.Equal(m.t, "127.0.0.1:6443", address)
	if m.asked != nil {
		m.asked(m.questions)
	}
	m.questions++
	if ctx.Err() != nil {
		return readyz.Answer{}, ctx.Err()
	}
	m.kubelet(time.Now())
	if m.broken() || time.Since(m.since) < startTime {
		return readyz.Answer{}, errors.New("connection refused")
	}
	a := readyz.Answer{Status: 200, Certificate: m.certificate, Checks: []string{"ping"}}
	manifest, err := os.ReadFile(m.manifestPath())
	if err != nil {
		return readyz.Answer{}, err
	}
	if strings.Contains(string(manifest), "automatic-reload=true") {
		a.Checks = append(a.Checks, readyz.ReloadHook)
	}
	return a, nil
}

// edit is the request that a plugin would make.
func (m *kubeletNode) edit(file string) agentapi.ManifestEdit {
	m.t.Helper()
	e := agentapi.ManifestEdit{From: encconfig.Digest(readFile(m.t, m.manifestPath())), File: file, RollbackAfter: rollback, Image: guardImage}
	if file != "" {
		e.Config = m.digest()
	}
	return e
}

// call hands an edit to a guard.
func (m *kubeletNode) call(e agentapi.ManifestEdit) agentapi.Response {
	m.t.Helper()
	return m.node.ask(agentapi.Request{Op: agentapi.EditManifest, Edit: &e})
}

// called hands an edit to a guard and requires that it was taken.
func (m *kubeletNode) called(file string) agentapi.ManifestEdit {
	m.t.Helper()
	e := m.edit(file)
	require.Nil(m.t, m.call(e).Error)
	return e
}

func (m *kubeletNode) newGuard() *Guard {
	m.t.Helper()
	g, err := NewGuard(GuardOptions{
		Run: m.Run, ManifestDir: m.ManifestDir, ManifestName: m.ManifestName, HistoryDir: m.HistoryDir, LogDir: m.logDir,
		Owner: m.Owner, Now: time.Now, Boot: "b1", Ask: m.ask, Out: &m.out,
	})
	require.NoError(m.t, err)
	return g
}

// guarded lets a guard work to its end and gives the record of it.
func (m *kubeletNode) guarded() agentapi.Edit {
	m.t.Helper()
	require.NoError(m.t, m.newGuard().Work(m.t.Context()), m.out.String())
	st := m.inspect()
	require.NotNil(m.t, st.Manifest)
	require.Nil(m.t, st.Manifest.Problem)
	require.NotNil(m.t, st.Manifest.Edit)
	return *st.Manifest.Edit
}

// requireClean requires that the folder of manifests has the kube-apiserver's, with its mode, and nothing of ours.
func (m *kubeletNode) requireClean() {
	m.t.Helper()
	require.Equal(m.t, []string{m.ManifestName}, fileNames(m.t, m.ManifestDir))
	info, err := os.Stat(m.manifestPath())
	require.NoError(m.t, err)
	require.Equal(m.t, os.FileMode(0o640), info.Mode())
}

// requireManifest requires that the manifest has certain bytes.
func (m *kubeletNode) requireManifest(want []byte) {
	m.t.Helper()
	require.Equal(m.t, string(want), string(readFile(m.t, m.manifestPath())))
}
