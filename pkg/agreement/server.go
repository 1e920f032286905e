// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agreement

import (
	"fmt"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// server is what is known of a node's kube-apiserver.
type server struct {
	Node

	// own is what it has loaded, or most likely has.
	own encconfig.Description
	// maybe are all that it may have loaded: own alone, if that is known.
	maybe []encconfig.Description
}

// servers is rule 8: what each kube-apiserver may have loaded.
func (o Observed) servers() ([]server, error) {
	var list []server
	for _, n := range o.Nodes {
		if n.Config == nil && !n.Missing && n.Digest == "" {
			return nil, refuse([]string{"move what is there out of the way on node " + n.Name + ", as root, and run this command again"},
				"what is in the place of the encryption configuration of node %s can't be replaced: %s", n.Name, n.Problem)
		}
		s, err := o.server(n)
		if err != nil {
			return nil, err
		}
		for _, d := range append(usable(n), s.maybe...) {
			if d.Uses(encconfig.KMS) {
				return nil, refuse([]string{"give all nodes the same file by hand"},
					"the encryption configuration of node %s uses a KMS provider, which is not supported yet", n.Name)
			}
		}
		list = append(list, s)
	}
	return list, nil
}

func usable(n Node) []encconfig.Description {
	if n.Config == nil {
		return nil
	}
	return []encconfig.Description{*n.Config}
}

func (o Observed) server(n Node) (server, error) {
	switch {
	case n.Proven && n.Config == nil:
		return server{}, notUnderstood(n)
	case n.Proven:
		return only(n, *n.Config), nil
	case n.TellsLoaded && n.Loaded == "":
		return server{}, refuse([]string{"turn it on there with: kubectl encryption enable"},
			"the kube-apiserver on node %s runs without an encryption configuration", n.Name)
	case n.TellsLoaded:
		d := o.find(n, n.Loaded)
		switch {
		case d == nil:
			return server{}, unknownLoaded(n)
		case len(d.Rules) == 0:
			return server{}, notUnderstood(n)
		}
		return only(n, *d), nil
	case n.Config == nil && !n.Missing && !n.Rejected:
		return server{}, refuse([]string{"wait a minute, and run this command again; " +
			"if it says the same, put the newest file of the node's history in its place by hand"},
			"the file of node %s is not usable (%s), and it is not known whether its kube-apiserver has loaded it", n.Name, n.Problem)
	}
	s := server{Node: n}
	if last := len(n.History) - 1; n.Config != nil && last >= 0 && n.History[last].Digest == n.Digest {
		s.own = *n.Config // our installation has put it there, and what it is about to write with is decided
	}
	for _, d := range n.understood() {
		s.maybe = append(s.maybe, d)
		if len(s.own.Rules) == 0 && (n.Config == nil || d.Digest != n.Digest) {
			s.own = d // the newest that our installations or a hand edit have left behind
		}
	}
	if len(s.own.Rules) == 0 && n.Config != nil {
		s.own = *n.Config
	}
	if len(s.maybe) == 0 {
		return server{}, unknownLoaded(n)
	}
	return s, nil
}

func only(n Node, d encconfig.Description) server {
	return server{Node: n, own: d, maybe: []encconfig.Description{d}}
}

// notUnderstood is about a file that is in use and that nobody can be sure to keep the meaning of.
func notUnderstood(n Node) error {
	why := n.Problem
	if why == "" {
		why = "it is in a history, and not understood"
	}
	return refuse([]string{
		fmt.Sprintf("write the file of node %s such that it is understood, with every key that it has, and run this command again", n.Name),
		"what is understood: docs/recovery.md, \"The files of the nodes differ\"",
	}, "the kube-apiserver on node %s runs with a configuration that is not understood, so its keys can't be kept: %s", n.Name, why)
}

// unknownLoaded is about a kube-apiserver that may be the only one that still has a key.
func unknownLoaded(n Node) error {
	return refuse([]string{
		fmt.Sprintf("put the file that it has loaded back on node %s, from wherever you have it, and run this command again: "+
			"replacing it now could lose a key that is in the memory of that kube-apiserver alone", n.Name),
		"if nobody has it: see with \"kubectl encryption verify\" whether anything is stored with a key that no node has; if not, " +
			"restart that kube-apiserver with the newest file of the node's history (on the node: encryption-agent restore)",
	}, "the kube-apiserver on node %s runs with a configuration that no node has, neither as its file nor in its history%s", n.Name, loaded(n))
}

func loaded(n Node) string {
	if n.Loaded == "" {
		return ""
	}
	return " (" + n.Loaded + ")"
}
