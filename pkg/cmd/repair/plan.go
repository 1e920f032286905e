// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// writePlan prints a plan for people.
func writePlan(p *v1alpha1.RepairPlan, out io.Writer) {
	about := "nothing to repair on"
	if len(p.Steps) > 0 {
		about = "About to repair"
	}
	fmt.Fprintf(out, "%s %d control-plane node(s)\n", strings.ToUpper(about[:1])+about[1:], len(p.Nodes))
	fmt.Fprintf(out, "  Context: %s   Server: %s   User: %s\n", cmp.Or(p.Cluster.Context, "<none>"), p.Cluster.Server, cmp.Or(p.Cluster.User, "<none>"))
	for _, n := range p.Nodes {
		fmt.Fprintf(out, "  Node %s: %s\n", n.Name, describe(n))
	}
	for _, s := range p.Silent {
		fmt.Fprintf(out, "  Node %s: can't be looked at, and is left as it is: %s\n", s.Name, s.Reason)
	}
	for _, r := range p.Agreed {
		fmt.Fprintf(out, "  Agreed:  %s: %s\n", strings.Join(r.Resources, ", "), chain(r.Keys))
	}
	for i, s := range p.Steps {
		fmt.Fprintf(out, "  Step %d/%d  %s\n", i+1, len(p.Steps), s.Text)
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(out, "  Warning:  %s\n", w)
	}
}

// describe says how a node's file compares with what is agreed.
func describe(n v1alpha1.RepairNode) string {
	var parts []string
	if n.Digest != "" {
		parts = append(parts, plan.ShortDigest(n.Digest))
	}
	switch {
	case n.Unusable != "":
		parts = append(parts, n.Unusable)
	case n.Agreed:
		parts = append(parts, "as agreed")
	case len(n.Lacks) == 0 && len(n.Writes) == 0:
		parts = append(parts, "has other rules, keys in another order, or other comments")
	}
	if len(n.Lacks) > 0 {
		parts = append(parts, "lacks "+names(n.Lacks))
	}
	if len(n.Writes) > 0 {
		parts = append(parts, "writes with "+names(n.Writes))
	}
	if n.Loaded != "" {
		parts = append(parts, "its kube-apiserver has loaded "+plan.ShortDigest(n.Loaded))
	}
	return strings.Join(parts, "; ")
}

func chain(keys []v1alpha1.KeyRef) string {
	text := "written with " + names(keys[:1])
	if len(keys) > 1 {
		text += ", read with " + names(keys[1:]) + " too"
	}
	return text
}

func names(keys []v1alpha1.KeyRef) string {
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = k.Provider
		if k.Name != "" {
			list[i] += "/" + k.Name
		}
		if k.Provider == "identity" {
			list[i] = "identity (plaintext)"
		}
	}
	return strings.Join(list, ", ")
}
