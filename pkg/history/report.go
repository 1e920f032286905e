// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/revision"
)

// Nodes are the answers as package revision takes them, and the first node that could not tell all.
func Nodes(answers []Answer) (nodes []revision.Node, err error) {
	for _, a := range answers {
		if a.State == nil {
			return nil, fmt.Errorf("node %s could not be asked: %w", a.Node, a.Err)
		}
		if a.State.HistoryDamaged {
			return nil, fmt.Errorf("node %s: %w", a.Node, a.State.Problem)
		}
		nodes = append(nodes, revision.Node{Name: a.Node, History: a.State.History})
	}
	return nodes, nil
}

// Report sums the answers up.
func Report(answers []Answer, cluster v1alpha1.Cluster) *v1alpha1.RevisionHistory {
	h := &v1alpha1.RevisionHistory{
		TypeMeta: v1alpha1.New("RevisionHistory"), ObjectMeta: metav1.ObjectMeta{Name: "history"},
		Cluster: cluster, Complete: true, Nodes: []v1alpha1.NodeHistory{},
	}
	for _, a := range answers {
		n := v1alpha1.NodeHistory{Name: a.Node, Message: message(a), Revisions: []v1alpha1.Revision{}}
		if a.State == nil || a.State.HistoryDamaged {
			h.Complete = false
		}
		if a.State != nil {
			n.Digest, n.Revisions = a.State.Digest, revisions(*a.State)
		}
		h.Nodes = append(h.Nodes, n)
	}
	compare(h.Nodes, answers)
	h.Digest, h.Summary = summary(h.Nodes, answers)
	return h
}

// message says what is wrong with a node.
func message(a Answer) string {
	switch {
	case a.Err != nil:
		return "could not be asked: " + hint.OneLine(a.Err.Error())
	case a.State.Problem != nil && a.State.Problem.Code == agentapi.Missing && len(a.State.History) == 0:
		return "has no encryption configuration"
	case a.State.Problem != nil:
		return a.State.Problem.Message
	case a.State.Interrupted != nil:
		return "an installation on it was interrupted"
	}
	return ""
}

// revisions are a node's own, the newest first, and its file where none of them has its bytes.
func revisions(s agentapi.State) []v1alpha1.Revision {
	list := []v1alpha1.Revision{}
	seen := s.Digest == ""
	for _, r := range slices.Backward(s.History) {
		one := describe(r.Config)
		one.Number, one.Time, one.Run = r.Number, &metav1.Time{Time: r.Time}, r.Run
		if !seen && r.Config.Digest == s.Digest {
			one.Current, seen = true, true
		}
		list = append(list, one)
	}
	if seen {
		return list
	}
	file := encconfig.Description{Digest: s.Digest}
	if s.Config != nil {
		file = *s.Config
	}
	one := describe(file)
	one.Current, one.Time = true, &metav1.Time{Time: s.ModTime}
	return slices.Insert(list, 0, one)
}

func describe(d encconfig.Description) v1alpha1.Revision {
	r := v1alpha1.Revision{Digest: d.Digest, Understood: len(d.Rules) > 0, WriteKeys: []v1alpha1.KeyRef{}, ReadKeys: []v1alpha1.KeyRef{}}
	for _, rule := range d.EncryptingRules() {
		r.Resources = append(r.Resources, rule.Resources...)
	}
	for _, k := range d.WriteKeys() {
		r.WriteKeys = append(r.WriteKeys, ref(k))
	}
	for _, k := range d.Keys() {
		if !d.Writes(k) {
			r.ReadKeys = append(r.ReadKeys, ref(k))
		}
	}
	return r
}

func ref(k encconfig.Key) v1alpha1.KeyRef {
	return v1alpha1.KeyRef{Provider: string(k.Provider), Name: k.Name, Fingerprint: k.Fingerprint}
}

// compare finds out which revisions are not on every node that was asked.
func compare(nodes []v1alpha1.NodeHistory, answers []Answer) {
	has := func(n v1alpha1.NodeHistory, digest string) bool {
		return slices.ContainsFunc(n.Revisions, func(r v1alpha1.Revision) bool { return r.Digest == digest })
	}
	for i := range nodes {
		for j := range nodes[i].Revisions {
			r := &nodes[i].Revisions[j]
			for k, other := range nodes {
				if answers[k].State != nil && !has(other, r.Digest) {
					r.LackingOn = append(r.LackingOn, other.Name)
				}
			}
		}
	}
}

// summary is the digest that all nodes have in their files, if they do, and the sentence.
func summary(nodes []v1alpha1.NodeHistory, answers []Answer) (digest, text string) {
	var silent, differ []string
	asked, kept := 0, 0
	for i, n := range nodes {
		if answers[i].State == nil {
			silent = append(silent, n.Name)
			continue
		}
		asked++
		kept += len(n.Revisions)
		if asked == 1 {
			digest = n.Digest
		}
		if n.Digest != digest {
			differ = nodesApart(nodes, answers)
		}
	}
	switch {
	case asked == 0:
		return "", "No node could be asked."
	case len(differ) > 0:
		digest, text = "", "The files of the nodes differ: "+strings.Join(differ, ", ")
	case digest == "" && kept == 0:
		text = "No node has an encryption configuration, now or in its history"
	case digest == "":
		text = "No node has an encryption configuration now"
	case asked == 1:
		text = fmt.Sprintf("Node %s has the configuration %s", nodeAsked(nodes, answers), revision.Short(digest))
	default:
		text = fmt.Sprintf("%d nodes have the configuration %s", asked, revision.Short(digest))
	}
	if len(silent) > 0 {
		return "", text + "; not known of " + strings.Join(silent, ", ") + "."
	}
	return digest, text + "."
}

func nodeAsked(nodes []v1alpha1.NodeHistory, answers []Answer) string {
	at := slices.IndexFunc(answers, func(a Answer) bool { return a.State != nil })
	return nodes[at].Name
}

func nodesApart(nodes []v1alpha1.NodeHistory, answers []Answer) (list []string) {
	for i, n := range nodes {
		switch {
		case answers[i].State == nil:
		case n.Digest == "":
			list = append(list, n.Name+" none")
		default:
			list = append(list, n.Name+" "+revision.Short(n.Digest))
		}
	}
	return list
}
