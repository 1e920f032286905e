// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
)

const none = "<none>"

// fewQuiet is how many resources that are in plaintext, as they should be, have lines of their own.
const fewQuiet = 3

// table prints a verification for people: the verdict, what was counted, who is not as it should be, what to know and do.
func table(wide bool) func(runtime.Object, io.Writer) error {
	return func(obj runtime.Object, out io.Writer) error {
		r, ok := obj.(*v1alpha1.VerificationReport)
		if !ok {
			return fmt.Errorf("can't print a %T as a table", obj)
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%s\n", term.Escape(sentence(r.Verdict)))
		resources(&b, r, wide)
		stragglers(&b, r)
		residue(&b, r.Residue)
		notes(&b, r)
		_, err := io.WriteString(out, b.String())
		return err
	}
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func resources(b *strings.Builder, r *v1alpha1.VerificationReport, wide bool) {
	if len(r.Resources) == 0 {
		return
	}
	b.WriteString("\n")
	w := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	header := "RESOURCE\tPROVIDER\tKEY\tOBJECTS\tSHARE\tVERDICT"
	if wide {
		header += "\tKEY-ID\tWRITE-KEY"
	}
	fmt.Fprintln(w, header)
	shown, quiet := r.Resources, []v1alpha1.ResourceVerification(nil)
	if !wide {
		shown, quiet = apart(r.Resources)
	}
	for _, one := range shown {
		resource(w, one, wide)
	}
	if len(quiet) > 0 {
		var objects int64
		for _, one := range quiet {
			objects += one.Objects
		}
		fmt.Fprintf(w, "(%d others)\t%s\t%s\t%d\t100%%\t%s\n", len(quiet), encconfig.Identity, none, objects, word(quiet[0].Groups[0].State))
	}
	_ = w.Flush()
}

// apart takes out of a list what need not be looked at: resources in plaintext, as they should be or as nobody judged, unless
// they are few.
func apart(list []v1alpha1.ResourceVerification) (shown, quiet []v1alpha1.ResourceVerification) {
	for _, r := range list {
		plain := len(r.Groups) == 1 && r.Groups[0].Provider == string(encconfig.Identity) && r.Complete && r.Strays == 0 &&
			slices.Contains([]string{v1alpha1.StoredCurrent, v1alpha1.StoredUnjudged}, r.Groups[0].State)
		if plain {
			quiet = append(quiet, r)
		} else {
			shown = append(shown, r)
		}
	}
	if len(quiet) <= fewQuiet {
		return list, nil
	}
	return shown, quiet
}

func resource(w io.Writer, r v1alpha1.ResourceVerification, wide bool) {
	groups := r.Groups
	if len(groups) == 0 {
		groups = []v1alpha1.StoredGroup{{Share: none}}
	}
	for _, g := range groups {
		key := g.Key
		if g.Others {
			key = "(many)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s", term.Escape(r.Name), or(g.Provider), or(key), g.Objects, g.Share, word(g.State))
		if wide {
			fmt.Fprintf(w, "\t%s\t%s", or(g.KeyID), writeKey(r))
		}
		fmt.Fprintln(w)
	}
}

func writeKey(r v1alpha1.ResourceVerification) string {
	if r.WriteKey == nil {
		return none
	}
	return key(*r.WriteKey)
}

func key(k v1alpha1.KeyRef) string {
	return term.Escape(encconfig.Key{Provider: encconfig.Provider(k.Provider), Name: k.Name}.String())
}

// word is a state as the table has it.
func word(state string) string {
	switch state {
	case "":
		return "nothing stored"
	case v1alpha1.StoredMissing:
		return "no such key"
	case v1alpha1.StoredUndecryptable:
		return "does not open"
	case v1alpha1.StoredUnknown:
		return "unknown provider"
	case v1alpha1.StoredUnjudged:
		return "not judged"
	}
	return term.Escape(strings.ToLower(state))
}

func or(s string) string {
	if s == "" {
		return none
	}
	return term.Escape(s)
}

// stragglers names the objects that are not as they should be.
func stragglers(b *strings.Builder, r *v1alpha1.VerificationReport) {
	for _, one := range r.Resources {
		for _, g := range one.Groups {
			if len(g.Names) == 0 {
				continue
			}
			under := ""
			if g.Key != "" {
				under = " (" + g.Provider + "/" + g.Key + ")"
			}
			names(b, one.Name+", "+word(g.State)+under, g.Names, g.Objects)
		}
		names(b, one.Name+", under keys that no object of it can have", one.StrayNames, one.Strays)
	}
}

func names(b *strings.Builder, title string, list []string, objects int64) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", term.Escape(title))
	for _, name := range list {
		fmt.Fprintf(b, "  %s\n", term.Escape(name))
	}
	if more := objects - int64(len(list)); more > 0 {
		fmt.Fprintf(b, "  and %s more; --all names them\n", census.Number(more))
	}
}

// notes says what the table has no room for, and what to do.
func notes(b *strings.Builder, r *v1alpha1.VerificationReport) {
	b.WriteString("\n")
	line := func(kind, text string) { fmt.Fprintf(b, "%s: %s\n", kind, term.Escape(text)) }
	line("source", source(r))
	if len(r.UnusedKeys) > 0 {
		var list []string
		for _, k := range r.UnusedKeys {
			list = append(list, key(k))
		}
		line("unused", strings.Join(list, ", ")+": nothing that is stored needs it any more, superseded revisions and backups aside")
	}
	for _, n := range r.Notes {
		line("note", n)
	}
	for _, h := range r.Hints {
		line("hint", h)
	}
}

// source says where it was read, and by what it was judged.
func source(r *v1alpha1.VerificationReport) string {
	s := r.Source
	text := s.File
	if s.File == "" {
		text = "etcd"
		if s.Endpoint != "" {
			text += " at " + s.Endpoint
		}
		if s.Node != "" {
			text += ", by node " + s.Node
		}
	}
	if s.Revision > 0 {
		text += ", revision " + strconv.FormatInt(s.Revision, 10)
	}
	switch {
	case r.Digest != "":
		text += ", judged by configuration " + r.Digest[:min(len(r.Digest), len("sha256:")+12)]
	case s.File != "":
		text += ", judged by nothing: no configuration was given"
	}
	return text
}
