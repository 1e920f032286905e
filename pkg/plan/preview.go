// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Preview gives all steps from here to the goal if nothing goes wrong, the last one being Done.
func Preview(o Observed, g Goal) ([]Step, error) {
	var steps []Step
	for range maxSteps {
		step, err := Next(o, g)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
		if step.Kind == Done {
			return steps, nil
		}
		o = o.After(step)
	}
	return nil, fmt.Errorf("the plan does not end after %d steps", maxSteps)
}

// maxSteps is far more than any plan needs.
const maxSteps = 50

// After is what is observed when a step has had its full effect.
func (o Observed) After(s Step) Observed {
	next := o
	next.Nodes = slices.Clone(o.Nodes)
	switch s.Kind {
	case Await:
		for i := range next.Nodes {
			if next.Nodes[i].Flags != FlagsUnset {
				next.Nodes[i].Loaded = next.Nodes[i].Config.Digest
			}
		}
	case Push:
		for i := range next.Nodes {
			if slices.Contains(s.Targets, next.Nodes[i].Name) {
				next.Nodes[i] = next.Nodes[i].with(s.digested())
			}
		}
	case AwaitEdit:
		n := next.at(s.Targets)
		n.Edited, n.Flags, n.Loaded = false, n.EditedTo, ""
	case EditManifest:
		n := next.at(s.Targets)
		n.Edited, n.EditedTo = true, s.Flags
		if n.Flags == FlagsUnset { // it has written plaintext until now
			next.Progress.Settled, next.Progress.Migrated = false, false
		}
	case KubeadmConfig:
		next.KubeadmStale = false
	case Age:
		next.Aged = true
	case Verify:
		next.Counted = &Counted{}
	case Settle:
		next.Progress.Settled, next.Counted = true, nil
	case Migrate:
		next.Progress.Migrated, next.Counted = true, nil
	case Close:
		next.Progress.Closed = true
	case Done:
	}
	return next
}

// at is the one node that a step is about.
func (o Observed) at(targets []string) *Node {
	return o.first(func(n Node) bool { return slices.Contains(targets, n.Name) })
}

// with is the node after a configuration was put on it.
func (n Node) with(c encconfig.Description) Node {
	n.History = slices.Clone(n.History)
	if n.Config != nil {
		n.History = append(n.History, *n.Config)
	}
	n.History = append(n.History, c)
	n.Config, n.Missing = &c, false
	return n
}

// digested is a push's result with a digest to tell it from others: the real one is known when the file is made.
func (s Step) digested() encconfig.Description {
	d := s.Result
	if d.Digest == "" {
		d.Digest = fmt.Sprintf("preview:%v", d.Rules)
	}
	return d
}
