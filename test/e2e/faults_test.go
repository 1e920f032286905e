// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-encryption/kubectl-encryption/test/faults/book"
	"github.com/kubectl-encryption/kubectl-encryption/test/faults/catalogue"
	"github.com/kubectl-encryption/kubectl-encryption/test/faults/witness"
)

// fullVariable asks for every case; without it there are those of the short set.
const fullVariable = "FAULTS_FULL"

// trial is a case under way.
type trial struct {
	*cluster

	row  *book.Row
	full bool
}

// TestFaults has the plugin meet every fault of the catalogue on real clusters, while a witness reads all objects through
// every kube-apiserver and writes some. Each case ends with a cluster that is settled, reached by the plugin itself.
//
// The short set is tried on one node. Of the full one, what needs several nodes to go wrong in between is tried on three, and the
// rest on one, at the same time. FAULTS_NODES has all of it tried on as many nodes as it says.
func TestFaults(t *testing.T) {
	env, full := newEnvironment(t), os.Getenv(fullVariable) != ""
	cases := catalogue.Of(catalogue.Node, full)
	faults := nodeFaults()
	for _, one := range cases {
		require.Contains(t, faults, one.Name, "the case of the catalogue is tried")
	}
	for name := range faults {
		require.True(t, catalogue.Has(catalogue.Node, name), "the case %q is in the catalogue", name)
	}
	if text := os.Getenv("FAULTS_NODES"); text != "" {
		nodes, err := strconv.Atoi(text)
		require.NoError(t, err)
		env.tryAll(t, nodes, cases, full)
		return
	}
	if !full {
		env.tryAll(t, 1, cases, full)
		return
	}
	needsMany := func(one catalogue.Case) bool { return one.Many }
	alone := slices.DeleteFunc(slices.Clone(cases), needsMany)
	env.tryAll(t, 1, alone, full)
	env.tryAll(t, mostOfOne, slices.DeleteFunc(cases, func(one catalogue.Case) bool { return !needsMany(one) }), full)
}

// mostOfOne is how many nodes the larger one of the two clusters has.
const mostOfOne = 3

// tryAll tries cases one after the other on a cluster of their own.
func (e environment) tryAll(t *testing.T, nodes int, cases []catalogue.Case, full bool) {
	t.Run(fmt.Sprintf("%d", nodes), func(t *testing.T) {
		t.Parallel()
		c := e.start(t, shape{name: fmt.Sprintf("faults-%d", nodes), nodes: nodes, encryption: "aesgcm", reloadPoll: fast, compaction: soon})
		c.seed(t)
		for number, one := range cases {
			if t.Failed() { // what the case before has left is none of this one's concern
				c.mend(t)
			}
			t.Run(one.Name, func(t *testing.T) { c.survive(t, one.Name, number, nodeFaults()[one.Name], full) })
		}
	})
}

// mend brings a cluster to its end that a case has left as it must not be left, as far as that goes.
func (c *cluster) mend(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{
		{"repair", "--yes"}, again("rotate"), again("rollback"), again("prune"), again("disable"), again("enable"), {"enable", "--yes"},
	} {
		_, _ = c.run(t.Context(), args...)
	}
}

func (c *cluster) survive(t *testing.T, name string, number int, do func(*testing.T, trial), full bool) {
	row := book.Row{Fault: name}
	defer func() {
		folder, err := filepath.Abs(filepath.Join("..", "..", "_output", "faults"))
		require.NoError(t, err)
		assert.NoError(t, book.Append(folder, fmt.Sprintf("node-%d", len(c.nodes)), row))
	}()
	var instances []witness.Instance
	for _, n := range c.nodes {
		client, err := dynamic.NewForConfig(n.config)
		require.NoError(t, err)
		instances = append(instances, witness.Instance{Name: n.name, Client: client})
	}
	namespace := fmt.Sprintf("e2e-faults-%02d-%d", number, time.Now().Unix()) // the cluster may have been kept
	w, err := witness.Start(t.Context(), namespace, witness.Objects{Still: 6, Written: 6}, instances...)
	require.NoError(t, err)
	defer func() {
		assert.NoError(t, c.client.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), namespace, metav1.DeleteOptions{}))
	}()
	defer func() {
		counts, err := w.End(t.Context())
		assert.NoError(t, err)
		t.Logf("%+v", counts)
		assert.Zero(t, counts.Wrong(), "%v", counts.Details)
		row.Add(counts)
	}()
	do(t, trial{c, &row, full})
}
