// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

// Assess makes the status of what was seen.
func Assess(s *Seen, cluster v1alpha1.Cluster) *v1alpha1.EncryptionStatus {
	st := &v1alpha1.EncryptionStatus{
		TypeMeta: v1alpha1.New("EncryptionStatus"), ObjectMeta: metav1.ObjectMeta{Name: "encryption"}, Cluster: cluster,
	}
	st.Digest = agreedDigest(s)
	st.Problems = slices.Clone(s.View.ControlPlane.Disagreements)
	for _, in := range s.View.ControlPlane.Instances {
		node := assessNode(s, in, st.Digest)
		if node.Message != "" {
			st.Problems = append(st.Problems, fmt.Sprintf("node %s: %s", in.Node, node.Message))
		}
		st.Nodes = append(st.Nodes, node)
	}
	st.Encryption = enabled(st.Nodes)
	if st.Encryption == v1alpha1.Mixed {
		st.Problems = slices.Insert(st.Problems, 0, "the kube-apiserver(s) on "+strings.Join(disabled(st.Nodes), ", ")+
			" run without an encryption configuration, others with one: they can't read what the others encrypt")
	}
	if st.Encryption != v1alpha1.Disabled {
		for _, name := range s.Resources {
			st.Resources = append(st.Resources, assessResource(s, name))
		}
	}
	st.Type = typeOf(st)
	rotationOf(st, s.View.Ledger)
	conclude(st, s)
	return st
}

// agreedDigest is what all instances run; before 1.34, what the record says.
func agreedDigest(s *Seen) string {
	if digest := s.View.LoadedDigest(); digest != "" {
		return digest
	}
	last := s.View.Ledger.Last()
	if last == nil || last.Config == nil {
		return ""
	}
	return last.Config.Digest
}

func assessNode(s *Seen, in controlplane.Instance, agreed string) v1alpha1.NodeStatus {
	e, reached := s.View.Evidence[in.Node]
	n := v1alpha1.NodeStatus{
		Name: in.Node, Instance: in.Pod, Version: e.Version, IDHash: e.IDHash, Revision: e.Hash,
		AutomaticReload: in.Manifest.AutomaticReload, ConfigPath: in.Manifest.ConfigPath, State: v1alpha1.StateUnknown,
	}
	if loaded := loadedAt(e); !loaded.IsZero() && e.Hash != "" {
		n.LoadedAt = &metav1.Time{Time: loaded.UTC()}
	}
	failed := !e.LastFailure.IsZero() && e.LastFailure.After(e.LastSuccess)
	switch {
	case in.Pod == "":
		n.Message = "it has no kube-apiserver pod"
	case in.ManifestError != nil:
		n.Message = in.ManifestError.Error()
	case !reached:
		n.Message = fmt.Sprintf("its kube-apiserver can't be asked: %v", s.View.Errors[in.Node])
	case in.Manifest.ConfigPath == "" && e.Hash == "":
		n.State = v1alpha1.StateDisabled
	case failed:
		n.State, n.Message = v1alpha1.StateUpdateFailed, "its last reload failed: it goes on with what it had, and may not start again with its file as it is"
	case !e.TellsHash:
		n.Message = ""
	case e.Hash == agreed:
		n.State = v1alpha1.StateUpdated
	default:
		n.State = v1alpha1.StateProcessing
		if open := s.View.Ledger.Open(); open == nil || e.Hash != open.StartDigest && e.Hash != open.Sent {
			n.Message = "its kube-apiserver has another configuration loaded than the agreed one"
		}
	}
	if n.Message == "" && in.Manifest.ConfigPath != "" && !in.Manifest.AutomaticReload {
		n.Message = "its kube-apiserver does not reload its configuration by itself"
	}
	return n
}

func loadedAt(e reload.Evidence) time.Time {
	if e.LastSuccess.After(e.Started) {
		return e.LastSuccess
	}
	return e.Started
}

func enabled(nodes []v1alpha1.NodeStatus) string {
	var on, off int
	for _, n := range nodes {
		switch {
		case n.State == v1alpha1.StateDisabled:
			off++
		case n.ConfigPath != "":
			on++
		}
	}
	switch {
	case len(nodes) == 0 || on+off < len(nodes):
		return v1alpha1.Unknown
	case off == len(nodes):
		return v1alpha1.Disabled
	case on == len(nodes):
		return v1alpha1.Enabled
	}
	return v1alpha1.Mixed
}

func disabled(nodes []v1alpha1.NodeStatus) []string {
	var names []string
	for _, n := range nodes {
		if n.State == v1alpha1.StateDisabled {
			names = append(names, n.Name)
		}
	}
	return names
}

func assessResource(s *Seen, name string) v1alpha1.ResourceStatus {
	r := v1alpha1.ResourceStatus{Name: name, Provider: v1alpha1.Unknown}
	if s.Config != nil {
		byRecord(&r, s.Config)
	} else {
		byMetrics(&r, s)
	}
	count := s.Counts[name]
	if count.Err != nil {
		r.Message = count.Err.Error()
		return r
	}
	r.Objects = &count.Objects
	if m, ok := s.migration(name); ok && m.Baseline != "" {
		r.Stale = new(stale(m, count.NotNewer))
	} else if r.Message == "" && r.Provider != string(encconfig.Identity) {
		r.Message = "no baseline on record: whether objects are stale is not known"
	}
	return r
}

// stale is how many objects may be stored with another key than the write key, by the number of those that are not
// newer than the baseline. That number only falls. When a pass has ended, the objects behind it are those that it
// found unchanged, hence current, and those that failed.
func stale(m ledger.Migration, notNewer int64) int64 {
	switch {
	case m.Complete:
		return max(0, notNewer-m.Unchanged)
	case m.CompletionTime != nil && m.Failed > 0:
		return min(notNewer, m.Failed)
	}
	return notNewer
}

func byRecord(r *v1alpha1.ResourceStatus, config *encconfig.Description) {
	rule := config.RuleFor(r.Name)
	if rule == nil {
		r.Provider = string(encconfig.Identity)
		return
	}
	r.Provider, r.WriteKey = string(rule.WriteKey().Provider), rule.WriteKey().Name
	readable := slices.DeleteFunc(slices.Clone(rule.Keys[1:]), func(k encconfig.Key) bool { return k.Name == "" })
	r.ReadKeys = new(len(readable))
}

// byMetrics tells the write key if no instance has loaded another configuration since it started: then whatever it
// has written since it wrote with the key that it writes with now.
func byMetrics(r *v1alpha1.ResourceStatus, s *Seen) {
	providers, keyNames := map[string]bool{}, map[string]bool{}
	for _, e := range s.View.Evidence {
		if !e.LastSuccess.IsZero() {
			return
		}
		for prefix := range e.Writes[r.Name] {
			switch {
			case prefix == "":
				providers[string(encconfig.Identity)] = true
			case prefix.Provider() != "":
				providers[prefix.Provider()] = true
			default:
				keyNames[prefix.Key()] = true
			}
		}
	}
	if len(providers) == 1 {
		r.Provider = first(providers)
	}
	if len(providers) == 1 && len(keyNames) == 1 {
		r.WriteKey = first(keyNames)
	}
}

func first(set map[string]bool) string {
	for s := range set {
		return s
	}
	return ""
}

func typeOf(st *v1alpha1.EncryptionStatus) string {
	if st.Encryption == v1alpha1.Disabled {
		return string(encconfig.Identity)
	}
	types := map[string]bool{}
	for _, r := range st.Resources {
		if r.Provider != string(encconfig.Identity) {
			types[r.Provider] = true
		}
	}
	switch len(types) {
	case 0:
		return v1alpha1.Unknown
	case 1:
		return first(types)
	}
	return v1alpha1.Mixed
}

func rotationOf(st *v1alpha1.EncryptionStatus, book *ledger.Ledger) {
	last := book.Last()
	if last == nil {
		return
	}
	state := v1alpha1.InProgress
	switch {
	case last.Aborted:
		state = v1alpha1.Aborted
	case last.CompletionTime != nil:
		state = v1alpha1.Completed
	}
	st.Rotation = &v1alpha1.RotationStatus{
		ID: last.ID, State: state, Stage: last.Stage, By: last.By, To: keyRef(last.To),
		StartTime: metav1.Time{Time: last.StartTime}, CompletedAt: timeRef(last.CompletionTime),
	}
	for _, k := range last.From {
		st.Rotation.From = append(st.Rotation.From, keyRef(k))
	}
	if len(last.Migrations) > 0 {
		st.Migration = migrationStatus(last)
	}
}

func migrationStatus(r *ledger.Rotation) *v1alpha1.MigrationStatus {
	m := &v1alpha1.MigrationStatus{State: v1alpha1.Completed}
	if r.Config != nil {
		m.Revision = r.Config.Digest
	}
	var last *time.Time
	for name, one := range r.Migrations {
		m.Resources = append(m.Resources, name)
		switch {
		case one.Complete && (last == nil || one.CompletionTime != nil && one.CompletionTime.After(*last)):
			last = one.CompletionTime
		case one.Complete:
		case one.Failed > 0:
			m.State = v1alpha1.Incomplete
		case m.State == v1alpha1.Completed:
			m.State = v1alpha1.InProgress
		}
	}
	slices.Sort(m.Resources)
	if m.State == v1alpha1.Completed {
		m.CompletedAt = timeRef(last)
	}
	return m
}

func keyRef(k encconfig.Key) v1alpha1.KeyRef {
	return v1alpha1.KeyRef{Provider: string(k.Provider), Name: k.Name, Fingerprint: k.Fingerprint}
}

