// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/bundle"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/seal"
)

func TestInstallBundle_onANewMachine(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	config := exampleConfig("2", "1")
	b := bundleFor(t, m, joinPath, config)

	result, err := m.Install(text(t, b))

	require.NoError(t, err)
	assert.Equal(t, Installed{Path: joinPath, Digest: encconfig.Digest(config)}, result)
	assert.Equal(t, config, readFile(t, m.at(joinPath)))
	assert.Equal(t, fs.FileMode(0o600), mode(t, m.at(joinPath)))
	assert.Equal(t, fs.FileMode(0o700), mode(t, m.at(project.DefaultConfigDir)))
	assert.ElementsMatch(t, []string{"000001-20261120T101112Z-run-1.yaml", "highest-key", "highest-written", "lock"},
		fileNames(t, m.at(project.NodeHistoryDir)), "the identity is gone, the history has begun")
	assert.Equal(t, "2", string(readFile(t, m.at(project.NodeHistoryDir+"/highest-key"))))

	before := m.files(t)
	result, err = m.Install(text(t, b))
	require.NoError(t, err, "once more")
	assert.Equal(t, Installed{Path: joinPath, Digest: encconfig.Digest(config), Already: true}, result)
	assert.Equal(t, before, m.files(t))
}

func TestInstallBundle_mendsWhatIsThere(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		there   []byte
		lacking []encconfig.Key
	}{
		"an older one":                {exampleConfig("1"), nil},
		"one with a key that is gone": {exampleConfig("3", "1"), []encconfig.Key{gcm("3")}},
		"an empty one":                {[]byte{}, nil},
		"one that is not understood":  {[]byte("kind: nonsense"), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.write(t, joinPath, tt.there)
			m.write(t, project.NodeManifestDir+"/"+project.APIServerManifest, []byte("kind: Pod"))
			b := bundleFor(t, m, joinPath, exampleConfig("2", "1"))

			result, err := m.Install(text(t, b))

			require.NoError(t, err)
			result.Lacking = withoutFingerprints(result.Lacking)
			assert.Equal(t, Installed{
				Path: joinPath, Digest: b.Digest, Replaced: encconfig.Digest(tt.there), Lacking: tt.lacking, Runs: true,
			}, result)
			assert.Equal(t, exampleConfig("2", "1"), readFile(t, m.at(joinPath)))
			assert.Equal(t, tt.there, readFile(t, m.at(project.NodeHistoryDir+"/000001-20261120T101112Z-"+RestoreRun+".yaml")), "what was there is kept")
			assert.Equal(t, exampleConfig("2", "1"), readFile(t, m.at(project.NodeHistoryDir+"/000002-20261120T101112Z-"+RestoreRun+".yaml")),
				"that it was put in place by hand is on record: the kube-apiserver may have written with the other")
		})
	}
}

func TestInstallBundle_isThereWithTheIdentityLeft(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.write(t, joinPath, exampleConfig("1"))
	result, err := m.Install(text(t, bundleFor(t, m, joinPath, exampleConfig("1"))))
	require.NoError(t, err)
	assert.Equal(t, Installed{Path: joinPath, Digest: encconfig.Digest(exampleConfig("1")), Already: true}, result)
	assert.NotContains(t, fileNames(t, m.at(project.NodeHistoryDir)), "identity")
}

func TestInstallBundle_leavesAnIdentityThatWasMadeMeanwhile(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	b := bundleFor(t, m, joinPath, exampleConfig("1"))
	renewing := m
	renewing.before = func(op operation) error {
		if op.folder == "config" && op.call == "fsync folder" { // by then the installation has read the former one
			h, err := m.openHistory()
			require.NoError(t, err)
			defer h.close()
			_, err = h.newIdentity()
			require.NoError(t, err)
		}
		return nil
	}
	_, err := renewing.Install(text(t, b))
	require.NoError(t, err)
	assert.Contains(t, fileNames(t, m.at(project.NodeHistoryDir)), "identity")
}

func TestInstallBundle_takesAFolderThatItIsTold(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	b := bundleFor(t, m, "/srv/keys/config.yaml", exampleConfig("1"))
	_, err := m.Install(text(t, b))
	require.EqualError(t, err, "the bundle is for the file /srv/keys/config.yaml, which is not below /etc/kubernetes; if it belongs there, say so with --folder /srv/keys")
	m.Folders = []string{"/srv/keys/"}
	_, err = m.Install(text(t, b))
	require.NoError(t, err)
	assert.Equal(t, exampleConfig("1"), readFile(t, m.at("/srv/keys/config.yaml")))
	assert.Equal(t, fs.FileMode(0o700), mode(t, m.at("/srv/keys")))
}

