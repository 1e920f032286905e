// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/logs"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
)

// failedFolder keeps the logs of a start that failed, until the next one.
const failedFolder = "failed"

var (
	anyLine         = regexp.MustCompile(`\S`)
	kubeletError    = regexp.MustCompile(`^E\d|[Ee]rror:`)
	containerdError = regexp.MustCompile(`level=(error|fatal)|^containerd: `)
)

// telling maps the logs of a node, as patterns below /var/log, to the lines in
// them that explain a failure.
func telling() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"kubeadm.log":    anyLine,
		"kubelet.log":    kubeletError,
		"containerd.log": containerdError,
		"supervisor.log": anyLine,

		"pods/kube-system_etcd-*/etcd/*.log":                     anyLine,
		"pods/kube-system_kube-apiserver-*/kube-apiserver/*.log": anyLine,
	}
}

// linesShown is how many of such lines of one log are printed.
const linesShown = 8

// giveUp reports why the start failed and takes away what it made.
func (h *Harness) giveUp(ctx context.Context, reason error) error {
	if ctx.Err() != nil {
		return errors.Join(errors.New("interrupted"), h.takeDown(ctx))
	}
	kept := filepath.Join(h.state.Dir, failedFolder)
	for _, node := range h.state.Nodes {
		h.explain(node, kept)
	}
	h.say("the start failed; all logs: %s", kept)
	return errors.Join(reason, h.takeDown(ctx))
}

// explain prints what the node's logs say and keeps them whole.
func (h *Harness) explain(node *state.Node, kept string) {
	telling := telling()
	for _, pattern := range slices.Sorted(maps.Keys(telling)) {
		file := newest(path(node, filepath.Join("var/log", pattern)))
		for _, line := range logs.Last(file, telling[pattern], linesShown) {
			h.say("%s %s: %s", node.Name, filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), line)
		}
	}
	for _, pattern := range []string{"var/log/*.log", "var/log/pods/*/*/*.log"} {
		files, err := filepath.Glob(path(node, pattern))
		if err != nil {
			continue
		}
		for _, file := range files {
			if err := keep(file, node, kept); err != nil {
				h.say("keep log: %v", err)
			}
		}
	}
}

// newest returns the file of the pattern that was written to last.
func newest(pattern string) string {
	var found string
	var latest time.Time
	files, err := filepath.Glob(pattern)
	if err != nil {
		return ""
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.ModTime().After(latest) {
			found, latest = file, info.ModTime()
		}
	}
	return found
}

// keep copies a log of the node to where it outlives the node.
func keep(file string, node *state.Node, kept string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(path(node, "var/log"), file)
	if err != nil {
		return err
	}
	return place(filepath.Join(kept, node.Name, name), content, 0o755)
}
