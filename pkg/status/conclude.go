// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// ReasonUnproven is the condition's reason where neither encryption nor its absence is proven.
const ReasonUnproven = "EncryptionUnproven"

// verdict is the condition's status and reason, and the one sentence.
type verdict struct {
	status  metav1.ConditionStatus
	reason  string
	summary string
}

func unproven(format string, args ...any) verdict {
	return verdict{metav1.ConditionUnknown, ReasonUnproven, fmt.Sprintf(format, args...)}
}

func no(reason, format string, args ...any) verdict {
	return verdict{metav1.ConditionFalse, reason, fmt.Sprintf(format, args...)}
}

// conclude finds the one sentence, the condition that goes with it, and what may be done.
func conclude(st *v1alpha1.EncryptionStatus, s *Seen) {
	if lost := unreadable(st, s); lost != "" {
		st.Problems = slices.Insert(st.Problems, 0, lost)
	}
	v := judge(st, s)
	st.Summary, st.Healthy, st.Hints = v.summary, v.status == metav1.ConditionTrue, hints(st, s)
	st.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionEncrypted, Status: v.status, Reason: v.reason, Message: st.Summary,
		LastTransitionTime: transition(st),
	}}
}

func judge(st *v1alpha1.EncryptionStatus, s *Seen) verdict {
	open := s.View.Ledger.Open()
	switch {
	case len(st.Problems) > 0 && st.Encryption == v1alpha1.Disabled:
		return no(v1alpha1.EncryptionDisabled, "Something needs attention: %s.", st.Problems[0])
	case len(st.Problems) > 0:
		return unproven("Something needs attention: %s.", st.Problems[0])
	case open != nil && open.To.Provider == encconfig.Identity:
		return no(v1alpha1.DecryptionInProgress, "%s", underWay(open))
	case open != nil:
		return no(v1alpha1.EncryptionInProgress, "%s", underWay(open))
	case st.Encryption == v1alpha1.Disabled:
		return no(reasonOfDisabled(s), "Encryption at rest is off: everything is stored in plaintext.")
	case st.Encryption != v1alpha1.Enabled:
		return unproven("Whether encryption at rest is on is not known for every kube-apiserver.")
	case st.Digest == "":
		return unproven("Encryption at rest is configured; which configuration the kube-apiservers have loaded is not known (before Kubernetes 1.34 they do not tell).")
	}
	return judgeStored(st, s)
}

// notAsConfigured is how many values the last verification has found that are not stored as the configuration says, if that is
// still so as far as is known. Events are left out: they expire.
func notAsConfigured(st *v1alpha1.EncryptionStatus, s *Seen) (values int64) {
	if v := st.Verification; v == nil || !v.SameConfiguration || v.MigratedSince {
		return 0
	}
	for _, res := range s.View.Ledger.Verification.Resources {
		if res.Name != "events" && res.Name != "events.events.k8s.io" {
			values += res.Off()
		}
	}
	return values
}

// judgeStored is about what is stored, where every kube-apiserver is known to read a configuration.
func judgeStored(st *v1alpha1.EncryptionStatus, s *Seen) verdict {
	t := tally(st)
	found := notAsConfigured(st, s)
	switch {
	case t.stale > 0:
		return no(v1alpha1.EncryptionInProgress, "%d object(s) are not proven to be stored with the write key; migrate them with: %s migrate --resources %s",
			t.stale, project.Command, strings.Join(t.staleNames, ","))
	case len(t.unproven) > 0:
		return unproven("Not proven: with which keys the stored objects of %s are encrypted; make sure of it with: %s migrate --resources %s",
			strings.Join(t.unproven, " and "), project.Command, strings.Join(t.unproven, ","))
	case t.encrypted > 0:
		return no(v1alpha1.DecryptionInProgress, "%d object(s) are not proven to be stored in plaintext, as they are written now; decrypt them with: %s disable --resources %s",
			t.encrypted, project.Command, patterns(s, t.encryptedNames))
	case len(t.undecided) > 0:
		return no(v1alpha1.DecryptionInProgress, "%s written in plaintext, and whether what is stored is still encrypted is not known; make sure of it with: %s disable --resources %s",
			are(t.undecided), project.Command, patterns(s, t.undecided))
	case found > 0:
		return unproven("%d stored value(s) were not as the configuration says when etcd was last counted, and nothing was migrated since; see them with: %s verify --all",
			found, project.Command)
	case !anyEncrypted(st) && slices.ContainsFunc(st.Resources, decrypts):
		return no(v1alpha1.DecryptionCompleted, "Everything is stored in plaintext: it is written so, and nothing that is stored is encrypted any more.")
	case !anyEncrypted(st):
		return no(v1alpha1.DecryptionInProgress, "Nothing is encrypted from now on: the kube-apiservers write in plaintext.")
	case updated(st) < len(st.Nodes):
		return unproven("By the record everything that is stored is encrypted with its write key; which configuration the kube-apiservers " +
			"have loaded now is not known (before Kubernetes 1.34 they do not tell).")
	}
	return verdict{
		metav1.ConditionTrue, v1alpha1.EncryptionCompleted,
		"All is well: " + agreement(st) + ", and nothing that is stored is stale.",
	}
}

