// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agreement

import (
	"fmt"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// maxSteps is far more than any way to an agreement needs: two files, and a proof after each.
const maxSteps = 10

// Preview gives all steps from here to the agreement if nothing goes wrong, the last one being Done.
func Preview(o Observed) ([]Step, error) {
	steps, _, err := o.ahead()
	return steps, err
}

// ahead gives the steps, and what is observed in the end.
func (o Observed) ahead() ([]Step, Observed, error) {
	var steps []Step
	for range maxSteps {
		step, err := Next(o)
		if err != nil && len(steps) > 0 && len(o.Silent) > 0 {
			return append(steps, Step{Kind: Done}), o, nil // as far as it goes without the nodes that can't be seen
		}
		if err != nil {
			return nil, o, err
		}
		steps = append(steps, step)
		if step.Kind == Done {
			return steps, o, nil
		}
		o = o.After(step)
	}
	return nil, o, fmt.Errorf("the way to an agreement does not end after %d steps", maxSteps)
}

// After is what is observed when a step has had its full effect.
func (o Observed) After(s Step) Observed {
	o.Nodes = slices.Clone(o.Nodes)
	for i := range o.Nodes {
		n := &o.Nodes[i]
		switch at := slices.IndexFunc(s.Targets, func(t Target) bool { return t.Node == n.Name }); {
		case s.Kind == Await:
			n.Proven, n.Loaded, n.Rejected, n.Given = true, n.Digest, false, false
		case at >= 0:
			*n = n.with(s.Targets[at].Want)
		}
	}
	return o
}

// with is the node after a file was put on it.
func (n Node) with(d encconfig.Description) Node {
	if d.Digest == "" { // the real one is known when the file is made
		d.Digest = fmt.Sprintf("preview:%v", d.Rules)
	}
	n.History = slices.Clone(n.History)
	switch {
	case n.Config != nil:
		n.History = append(n.History, *n.Config)
	case n.Digest != "":
		n.History = append(n.History, encconfig.Description{Digest: n.Digest})
	}
	n.History = append(n.History, d)
	n.Config, n.Digest, n.Missing, n.Problem, n.Proven, n.Given = &d, d.Digest, false, "", false, true
	return n
}

// Difference is how a node's file differs from what is agreed.
type Difference struct {
	Node string
	// Digest of the file, empty if there is none.
	Digest string
	// Unusable is why the file can't be used, empty if it can.
	Unusable string
	// Lacks are keys that the file does not have.
	Lacks []encconfig.Key
	// Writes are its write keys, where the agreed ones are others.
	Writes []encconfig.Key
	// Rules: it has other rules, or keys in another order.
	Rules bool
	// Loaded is what the kube-apiserver has loaded, if that is known and is not the file.
	Loaded string
}

// None tells whether the file is as agreed.
func (d Difference) None() bool {
	return d.Unusable == "" && len(d.Lacks) == 0 && len(d.Writes) == 0 && !d.Rules
}

// Differences compares each node with what all of them have in the end, which it gives too. That is nil where a node
// that can't be seen keeps them from one write key: then each of them has all keys in the end, and its own write key.
func Differences(o Observed) ([]Difference, *encconfig.Description, error) {
	_, end, err := o.ahead()
	if err != nil {
		return nil, nil, err
	}
	list := end.compare(o.Nodes)
	if !end.agreed() {
		return list, nil, nil
	}
	return list, end.Nodes[0].Config, nil
}

// compare holds nodes against what they have in the end.
func (o Observed) compare(nodes []Node) (list []Difference) {
	for i, n := range nodes {
		agreed := o.Nodes[i].Config
		d := Difference{Node: n.Name, Digest: n.Digest}
		if n.TellsLoaded && !n.Proven && n.Loaded != n.Digest {
			d.Loaded = n.Loaded
		}
		if n.Config == nil {
			d.Unusable = n.Problem
			list = append(list, d)
			continue
		}
		for _, k := range agreed.Keys() {
			if !slices.Contains(n.Config.Keys(), k) {
				d.Lacks = append(d.Lacks, k)
			}
		}
		if !slices.Equal(n.Config.WriteKeys(), agreed.WriteKeys()) {
			d.Writes = n.Config.WriteKeys()
		}
		d.Rules = n.Digest != agreed.Digest && len(d.Lacks) == 0 && len(d.Writes) == 0
		list = append(list, d)
	}
	return list
}
