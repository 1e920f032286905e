// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
)

// killRotate kills a rotation that takes a key out, too.
func killRotate(t *testing.T, c trial) {
	c.everyMoment(t, c.rotationThatPrunes(t), c.kill)
}

// rotationThatPrunes is a rotation for which there is one key too many.
func (c trial) rotationThatPrunes(t *testing.T) course {
	t.Helper()
	const most = 2
	for len(c.nodes[0].keys(t)) < most {
		c.succeed(t, "rotate", "--yes")
	}
	way := c.rotation(t, "--keep="+strconv.Itoa(most))
	way.stages = append(way.stages, "prune")
	end := way.ended
	way.ended = func(t *testing.T) {
		t.Helper()
		assert.Len(t, c.nodes[0].keys(t), most, "the oldest key has left")
		end(t)
	}
	return way
}

// interruptedExit is the exit code of a command that was interrupted (docs/json-output.md).
const interruptedExit = 130

// interruptRotate interrupts a rotation as Ctrl-C does. Each time it ends by itself, says so, and has removed all that it has made.
func interruptRotate(t *testing.T, c trial) {
	way := c.rotationThatPrunes(t)
	way.interrupted = true
	c.everyMoment(t, way, func(t *testing.T, p *process) {
		t.Helper()
		require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
		if p.wait(t) == 0 {
			return // it was about to end
		}
		assert.Contains(t, p.stderr.String(), "interrupted: ending at a safe point")
		assert.Regexp(t, "(?m)^error: interrupted$", p.stderr.String())
		c.checkNothingLeft(t)
	})
}

func killMigrate(t *testing.T, c trial) {
	c.succeed(t, "rotate", "--yes")
	command := []string{"migrate", "--resources", "secrets,configmaps"}
	c.everyMoment(t, course{begin: command, again: command, ended: c.survived, stages: []string{"migrate"}}, c.kill)
}

// killOnAndOff kills disable, with some flags, and enable.
func killOnAndOff(flags ...string) func(*testing.T, trial) {
	return func(t *testing.T, c trial) {
		off := func(t *testing.T) {
			t.Helper()
			c.awaitNoGuard(t)
			c.checkNothingLeft(t)
			c.checkStorage(t, both(plaintext))
		}
		stages := []string{"promote", "migrate", "close"}
		if len(flags) > 0 {
			stages = []string{"edit-manifest", "migrate", "close"}
		}
		c.everyMoment(t, course{
			begin: append([]string{"disable", "--yes"}, flags...), again: again("disable"), ended: off, restarts: true, stages: stages,
		}, c.kill)
		c.everyMoment(t, course{
			begin: []string{"enable", "--yes"}, again: again("enable"), ended: c.survived, restarts: true, stages: stages[1:],
		}, c.kill)
	}
}

// killRollback goes back to a key that every node reads, and then to one that is in histories alone.
func killRollback(t *testing.T, c trial) {
	first := c.writeKey(t)
	c.succeed(t, "rotate", "--yes")
	second := c.writeKey(t)
	c.everyMoment(t, c.rollback(t, first), c.kill)
	c.succeed(t, "prune", "--key", second.provider+"/"+second.name, "--wait", "--yes")
	c.everyMoment(t, c.rollback(t, second), c.kill)
}

func (c trial) rollback(t *testing.T, to key) course {
	t.Helper()
	return course{
		begin: []string{"rollback", "--to", c.digestThatWrites(t, to), "--yes"}, again: again("rollback"),
		stages: []string{"promote", "settle", "migrate", "verify", "close"},
		ended: func(t *testing.T) {
			t.Helper()
			assert.Equal(t, to, c.writeKey(t))
			c.survived(t)
		},
	}
}

// digestThatWrites is that of a revision which writes with a key and no other. Numbers are each node's own.
func (c trial) digestThatWrites(t *testing.T, k key) string {
	t.Helper()
	var h v1alpha1.RevisionHistory
	require.NoError(t, json.Unmarshal([]byte(c.succeed(t, "history", "-o", "json").stdout), &h))
	for _, rev := range h.Nodes[0].Revisions {
		if rev.Understood && len(rev.WriteKeys) == 1 && rev.WriteKeys[0].Name == k.name && rev.WriteKeys[0].Provider == k.provider {
			return rev.Digest
		}
	}
	require.Fail(t, "no revision writes with the key", "%s/%s", k.provider, k.name)
	return ""
}

// killPrune takes a key out of the configuration, and another one out of the histories as well.
func killPrune(t *testing.T, c trial) {
	const enough = 4
	for len(c.nodes[0].keys(t)) < enough {
		c.succeed(t, "rotate", "--yes", "--keep=9")
	}
	keys := c.nodes[0].keys(t)
	oldest, older := keys[len(keys)-1], keys[len(keys)-2]
	c.everyMoment(t, c.prune(older, true), c.kill) // each revision that has it has the oldest too, which is not to be lost
	c.everyMoment(t, c.prune(oldest, false), c.kill)
}

