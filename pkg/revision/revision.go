// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revision says which configuration somebody means, and which key to go back to. It is pure.
//
// The rules:
//
//  1. A revision has a number on each node, counted by that node alone, and a digest, which is the same wherever the same bytes
//     are. So a number means a configuration only if every node that has a revision of that number has the same one under it;
//     NODE/NUMBER and a digest, or the beginning of one, always do.
//  2. What is meant is one configuration or an error that lists what there is.
//  3. A configuration names a key to go back to if it is understood, encrypts something, and writes with one key of a local
//     provider.
package revision

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Node is what a control-plane node keeps.
type Node struct {
	Name    string
	History []agentapi.Revision
}

// Names of a revision: 3, n1/3, sha256:befe76.
var (
	number   = regexp.MustCompile(`^[0-9]{1,9}$`)
	onNode   = regexp.MustCompile(`^([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)/([0-9]{1,9})$`)
	byDigest = regexp.MustCompile(`^sha256:[0-9a-f]{6,64}$`)
)

// Check refuses what can't name a revision.
func Check(name string) error {
	if number.MatchString(name) || onNode.MatchString(name) || byDigest.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%q does not name a revision: it is a number, NODE/NUMBER, or a digest of which 6 digits are enough (sha256:befe76)", name)
}

// Find is the one configuration that a name means (rules 1 and 2).
func Find(nodes []Node, name string) (encconfig.Description, error) {
	if err := Check(name); err != nil {
		return encconfig.Description{}, err
	}
	var found []encconfig.Description
	var where []string
	for _, n := range nodes {
		for _, r := range n.History {
			if !means(name, n.Name, r) {
				continue
			}
			where = append(where, fmt.Sprintf("%s/%d %s", n.Name, r.Number, Short(r.Config.Digest)))
			if !slices.ContainsFunc(found, func(d encconfig.Description) bool { return d.Digest == r.Config.Digest }) {
				found = append(found, r.Config)
			}
		}
	}
	switch len(found) {
	case 0:
		return encconfig.Description{}, hint.Errorf("see what there is with: "+project.Command+" history", "no node keeps a revision %s", name)
	case 1:
		return found[0], nil
	}
	return encconfig.Description{}, hint.Errorf("name it by its digest, or as NODE/NUMBER",
		"revision %s means more than one configuration: %s", name, strings.Join(where, ", "))
}

func means(name, node string, r agentapi.Revision) bool {
	if m := onNode.FindStringSubmatch(name); m != nil {
		return m[1] == node && m[2] == strconv.Itoa(r.Number)
	}
	if number.MatchString(name) {
		return name == strconv.Itoa(r.Number)
	}
	return strings.HasPrefix(r.Config.Digest, name)
}

// Target is the key to go back to (rule 3).
func Target(d encconfig.Description) (encconfig.Key, error) {
	short := Short(d.Digest)
	if len(d.Rules) == 0 {
		return encconfig.Key{}, hint.Errorf("see what else there is with: "+project.Command+" history", "the configuration %s is not understood", short)
	}
	writes := d.WriteKeys()
	switch {
	case len(writes) == 0:
		return encconfig.Key{}, hint.Errorf("that is: "+project.Command+" disable", "the configuration %s stores everything in plaintext", short)
	case len(writes) > 1:
		return encconfig.Key{}, hint.Errorf("rotate to a new key instead, with: "+project.Command+" rotate",
			"the configuration %s writes with several keys (%s), and a rollback is to one", short, List(writes))
	case !writes[0].Provider.Local():
		return encconfig.Key{}, hint.Errorf("rotate the key encryption key in the KMS itself",
			"the configuration %s writes by a KMS provider, which is not supported yet", short)
	}
	return writes[0], nil
}

// List names keys.
func List(list []encconfig.Key) string {
	parts := make([]string, len(list))
	for i, k := range list {
		parts[i] = k.String()
	}
	return strings.Join(parts, ", ")
}

// Short is a digest for people: the algorithm and the first 12 digits.
func Short(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }
