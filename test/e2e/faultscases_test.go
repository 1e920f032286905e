// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import "testing"

// nodeFaults are the cases by name.
func nodeFaults() map[string]func(*testing.T, trial) {
	return map[string]func(*testing.T, trial){
		"SIGKILL at every step of rotate":                             killRotate,
		"SIGKILL at every step of migrate":                            killMigrate,
		"SIGKILL at every step of disable and enable":                 killOnAndOff(),
		"SIGKILL at every step of disable and enable, flags included": killOnAndOff("--remove-flags"),
		"SIGKILL at every step of rollback":                           killRollback,
		"SIGKILL at every step of prune":                              killPrune,
		"SIGKILL at every step of repair, of the only file":           killRepairOfOne,
		"SIGKILL at every step of repair, of nodes that all differ":   killRepairOfMany,
		"Ctrl-C at every step of rotate":                              interruptRotate,

		"four operators at once":                                fourOperators,
		"two operators at once, one of them with a repair":      repairMeanwhile,
		"an operator's machine that sleeps in the migration":    sleeper,
		"an operator's clock that is an hour ahead, and behind": wrongClock,
		"somebody who edits the file of a node again and again": editor,
		"a permission that is taken away in the middle":         withoutPermission,

		"a network that fails again and again":               badNetwork,
		"every connection cut at every step":                 cutEverywhere,
		"credentials that end":                               endOfCredentials,
		"a server's clock that is an hour ahead, and behind": wrongServerClock,

		"the agents' pods are deleted while they work":              evicted,
		"the agents' Jobs are removed as soon as they are there":    removed,
		"agents that say what no agent says":                        hostile,
		"a node that is cordoned and tainted NoExecute":             cordoned,
		"kube-system enforces the restricted Pod Security Standard": restrictedPods,
		"an image that is nowhere, and quotas that are full":        withoutAgents,
		"objects that can't be written":                             unwritable,
		"an older file is put back on one of several nodes":         olderFile,
		"an older file is put back on the only node":                olderFile,
		"a kubelet that stands still":                               kubeletStill,
		"a node that loses its power":                               powerLost,

		"a read-only folder":                                   readOnly,
		"a folder without room":                                fullHistory,
		"a configuration that is a symbolic link":              symbolicLink,
		"what others left in the folder":                       planted,
		"etcd of one node, and of most, stands still for 20 s": etcdStill,
		"a kube-apiserver that is killed at every step":        serverKilled,
	}
}