// unreadable is about a cluster whose kube-apiservers have lost their flags while objects were stored encrypted.
func unreadable(st *v1alpha1.EncryptionStatus, s *Seen) string {
	last := s.View.Ledger.Last()
	if st.Encryption != v1alpha1.Disabled || last == nil || last.Config == nil || len(last.Config.EncryptingRules()) == 0 {
		return ""
	}
	var names []string
	for _, r := range last.Config.EncryptingRules() {
		names = append(names, r.Resources...)
	}
	return fmt.Sprintf("no kube-apiserver runs with an encryption configuration, and by the record %s stored encrypted: "+
		"such objects can't be read until the flags are back in the manifests", are(names))
}

func are(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names, " and ") + " are"
}

// reasonOfDisabled tells a cluster that was never encrypted, as far as is known, from one that was and is not.
func reasonOfDisabled(s *Seen) string {
	last := s.View.Ledger.Last()
	if last != nil && last.To.Provider == encconfig.Identity && last.CompletionTime != nil && !last.Aborted {
		return v1alpha1.DecryptionCompleted
	}
	return v1alpha1.EncryptionDisabled
}

// hints are what may be done, besides what the summary says.
func hints(st *v1alpha1.EncryptionStatus, s *Seen) []string {
	var list []string
	open := s.View.Ledger.Open()
	enable := project.Command + " enable"
	switch {
	case open != nil && len(st.Problems) > 0:
		list = append(list, underWay(open))
	case open != nil:
	case st.Encryption == v1alpha1.Disabled && unreadable(st, s) == "":
		list = append(list, "turn it on with: "+enable)
	case st.Encryption == v1alpha1.Enabled && len(st.Resources) > 0 && !anyEncrypted(st):
		list = append(list, "encrypt with: "+enable, "take the kube-apiservers' flags out with: "+project.Command+" disable --remove-flags")
	}
	for _, node := range behind(st, s) {
		list = append(list, controlplane.ReturnOf(node, slices.Contains(disabled(st.Nodes), node)))
	}
	if needsRepair(st, open != nil) {
		list = append(list, "look at the files of all nodes, and bring them to one configuration, with: "+project.Command+" repair")
	}
	if changesFlags(open) || st.Encryption == v1alpha1.Disabled {
		return list // a file that is to be handed over is still to come
	}
	return append(list, s.Kubeadm.joinHints(s.View.ControlPlane.Instances)...)
}

// needsRepair tells whether files are damaged, or differ in a way that no command under way explains, as far as that can be
// told from what the kube-apiservers have loaded.
func needsRepair(st *v1alpha1.EncryptionStatus, underWay bool) bool {
	loaded := map[string]bool{}
	for _, n := range st.Nodes {
		if n.State == v1alpha1.StateUpdateFailed {
			return true
		}
		if n.Revision != "" {
			loaded[n.Revision] = true
		}
	}
	return len(loaded) > 1 && !underWay
}

func agreement(st *v1alpha1.EncryptionStatus) string {
	if len(st.Nodes) == 1 {
		return "the kube-apiserver runs the configuration " + plan.ShortDigest(st.Digest)
	}
	return fmt.Sprintf("%d of %d kube-apiservers run the configuration %s", updated(st), len(st.Nodes), plan.ShortDigest(st.Digest))
}

// patterns are the resources of the rules that apply to some, as the configuration writes them: a command that names
// them as it does splits no rule.
func patterns(s *Seen, names []string) string {
	var list []string
	for _, name := range names {
		for _, pattern := range s.Config.RuleFor(name).Resources {
			if !slices.Contains(list, pattern) {
				list = append(list, pattern)
			}
		}
	}
	return strings.Join(list, ",")
}

// updated counts the instances that are proven to run the agreed configuration.
func updated(st *v1alpha1.EncryptionStatus) int {
	var n int
	for _, node := range st.Nodes {
		if node.State == v1alpha1.StateUpdated {
			n++
		}
	}
	return n
}

// sums are the sums over all resources.
type sums struct {
	// stale objects of resources that are written with a key; unproven are such resources of which the number is not known.
	stale                int64
	staleNames, unproven []string
	// encrypted objects of resources that are written in plaintext; undecided are such resources of which the number is
	// not known.
	encrypted                 int64
	encryptedNames, undecided []string
}

func tally(st *v1alpha1.EncryptionStatus) sums {
	var t sums
	for _, r := range st.Resources {
		plain := r.Provider == string(encconfig.Identity)
		switch {
		case r.Stale == nil && !plain:
			t.unproven = append(t.unproven, r.Name)
		case r.Stale == nil && decrypts(r):
			t.undecided = append(t.undecided, r.Name)
		case r.Stale == nil || *r.Stale == 0:
		case plain:
			t.encrypted += *r.Stale
			t.encryptedNames = append(t.encryptedNames, r.Name)
		default:
			t.stale += *r.Stale
			t.staleNames = append(t.staleNames, r.Name)
		}
	}
	return t
}

// transition is when the condition came to be, as far as the record tells.
func transition(st *v1alpha1.EncryptionStatus) metav1.Time {
	switch {
	case st.Rotation == nil:
		return metav1.Time{}
	case st.Rotation.CompletedAt != nil:
		return *st.Rotation.CompletedAt
	}
	return st.Rotation.StartTime
}
