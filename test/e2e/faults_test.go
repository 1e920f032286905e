// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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

// fullVariable asks for every case, on three nodes; without it there are those of the short set, on one node.
const fullVariable = "FAULTS_FULL"

// trial is a case under way.
type trial struct {
	*cluster

	row  *book.Row
	full bool
}

// TestFaults has the plugin meet every fault of the catalogue on a real cluster, while a witness reads all objects through
// every kube-apiserver and writes some. Each case ends with a cluster that is settled, reached by the plugin itself.
func TestFaults(t *testing.T) {
	env, full := newEnvironment(t), os.Getenv(fullVariable) != ""
	nodes := 1
	if full {
		nodes = 3
	}
	if n, err := fmt.Sscan(os.Getenv("FAULTS_NODES"), &nodes); n == 1 {
		require.NoError(t, err)
	}
	c := env.start(t, shape{name: "faults", nodes: nodes, encryption: "aesgcm", reloadPoll: fast, compaction: soon})
	c.seed(t)
	faults := nodeFaults()
	for number, fault := range catalogue.Of(catalogue.Node, full) {
		do, ok := faults[fault.Name]
		require.True(t, ok, "the case %q of the catalogue is tried", fault.Name)
		if t.Failed() { // what the case before has left is none of this one's concern
			_, _ = c.run(t.Context(), "rotate", "--resume", "--yes")
		}
		t.Run(fault.Name, func(t *testing.T) { c.survive(t, fault.Name, number, do, full) })
	}
	for name := range faults {
		require.True(t, catalogue.Has(catalogue.Node, name), "the case %q is in the catalogue", name)
	}
}

func (c *cluster) survive(t *testing.T, name string, number int, do func(*testing.T, trial), full bool) {
	row := book.Row{Fault: name}
	defer func() {
		folder, err := filepath.Abs(filepath.Join("..", "..", "_output", "faults"))
		require.NoError(t, err)
		assert.NoError(t, book.Append(folder, "node", row))
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

// survived takes note that all tries of the case so far have ended as they should: the cluster is as a rotation leaves it that
// nothing disturbed. That its objects can be read is for the witness to say, who still writes to them.
func (c trial) survived(t *testing.T) {
	t.Helper()
	c.checkLoaded(t)
	c.checkStored(t, c.writeKey(t))
	c.checkNothingLeft(t)
	for _, n := range c.nodes {
		n.checkFiles(t)
	}
	c.checkHealthyStatus(t)
	if !t.Failed() {
		c.row.Survived = c.row.Tried
	}
}

// disturbed has a run end by itself, and goes on with it where it did not come to its end and nothing is in the way any more.
func (c trial) disturbed(t *testing.T, p *process) {
	t.Helper()
	code := p.wait(t)
	t.Logf("exit code %d: %s", code, &p.stderr)
	require.Contains(t, []int{0, 1, 124}, code)
	if code != 0 {
		c.succeed(t, "rotate", "--resume", "--yes")
	}
}
