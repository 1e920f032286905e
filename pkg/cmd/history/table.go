// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/revision"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
)

const none = "<none>"

// table prints a history for people: the sentence, the revisions of one node after the other, and what is wrong with a node.
func table(wide bool) func(runtime.Object, io.Writer) error {
	return func(obj runtime.Object, out io.Writer) error {
		h, ok := obj.(*v1alpha1.RevisionHistory)
		if !ok {
			return fmt.Errorf("can't print a %T as a table", obj)
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%s\n", term.Escape(h.Summary))
		revisions(&b, h, wide)
		for _, n := range h.Nodes {
			if n.Message != "" {
				fmt.Fprintf(&b, "\nnode %s: %s\n", term.Escape(n.Name), term.Escape(n.Message))
			}
		}
		_, err := io.WriteString(out, b.String())
		return err
	}
}

func revisions(b *strings.Builder, h *v1alpha1.RevisionHistory, wide bool) {
	w := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	header := "\nNODE\tREVISION\tDATE\tDIGEST\tWRITE-KEY\tREAD-KEYS"
	if wide {
		header += "\tRESOURCES\tRUN"
	}
	header += "\tSTATE"
	for _, n := range h.Nodes {
		for _, r := range n.Revisions {
			if header != "" {
				fmt.Fprintln(w, header)
				header = ""
			}
			row(w, n.Name, r, wide)
		}
	}
	_ = w.Flush()
}

func row(w io.Writer, node string, r v1alpha1.Revision, wide bool) {
	number, date := "-", none
	if r.Number > 0 {
		number = strconv.Itoa(r.Number)
	}
	if r.Time != nil {
		date = r.Time.UTC().Format("2006-01-02 15:04 MST")
	}
	writes := keys(r.WriteKeys, wide)
	if r.Understood && len(r.WriteKeys) == 0 {
		writes = string(encconfig.Identity)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s", term.Escape(node), number, date, term.Escape(revision.Short(r.Digest)), writes, keys(r.ReadKeys, wide))
	if wide {
		fmt.Fprintf(w, "\t%s\t%s", or(strings.Join(r.Resources, ",")), or(r.Run))
	}
	fmt.Fprintf(w, "\t%s\n", state(r))
}

// keys are names, and fingerprints where there is room.
func keys(list []v1alpha1.KeyRef, wide bool) string {
	parts := make([]string, len(list))
	for i, k := range list {
		parts[i] = term.Escape(encconfig.Key{Provider: encconfig.Provider(k.Provider), Name: k.Name}.String())
		if wide && k.Fingerprint != "" {
			parts[i] += " (" + term.Escape(k.Fingerprint) + ")"
		}
	}
	return or(strings.Join(parts, ", "))
}

// state says what is to be known of a revision.
func state(r v1alpha1.Revision) string {
	var words []string
	if r.Current {
		words = append(words, "current")
	}
	if r.Number == 0 {
		words = append(words, "not put there by this tool")
	}
	if !r.Understood {
		words = append(words, "not understood")
	}
	if len(r.LackingOn) > 0 {
		words = append(words, "not on "+strings.Join(r.LackingOn, ", "))
	}
	return term.Escape(strings.Join(words, ", "))
}

func or(s string) string {
	if s == "" {
		return none
	}
	return term.Escape(s)
}