func timeRef(t *time.Time) *metav1.Time {
	if t == nil {
		return nil
	}
	return &metav1.Time{Time: *t}
}

// conclude finds the one sentence, and the condition that goes with it.
func conclude(st *v1alpha1.EncryptionStatus, s *Seen) {
	status, reason := metav1.ConditionUnknown, ReasonUnproven
	staleObjects, unproven := tally(st)
	open := s.View.Ledger.Open()
	resume := "go on with: " + project.Command + " rotate --resume"
	switch {
	case st.Encryption == v1alpha1.Disabled:
		status, reason = metav1.ConditionFalse, v1alpha1.EncryptionDisabled
		st.Summary = "Encryption at rest is off: everything is stored in plaintext."
	case len(st.Problems) > 0:
		st.Summary = "Something needs attention: " + st.Problems[0] + "."
	case open != nil:
		status, reason = metav1.ConditionFalse, v1alpha1.EncryptionInProgress
		st.Summary = fmt.Sprintf("A rotation to key %s has not ended (stage %s). If nobody is at work on it, %s",
			open.To, open.Stage, resume)
	case st.Encryption != v1alpha1.Enabled:
		st.Summary = "Whether encryption at rest is on is not known for every kube-apiserver."
	case st.Digest == "":
		st.Summary = "Encryption at rest is configured; which configuration the kube-apiservers have loaded is not known (before Kubernetes 1.34 they do not tell)."
	case staleObjects > 0:
		status, reason = metav1.ConditionFalse, v1alpha1.EncryptionInProgress
		st.Summary = fmt.Sprintf("%d object(s) are not proven to be stored with the write key; migrate them with: %s migrate --resources %s",
			staleObjects, project.Command, strings.Join(staleResources(st), ","))
	case len(unproven) > 0:
		st.Summary = fmt.Sprintf("Not proven: with which keys the stored objects of %s are encrypted; make sure of it with: %s migrate --resources %s",
			strings.Join(unproven, " and "), project.Command, strings.Join(unproven, ","))
	case len(plaintext(s)) > 0:
		status, reason = metav1.ConditionFalse, v1alpha1.DecryptionInProgress
		st.Summary = fmt.Sprintf("The configuration writes %s in plaintext: identity is the first provider.", strings.Join(plaintext(s), " and "))
	case !slices.ContainsFunc(st.Resources, func(r v1alpha1.ResourceStatus) bool { return r.Provider != string(encconfig.Identity) }):
		status, reason = metav1.ConditionFalse, v1alpha1.DecryptionInProgress
		st.Summary = "Nothing is encrypted from now on: the kube-apiservers write in plaintext."
	case updated(st) < len(st.Nodes):
		st.Summary = "By the record everything that is stored is encrypted with its write key; which configuration the kube-apiservers " +
			"have loaded now is not known (before Kubernetes 1.34 they do not tell)."
	default:
		status, reason = metav1.ConditionTrue, v1alpha1.EncryptionCompleted
		st.Healthy = true
		st.Summary = "All is well: " + agreement(st) + ", and nothing that is stored is stale."
	}
	st.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionEncrypted, Status: status, Reason: reason, Message: st.Summary,
		LastTransitionTime: transition(st),
	}}
}

// ReasonUnproven is the condition's reason where neither encryption nor its absence is proven.
const ReasonUnproven = "EncryptionUnproven"

func agreement(st *v1alpha1.EncryptionStatus) string {
	if len(st.Nodes) == 1 {
		return "the kube-apiserver runs the configuration " + plan.ShortDigest(st.Digest)
	}
	return fmt.Sprintf("%d of %d kube-apiservers run the configuration %s", updated(st), len(st.Nodes), plan.ShortDigest(st.Digest))
}

// plaintext are the resources that a rule of the configuration leaves unencrypted although keys stand behind identity:
// they are being decrypted, or their encryption was prepared and not begun.
func plaintext(s *Seen) []string {
	if s.Config == nil {
		return nil
	}
	var names []string
	for _, r := range s.Config.Rules {
		if !r.Encrypts() && len(r.Keys) > 1 {
			names = append(names, r.Resources...)
		}
	}
	return names
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

func tally(st *v1alpha1.EncryptionStatus) (staleObjects int64, unproven []string) {
	for _, r := range st.Resources {
		switch {
		case r.Stale != nil:
			staleObjects += *r.Stale
		case r.Provider != string(encconfig.Identity):
			unproven = append(unproven, r.Name)
		}
	}
	return staleObjects, unproven
}

func staleResources(st *v1alpha1.EncryptionStatus) []string {
	var names []string
	for _, r := range st.Resources {
		if r.Stale != nil && *r.Stale > 0 {
			names = append(names, r.Name)
		}
	}
	return names
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
