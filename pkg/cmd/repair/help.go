// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package repair

import "k8s.io/kubectl/pkg/util/templates"

func long() string {
	return templates.LongDesc(`
		Bring every control-plane node to one encryption configuration: where a file is missing or damaged, was edited by
		hand, is older than those of the others, or where all nodes differ.

		An agent on each node looks at the file and at the node's history, and each kube-apiserver tells what it has
		loaded. Of all that the agreed configuration is made. It loses no key: every key that any node has stays at least
		a read key. Each resource that any kube-apiserver encrypts stays encrypted, plaintext stays readable where it was,
		and the write key is the newest of those that the kube-apiservers write with. No kube-apiserver writes with
		another key than before until every one of them has proven that it reads it.

		What differs is shown, and you are asked, before anything is changed. Keys travel between the nodes sealed. What a
		file is replaced by and what was there before stays in the node's history. If all nodes agree, nothing is done.

		It refuses what it can't know: two keys of one name, a configuration in use that is not understood, or a
		kube-apiserver that has loaded what no node has any more. A node whose kube-apiserver is down can't be given an
		agent: it is named, with the two commands that mend it by hand. The others are repaired if no write key has to
		change for it.

		Objects are not migrated; it ends with the command that does. It can be stopped at any time, also by force: the
		same command goes on from what it finds.

		Exit codes: 0 done or nothing to repair, 1 error, or a node that could not be looked at, 124 a kube-apiserver has
		not loaded its file in time, 130 interrupted. --dry-run: 0 whatever was found.`)
}

func examples() string {
	return templates.Examples(`
		# What differs, and what would be done
		kubectl encryption repair --dry-run

		# Show it, ask, and repair
		kubectl encryption repair

		# From a script
		kubectl encryption repair --yes -o json`)
}
