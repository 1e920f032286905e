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
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

// Assess makes the status of what was seen.
func Assess(s *Seen, cluster v1alpha1.Cluster) *v1alpha1.EncryptionStatus {
	st := &v1alpha1.EncryptionStatus{
		TypeMeta: v1alpha1.New("EncryptionStatus"), ObjectMeta: metav1.ObjectMeta{Name: "encryption"}, Cluster: cluster,
	}
	if f := s.View.ControlPlane.Foreign; f.Name != "" {
		managed(st, f)
		return st
	}
	st.Digest, st.Kubeadm = agreedDigest(s), s.Kubeadm.status()
	assessNodes(st, s)
	if st.Encryption != v1alpha1.Disabled {
		for _, name := range s.Resources {
			st.Resources = append(st.Resources, assessResource(s, name))
		}
	}
	st.Type = typeOf(st)
	rotationOf(st, s.View.Ledger)
	st.Verification = verifiedOf(st, s.View.Ledger)
	conclude(st, s)
	return st
}

// managed is the status of a control plane that is left alone: nothing of it is known, and nothing is wrong with that.
func managed(st *v1alpha1.EncryptionStatus, by controlplane.Foreign) {
	st.Encryption, st.Type = v1alpha1.Unknown, v1alpha1.Unknown
	st.ManagedBy = &v1alpha1.Manager{Name: by.Name, Command: by.Command}
	st.Summary = fmt.Sprintf("This control plane is run by %s, which keeps its encryption configuration itself: nothing is known of it here.", by.Name)
	st.Hints = []string{"use its own command: " + by.Command}
	st.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionEncrypted, Status: metav1.ConditionUnknown, Reason: ReasonUnproven, Message: st.Summary,
	}}
}

// assessNodes finds the nodes' states, whether encryption is on, and what is wrong with either.
func assessNodes(st *v1alpha1.EncryptionStatus, s *Seen) {
	instances := s.View.ControlPlane.Instances
	st.Problems = slices.Clone(s.View.ControlPlane.Disagreements)
	for _, in := range instances {
		node := assessNode(s, in, st.Digest)
		if node.Message != "" {
			st.Problems = append(st.Problems, fmt.Sprintf("node %s: %s", in.Node, node.Message))
		}
		st.Nodes = append(st.Nodes, node)
	}
	st.Encryption = enabled(st.Nodes)
	if changesFlags(s.View.Ledger.Open()) {
		return
	}
	if st.Encryption == v1alpha1.Mixed {
		st.Problems = slices.Insert(st.Problems, 0, "the kube-apiserver(s) on "+strings.Join(disabled(st.Nodes), ", ")+
			" run without an encryption configuration, others with one: they can't read what the others encrypt; "+mendFlags(st.Nodes, instances))
	}
	if drift := s.Kubeadm.drift(instances); drift != "" {
		st.Problems = append(st.Problems, drift)
	}
	st.Problems = append(leftBehind(st, s), st.Problems...)
}

// mendFlags says what gives the kube-apiservers their configuration that run without one. On a node whose kube-apiserver is not ready
// no Job can be started, so nothing but a hand can.
func mendFlags(nodes []v1alpha1.NodeStatus, instances []controlplane.Instance) string {
	for _, name := range disabled(nodes) {
		at := slices.IndexFunc(instances, func(in controlplane.Instance) bool { return in.Node == name })
		if at >= 0 && !instances[at].Ready {
			return "the one on " + name + " is not ready. " + strings.TrimSuffix(controlplane.ReturnOf(name, true), ".")
		}
	}
	return project.Command + " enable mends it"
}

// agreedDigest is what all instances run that read a configuration; before 1.34, what the record says.
func agreedDigest(s *Seen) string {
	if digest := loadedDigest(s); digest != "" {
		return digest
	}
	last := s.View.Ledger.Last()
	if last == nil || last.Config == nil {
		return ""
	}
	return last.Config.Digest
}

func loadedDigest(s *Seen) string {
	var digest string
	for i, in := range readers(s.View) {
		hash := s.View.Evidence[in.Node].Hash
		if hash == "" || i > 0 && hash != digest {
			return ""
		}
		digest = hash
	}
	return digest
}

func assessNode(s *Seen, in controlplane.Instance, agreed string) v1alpha1.NodeStatus {
	e, reached := s.View.Evidence[in.Node]
	open := s.View.Ledger.Open()
	n := v1alpha1.NodeStatus{
		Name: in.Node, Instance: in.Pod, Version: e.Version, IDHash: e.IDHash, Revision: e.Hash,
		AutomaticReload: in.Manifest.AutomaticReload, ConfigPath: in.Manifest.ConfigPath, State: v1alpha1.StateUnknown,
	}
	if loaded := loadedAt(e); !loaded.IsZero() && e.Hash != "" {
		n.LoadedAt = &metav1.Time{Time: loaded.UTC()}
	}
	failed := e.Failed() && e.LastFailure.After(s.View.Ledger.Overcome[in.Node])
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
		if open == nil || e.Hash != open.StartDigest && e.Hash != open.Sent {
			n.Message = "its kube-apiserver has another configuration loaded than the agreed one"
		}
	}
	if n.Message == "" && in.Manifest.ConfigPath != "" && !in.Manifest.AutomaticReload && !changesFlags(open) {
		n.Message = "its kube-apiserver does not reload its configuration by itself; " + project.Command + " enable lets it"
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

func typeOf(st *v1alpha1.EncryptionStatus) string {
	if st.Encryption == v1alpha1.Disabled || len(st.Resources) > 0 && !anyEncrypted(st) {
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

// anyEncrypted tells whether any resource is written otherwise than in plaintext, or may be.
func anyEncrypted(st *v1alpha1.EncryptionStatus) bool {
	return slices.ContainsFunc(st.Resources, func(r v1alpha1.ResourceStatus) bool { return r.Provider != string(encconfig.Identity) })
}
