// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// assertT is what the checks need of a test, be it an ordinary one or rapid's.
type assertT interface {
	require.TestingT
	Helper()
}

// However people indent, quote, comment and order a manifest, Enable takes it and Disable gives it back.
func TestEnable_and_Disable_hold_for_every_way_of_writing_a_manifest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		manifest := written(t)
		_, err := staticpod.Enable(manifest, defaultFile)
		require.NoError(t, err, string(manifest))
		requireEnableHolds(t, manifest, defaultFile)
	})
}

// writer writes a manifest in a style of its own.
type writer struct {
	t               *rapid.T
	nest, dash, gap int
	lines           []string
}

func written(t *rapid.T) []byte {
	w := &writer{
		t:    t,
		nest: rapid.IntRange(1, 6).Draw(t, "nest"), dash: rapid.IntRange(0, 4).Draw(t, "dash"), gap: rapid.IntRange(2, 5).Draw(t, "gap"),
	}
	w.line(0, "apiVersion: v1")
	w.line(0, "kind: Pod")
	w.line(0, "metadata: {name: kube-apiserver}")
	w.line(0, "spec:")
	at := w.nest
	if rapid.Bool().Draw(t, "volumes first") {
		w.volumes(at)
		w.containers(at)
	} else {
		w.containers(at)
		w.line(at, "hostNetwork: true")
		w.volumes(at)
	}
	eol := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "line ending")
	end := rapid.SampledFrom([]string{"", eol, eol + eol}).Draw(t, "end")
	return []byte(strings.Join(w.lines, eol) + end)
}

// line writes a line, maybe with a comment behind it and comments or blank lines above it.
func (w *writer) line(column int, text string) {
	above := rapid.SampledFrom([]string{"", "", "", "", "# comment", "    # indented", " "}).Draw(w.t, "above")
	if above != "" && len(w.lines) > 0 {
		w.lines = append(w.lines, strings.TrimSpace(above), above)
	}
	behind := rapid.SampledFrom([]string{"", "", "", " # why"}).Draw(w.t, "behind")
	w.lines = append(w.lines, strings.Repeat(" ", column)+text+behind)
}

func (w *writer) item(column int, text string) {
	w.line(column, "-"+strings.Repeat(" ", w.gap-1)+text)
}

func (w *writer) containers(at int) {
	w.line(at, "containers:")
	if rapid.Bool().Draw(w.t, "sidecar") {
		w.item(at+w.dash, "{name: sidecar, command: [/sidecar]}")
	}
	w.item(at+w.dash, "name: kube-apiserver")
	at += w.dash + w.gap
	w.line(at, "command:")
	w.item(at+w.dash, "kube-apiserver")
	for _, flag := range w.flags() {
		w.item(at+w.dash, flag)
	}
	w.named(at, "volumeMounts", func(at int, name string) {
		w.item(at, "mountPath: /mnt/"+name)
		w.line(at+w.gap, "name: "+name)
	})
}

func (w *writer) flags() []string {
	words := []string{
		"--advertise-address=10.0.0.1", "--enable-admission-plugins=NodeRestriction", "-v=2", `"--audit-log-path=/var/log/a b"`,
		"'--etcd-servers=https://127.0.0.1:2379'", "--secure_port=6443", "--tls-cert-file=/etc/kubernetes/pki/a.crt", "--allow-privileged",
	}
	words = rapid.Permutation(words).Draw(w.t, "flags")[:rapid.IntRange(0, len(words)).Draw(w.t, "number of flags")]
	if rapid.Bool().Draw(w.t, "sorted") {
		slices.Sort(words)
	}
	return words
}

func (w *writer) volumes(at int) {
	w.named(at, "volumes", func(at int, name string) {
		w.item(at, "hostPath:")
		w.line(at+w.gap+w.nest, "path: /mnt/"+name)
		w.line(at+w.gap, "name: "+name)
	})
}

func (w *writer) named(at int, key string, item func(at int, name string)) {
	number := rapid.IntRange(0, 3).Draw(w.t, key)
	if number > 0 {
		w.line(at, key+":")
	}
	for i := range number {
		item(at+w.dash, fmt.Sprintf("%c-volume", 'f'-i*2))
	}
}