func TestInstallBundle_refusesAndChangesNothing(t *testing.T) {
	t.Parallel()
	config := exampleConfig("1")
	at := func(path string) func(*testing.T, *Machine, bundle.Bundle) []byte {
		return func(t *testing.T, m *Machine, _ bundle.Bundle) []byte {
			t.Helper()
			return text(t, bundleFor(t, *m, path, config))
		}
	}
	changed := func(change func(*bundle.Bundle)) func(*testing.T, *Machine, bundle.Bundle) []byte {
		return func(t *testing.T, _ *Machine, b bundle.Bundle) []byte {
			t.Helper()
			change(&b)
			return text(t, b)
		}
	}
	const doesNotOpen = "the bundle does not open: what it says, or holds, was changed since it was made"
	tests := map[string]struct {
		input   func(*testing.T, *Machine, bundle.Bundle) []byte
		message string
	}{
		"not a bundle": {func(*testing.T, *Machine, bundle.Bundle) []byte { return config }, "this is not a bundle"},
		"a cut bundle": {func(t *testing.T, _ *Machine, b bundle.Bundle) []byte {
			data := text(t, b)
			return data[:len(data)-10]
		}, "the bundle is cut"},
		"a damaged bundle": {func(t *testing.T, _ *Machine, b bundle.Bundle) []byte {
			return bytes.Replace(text(t, b), []byte("encryption/config"), []byte("encryption/confug"), 1)
		}, "the bundle is damaged"},
		"another user than root": {func(t *testing.T, m *Machine, b bundle.Bundle) []byte { m.User++; return text(t, b) }, "this must be run as root"},
		"before there is an identity": {func(t *testing.T, m *Machine, b bundle.Bundle) []byte {
			require.NoError(t, os.RemoveAll(m.at("/etc/kubernetes")))
			return text(t, b)
		}, "there is no identity on this machine: run encryption-agent recipient first"},
		"the identity is gone": {func(t *testing.T, m *Machine, b bundle.Bundle) []byte {
			require.NoError(t, os.Remove(m.at(project.NodeHistoryDir+"/identity")))
			return text(t, b)
		}, "there is no identity on this machine: run encryption-agent recipient first"},
		"for an identity that was renewed": {func(t *testing.T, m *Machine, b bundle.Bundle) []byte {
			_, err := m.Recipient(true)
			require.NoError(t, err)
			return text(t, b)
		}, "the bundle is for another recipient: it was made for sha256:"},
		"for another machine": {func(t *testing.T, _ *Machine, _ bundle.Bundle) []byte {
			return text(t, bundleFor(t, newMachine(t), joinPath, config))
		}, "the bundle is for another recipient"},
		"expired": {func(t *testing.T, m *Machine, b bundle.Bundle) []byte {
			m.Now = func() time.Time { return joinTime.Add(bundle.Life) }
			return text(t, b)
		}, "the bundle expired at 2026-11-21 10:11:12 UTC, and keys may have been rotated since: have another one made with kubectl encryption join"},
		"redirected to another path":   {changed(func(b *bundle.Bundle) { b.Path = "/etc/kubernetes/encryption/other.yaml" }), doesNotOpen},
		"of another run":               {changed(func(b *bundle.Bundle) { b.Run = "run-2" }), doesNotOpen},
		"with another label":           {changed(func(b *bundle.Bundle) { b.Label = "n5" }), doesNotOpen},
		"with another digest":          {changed(func(b *bundle.Bundle) { b.Digest = encconfig.Digest(nil) }), doesNotOpen},
		"with a longer life":           {changed(func(b *bundle.Bundle) { b.Expires = b.Expires.Add(time.Hour) }), doesNotOpen},
		"made at another time":         {changed(func(b *bundle.Bundle) { b.Made = b.Made.Add(-time.Hour) }), doesNotOpen},
		"with another byte of content": {changed(func(b *bundle.Bundle) { b.Sealed[len(b.Sealed)-1] ^= 1 }), doesNotOpen},
		"outside /etc/kubernetes":      {at("/etc/passwd"), "the bundle is for the file /etc/passwd, which is not below /etc/kubernetes"},
		"beside /etc/kubernetes":       {at("/etc/kubernetes-old/config.yaml"), "which is not below /etc/kubernetes"},
		"among the static pods":        {at("/etc/kubernetes/manifests/config.yaml"), "no configuration belongs into /etc/kubernetes/manifests"},
		"in the history":               {at("/etc/kubernetes/kubectl-encryption/config.yaml"), "no configuration belongs into /etc/kubernetes/kubectl-encryption"},
		"a file of kubeadm's":          {at("/etc/kubernetes/admin.conf"), "which by its name is one of kubeadm's own"},
		"a certificate":                {at("/etc/kubernetes/pki/ca.crt"), "which by its name is one of kubeadm's own"},
		"a hidden file":                {at("/etc/kubernetes/encryption/.config.yaml"), "which is not the name of a configuration file"},
		"a folder in the file's place": {func(t *testing.T, m *Machine, b bundle.Bundle) []byte {
			require.NoError(t, os.MkdirAll(m.at(joinPath), 0o700))
			return text(t, b)
		}, "what is at /etc/kubernetes/encryption/config.yaml can't be replaced: config.yaml is not a plain file but a folder"},
		"a folder that others can write in": {func(t *testing.T, m *Machine, b bundle.Bundle) []byte {
			require.NoError(t, os.MkdirAll(m.at(project.DefaultConfigDir), 0o700))
			require.NoError(t, os.Chmod(m.at(project.DefaultConfigDir), 0o777))
			return text(t, b)
		}, "others than root can write in the folder /etc/kubernetes/encryption"},
		"a file in the folder's place": {func(t *testing.T, m *Machine, b bundle.Bundle) []byte {
			m.write(t, project.DefaultConfigDir, nil)
			return text(t, b)
		}, "/etc/kubernetes/encryption is not a folder"},
		"a configuration that is not understood": {func(t *testing.T, m *Machine, b bundle.Bundle) []byte {
			bad := []byte("kind: nonsense\n")
			b.Digest = encconfig.Digest(bad)
			b.Sealed = sealedText(t, *m, b, bad)
			return text(t, b)
		}, "the encryption configuration is not understood"},
		"another configuration than its digest says": {func(t *testing.T, m *Machine, b bundle.Bundle) []byte {
			b.Sealed = sealedText(t, *m, b, exampleConfig("9"))
			return text(t, b)
		}, "the bundle does not open"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			input := tt.input(t, &m, bundleFor(t, m, joinPath, config))
			before := m.files(t)
			_, err := m.Install(input)
			require.ErrorContains(t, err, tt.message)
			assert.NotContains(t, err.Error(), exampleKey("1").Base64())
			assert.Equal(t, before, m.files(t))
		})
	}
}

