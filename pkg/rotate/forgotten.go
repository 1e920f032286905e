// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// checkForgettable refuses to destroy keys with which a node would lose another one: one that it has in no other revision, and not in
// its configuration. The agent would refuse it too, but not before the keys have left the configuration.
func checkForgettable(files map[string]agentapi.State, dropped []encconfig.Key) error {
	goes := func(k encconfig.Key) bool { return slices.ContainsFunc(dropped, k.Is) }
	for _, node := range slices.Sorted(maps.Keys(files)) {
		var held, others []encconfig.Key
		if config := files[node].Config; config != nil {
			held = config.Keys()
		}
		for _, d := range operation.Configs(files[node].History) {
			if list := d.Keys(); slices.ContainsFunc(list, goes) {
				others = append(others, list...)
			} else {
				held = append(held, list...)
			}
		}
		lost := slices.DeleteFunc(others, func(k encconfig.Key) bool { return goes(k) || slices.Contains(held, k) })
		if len(lost) > 0 {
			return alsoLost(node, lost, dropped)
		}
	}
	return nil
}

func alsoLost(node string, lost, dropped []encconfig.Key) error {
	var flags []string
	for _, k := range slices.Concat(dropped, lost) {
		if flag := "--key " + k.String(); !slices.Contains(flags, flag) {
			flags = append(flags, flag)
		}
	}
	return hint.New(fmt.Errorf("node %s has key %s in no revision of its history but those that hold what is to be destroyed", node, lost[0]),
		"to destroy both: "+project.Command+" prune --history "+strings.Join(flags, " "),
		"to take keys out of the configuration alone, leave --history away")
}
