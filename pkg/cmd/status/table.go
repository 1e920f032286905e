// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
)

const (
	none    = "<none>"
	unknown = "<unknown>"
)

// table prints the status for people.
func table(wide bool) func(runtime.Object, io.Writer) error {
	return func(obj runtime.Object, out io.Writer) error {
		st, ok := obj.(*v1alpha1.EncryptionStatus)
		if !ok {
			return fmt.Errorf("can't print a %T as a table", obj)
		}
		var b strings.Builder
		summary(&b, st)
		resources(&b, st)
		nodes(&b, st, wide)
		notes(&b, st)
		_, err := io.WriteString(out, b.String())
		return err
	}
}

func summary(b *strings.Builder, st *v1alpha1.EncryptionStatus) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	cluster := st.Cluster.Server
	if st.Cluster.Context != "" {
		cluster = fmt.Sprintf("%s (%s)", st.Cluster.Context, st.Cluster.Server)
	}
	fmt.Fprintf(w, "Cluster:\t%s\n", term.Escape(cluster))
	if st.ManagedBy != nil {
		fmt.Fprintf(w, "Managed by:\t%s\n", term.Escape(st.ManagedBy.Name))
	} else {
		fmt.Fprintf(w, "Encryption:\t%s\n", encryption(st))
		fmt.Fprintf(w, "Rotation:\t%s\n", rotation(st))
		fmt.Fprintf(w, "Verified:\t%s\n", verified(st.Verification))
	}
	_ = w.Flush()
	fmt.Fprintf(b, "\n%s\n", term.Escape(st.Summary))
}

func encryption(st *v1alpha1.EncryptionStatus) string {
	word := strings.ToLower(st.Encryption)
	if st.Encryption == v1alpha1.Disabled {
		return word
	}
	var updated int
	for _, n := range st.Nodes {
		if n.State == v1alpha1.StateUpdated {
			updated++
		}
	}
	switch {
	case st.Digest == "":
		return word + "; the loaded configuration is unknown"
	case updated == len(st.Nodes):
		return fmt.Sprintf("%s, converged (%d of %d kube-apiservers on configuration %s)", word, updated, len(st.Nodes), short(st.Digest))
	}
	return fmt.Sprintf("%s, not converged (%d of %d kube-apiservers proven on configuration %s)", word, updated, len(st.Nodes), short(st.Digest))
}

func short(digest string) string {
	if digest == "" {
		return unknown
	}
	return term.Escape(digest[:min(len(digest), len("sha256:")+12)])
}

func rotation(st *v1alpha1.EncryptionStatus) string {
	r := st.Rotation
	switch {
	case r == nil:
		return "none on record"
	case r.State == v1alpha1.InProgress:
		return fmt.Sprintf("%s under way since %s, stage %s, by %s", what(r), age(r.StartTime.Time), term.Escape(r.Stage), term.Escape(r.By))
	case r.CompletedAt == nil:
		return fmt.Sprintf("none under way; the last was %s", what(r))
	case r.State == v1alpha1.Aborted:
		return fmt.Sprintf("none under way; the last, %s, was taken back %s", what(r), ago(r.CompletedAt.Time))
	}
	return fmt.Sprintf("none under way; the last, %s, ended %s", what(r), ago(r.CompletedAt.Time))
}

// what a rotation is about: where to, and by which command if not by a rotation.
func what(r *v1alpha1.RotationStatus) string {
	to := "to key " + key(r.To)
	if r.To.Provider == string(encconfig.Identity) {
		to = "to plaintext"
	}
	if r.Command == "prune" { // it changes no write key
		return r.Command
	}
	if r.Command != "" {
		return term.Escape(r.Command) + " " + to
	}
	return to
}

func key(k v1alpha1.KeyRef) string {
	if k.Name == "" {
		return term.Escape(k.Provider)
	}
	return term.Escape(k.Provider + "/" + k.Name)
}

// age is how long ago a time of the cluster's was. By a clock that is behind the cluster's it may be yet to come: then it is the time
// itself.
func age(t time.Time) string {
	if toCome(t) {
		return t.UTC().Format(time.RFC3339)
	}
	return duration.HumanDuration(max(0, time.Since(t)))
}

// ago is age in a sentence.
func ago(t time.Time) string {
	if toCome(t) {
		return "at " + age(t) + " by the cluster's clock"
	}
	return age(t) + " ago"
}

// toCome tells of a time on record, which is told to the second, whether this machine's clock has not reached it.
func toCome(t time.Time) bool { return time.Until(t) > time.Second }

func resources(b *strings.Builder, st *v1alpha1.EncryptionStatus) {
	if len(st.Resources) == 0 {
		return
	}
	b.WriteString("\n")
	w := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "RESOURCE\tPROVIDER\tWRITE-KEY\tREAD-KEYS\tOBJECTS\tSTALE")
	for _, r := range st.Resources {
		writeKey := r.WriteKey
		switch {
		case r.Provider == string(encconfig.Identity):
			writeKey = none
		case writeKey == "":
			writeKey = unknown
		}
		provider := r.Provider
		if provider == v1alpha1.Unknown {
			provider = unknown
		}
		stale := number(r.Stale)
		if keys := r.ReadKeys; r.Provider == string(encconfig.Identity) && r.Stale == nil && (keys == nil || *keys == 0) {
			stale = "-" // never encrypted, as far as is known
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", term.Escape(r.Name), term.Escape(provider), term.Escape(writeKey), number(r.ReadKeys), number(r.Objects), stale)
	}
	_ = w.Flush()
}

func number[N int | int64](n *N) string {
	if n == nil {
		return unknown
	}
	return fmt.Sprint(*n)
}

func nodes(b *strings.Builder, st *v1alpha1.EncryptionStatus, wide bool) {
	if len(st.Nodes) == 0 {
		return
	}
	b.WriteString("\n")
	w := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	header := "NODE\tSTATE\tLOADED\tSINCE\tVERSION"
	if wide {
		header += "\tPOD\tRELOAD\tCONFIG-PATH\tID-HASH"
	}
	fmt.Fprintln(w, header)
	for _, n := range st.Nodes {
		since := unknown
		if n.LoadedAt != nil {
			since = age(n.LoadedAt.Time)
		}
		loaded := short(n.Revision)
		if n.State == v1alpha1.StateDisabled {
			loaded, since = none, none
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s", term.Escape(n.Name), n.State, loaded, since, or(n.Version, unknown))
		if wide {
			fmt.Fprintf(w, "\t%s\t%s\t%s\t%s", or(n.Instance, none), automatic(n.AutomaticReload), or(n.ConfigPath, none), or(n.IDHash, unknown))
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
}

func automatic(b bool) string {
	if b {
		return "automatic"
	}
	return "off"
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return term.Escape(s)
}

// notes says what the tables have no room for.
func notes(b *strings.Builder, st *v1alpha1.EncryptionStatus) {
	var lines []string
	for _, p := range st.Problems {
		lines = append(lines, "problem: "+p)
	}
	for _, r := range st.Resources {
		if r.Message != "" {
			lines = append(lines, r.Name+": "+r.Message)
		}
	}
	if st.Migration != nil && st.Migration.State == v1alpha1.Incomplete {
		lines = append(lines, "the last migration left objects behind; see the ConfigMap "+project.Namespace+"/"+project.Name)
	}
	for _, h := range st.Hints {
		lines = append(lines, "hint: "+h)
	}
	if len(lines) == 0 {
		return
	}
	b.WriteString("\n")
	for _, line := range lines {
		fmt.Fprintf(b, "%s\n", term.Escape(line))
	}
}
