// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
)

// residue says what is left of old values, nothing if nobody asked for it.
func residue(b *strings.Builder, r *v1alpha1.VerificationResidue) {
	if r == nil {
		return
	}
	fmt.Fprintf(b, "\nResidue: %s\n", term.Escape(sentence(r.Verdict)))
	if r.Copies > 0 {
		copies(b, r.Members)
	}
	b.WriteString("\n")
	line := func(kind, text string) { fmt.Fprintf(b, "%s: %s\n", kind, term.Escape(text)) }
	for _, m := range r.Members {
		switch {
		case m.Unknown != "":
			line("unknown", where(m)+": "+m.Unknown)
		default:
			line("searched", fmt.Sprintf("%s: %s MB, compacted up to revision %d", where(m), census.Number(m.Bytes/1_000_000), m.CompactedRevision))
		}
		if m.Note != "" {
			line("note", where(m)+": "+m.Note)
		}
	}
	for _, l := range r.Limits {
		line("limit", l)
	}
	for _, h := range r.Hints {
		line("hint", h)
	}
}

func copies(b *strings.Builder, members []v1alpha1.MemberResidue) {
	b.WriteString("\n")
	w := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "NODE\tPLACE\tRESOURCE\tPROVIDER\tKEY\tCOPIES\tCLEARED BY")
	for _, m := range members {
		for _, c := range m.Copies {
			name := c.Key
			if c.Others {
				name = "(many)"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", or(m.Node), placeWord(c.Place), or(c.Resource), or(c.Provider), or(name), c.Copies, or(c.ClearedBy))
		}
	}
	_ = w.Flush()
}

func where(m v1alpha1.MemberResidue) string {
	if m.Node == "" {
		return "the file"
	}
	return "node " + m.Node
}

// placeWord is a place as the table has it.
func placeWord(place string) string {
	switch place {
	case v1alpha1.ResidueSuperseded:
		return "superseded revisions"
	case v1alpha1.ResidueFreePages:
		return "free pages"
	case v1alpha1.ResidueOtherFiles:
		return "other files"
	case v1alpha1.ResidueLog:
		return "write-ahead log"
	}
	return term.Escape(place)
}