// sealedText seals anything for a machine, as a bundle with these words.
func sealedText(t *testing.T, m Machine, b bundle.Bundle, data []byte) []byte {
	t.Helper()
	c := seal.Context{Run: b.Run, Recipient: b.SealedFor(), From: b.Digest, To: b.Digest}
	sealed, err := seal.Seal(publicKeyOf(t, m), c, data)
	require.NoError(t, err)
	return sealed
}

func TestInstallBundle_failsAtAnyPointAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	config := exampleConfig("2", "1")
	for at := 0; ; at++ {
		m := newMachine(t)
		m.write(t, joinPath, exampleConfig("1"))
		b := bundleFor(t, m, joinPath, config)
		failing, reached := m.failingAt(at)
		_, err := failing.Install(text(t, b))
		if !*reached {
			require.NoError(t, err)
			require.Greater(t, at, 20, "system calls")
			return
		}
		assert.Contains(t, [][]byte{config, exampleConfig("1")}, readFile(t, m.at(joinPath)), "the file is whole")

		result, err := m.Install(text(t, b))

		require.NoError(t, err, "after a failure at system call %d", at)
		assert.Equal(t, b.Digest, result.Digest)
		assert.Equal(t, config, readFile(t, m.at(joinPath)))
		assert.NotContains(t, fileNames(t, m.at(project.NodeHistoryDir)), "identity")
		assert.NotContains(t, fileNames(t, m.at(project.NodeHistoryDir)), "journal.json")
		assert.Equal(t, []string{project.ConfigFile}, fileNames(t, filepath.Dir(m.at(joinPath))))
	}
}