// prune takes a key out. A run that is killed before it has proven that nothing needs the key has left nothing to go on with; and
// what is on record is the configuration alone, so histories are seen to by the same command once more.
func (c trial) prune(k key, history bool) course {
	way := course{
		begin: []string{"prune", "--key", k.provider + "/" + k.name, "--wait", "--yes"}, again: again("prune"),
		stages: []string{"prove", "prune", "close"},
	}
	if history {
		way.begin, way.stages = append(way.begin, "--history"), append(way.stages, "forget")
	}
	way.through = func(t *testing.T) bool {
		t.Helper()
		return !slices.ContainsFunc(c.nodes, func(n *node) bool {
			return strings.Contains(string(n.read(t)), k.secret) || history && slices.Contains(n.history(t), k.secret)
		})
	}
	way.ended = func(t *testing.T) {
		t.Helper()
		for _, n := range c.nodes {
			assert.Equal(t, !history, slices.Contains(n.history(t), k.secret), "%s has the key in its history", n.name)
		}
		c.survived(t)
	}
	return way
}

// killRepairOfOne loses the file of a node, in each way, and repairs: of the only one, or of one among others.
func killRepairOfOne(t *testing.T, c trial) {
	c.succeed(t, "rotate", "--yes") // the nodes have a history then
	n := c.nodes[0]
	for name, spoil := range map[string]func(agreed []byte){
		"gone":  func([]byte) {},
		"cut":   func(agreed []byte) { n.put(t, agreed[:len(agreed)/2]) },
		"empty": func([]byte) { n.put(t, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			agreed, before := n.read(t), c.keysEverywhere(t)
			repaired := c.lose(t)
			spoil(agreed)
			c.everyMoment(t, c.repair(func(t *testing.T) {
				t.Helper()
				c.checkNoKeyLost(t, before)
				repaired(t)
			}), c.kill)
		})
	}
}

func (c trial) repair(ended func(t *testing.T)) course {
	command := []string{"repair", "--yes"}
	return course{begin: command, again: command, ended: ended, stages: []string{"agree"}}
}

// killRepairOfMany has an older file, one that was edited by hand, and none. Every kube-apiserver reads what any other writes all the
// while. What was edited in encrypts a resource that the others can't read with that key, so that they are given it first.
func killRepairOfMany(t *testing.T, c trial) {
	if len(c.nodes) < mostOfOne { // that many have to differ
		killRepairOfOne(t, c)
		return
	}
	c.succeed(t, "rotate", "--yes") // the nodes have a history then
	c.seedTemplate(t)
	old := c.writeKey(t)
	c.succeed(t, "rotate", "--yes")
	agreed := c.writeKey(t)
	older, edited, lost := c.nodes[0], c.nodes[1], c.nodes[2]
	older.put(t, older.revisionOf(t, old, agreed))
	edited.put(t, []byte(oneRuleMore(string(edited.read(t)))))
	c.awaitLoaded(t)
	before := c.keysEverywhere(t)
	require.NoError(t, os.Remove(lost.configFile()))

	c.everyMoment(t, c.repair(func(t *testing.T) {
		t.Helper()
		c.checkLoaded(t)
		c.checkNothingLeft(t)
		c.checkNoKeyLost(t, before)
		assert.Equal(t, agreed, c.writeKey(t), "the newest key that a kube-apiserver has written with")
		c.succeed(t, "rotate", "--yes")
		c.survived(t)
	}), c.kill)
}

// oneRuleMore encrypts a resource that hardly anybody has.
func oneRuleMore(file string) string {
	return file + "  - resources:\n      - podtemplates\n    providers:\n      - aescbc:\n          keys:\n            - name: mine\n" +
		"              secret: " + aKey + "\n      - identity: {}\n"
}

// seedTemplate makes an object of the resource that oneRuleMore encrypts.
func (c trial) seedTemplate(t *testing.T) {
	t.Helper()
	_, err := c.client.CoreV1().PodTemplates(seedNamespace).Create(t.Context(), &corev1.PodTemplate{
		ObjectMeta: metav1.ObjectMeta{Name: "seed"},
		Template:   corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "seed", Image: "images.invalid/seed"}}}},
	}, metav1.CreateOptions{})
	requireMade(t, err)
}

// forgetLock takes away the Lease of a run that was killed.
func (c trial) forgetLock(t *testing.T) {
	t.Helper()
	err := c.client.CoordinationV1().Leases(systemNamespace).Delete(t.Context(), ourName, metav1.DeleteOptions{})
	if !apierrors.IsNotFound(err) {
		require.NoError(t, err)
	}
}
