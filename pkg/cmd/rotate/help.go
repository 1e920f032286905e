// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import "k8s.io/kubectl/pkg/util/templates"

func long() string {
	return templates.LongDesc(`
		Rotate the key that encrypts what is stored in etcd, and rewrite everything that is stored with an older one.

		One step at a time, each proven before the next: a new key is made on a control-plane node and added as a read
		key everywhere; every kube-apiserver proves that it has loaded it; the key is promoted to write key everywhere,
		and proven again; baselines are recorded; every encrypted resource is migrated; what etcd holds is counted, by key;
		and keys beyond --keep leave the configuration once nothing can need them. No kube-apiserver is restarted.
		Everything stays readable throughout.

		Files are changed by short-lived Jobs, one on each control-plane node, that run as root with the folder of the
		encryption configuration and their own history folder, and nothing else of the node; the one that counts has the
		kube-apiserver's certificate for etcd besides, and all of it read-only. Keys never leave the control plane: they
		travel between nodes sealed, and this program relays what it can't open.

		It can be stopped at any time, also by force. Whatever it was doing, every object stays readable, and nothing
		has to be cleaned up: --resume goes on from what it finds, and --abort takes the new key back as long as nothing
		can have been written with it.

		Exit codes: 0 done, 1 error, 2 done, and etcd holds values that are not stored with the key, 124 a kube-apiserver has not loaded its file in time (resume later), 130 interrupted.`)
}

func examples() string {
	return templates.Examples(`
		# What would be done
		kubectl encryption rotate --dry-run

		# Show the plan, ask, and rotate
		kubectl encryption rotate

		# Rotate from a script
		kubectl encryption rotate --yes

		# Convert to another provider
		kubectl encryption rotate --provider secretbox

		# Go on with a rotation that stopped
		kubectl encryption rotate --resume

		# Take a rotation back before its key is used
		kubectl encryption rotate --abort

		# Take the agent's image from a registry of your own
		kubectl encryption rotate --agent-image registry.example/encryption-agent@sha256:0123…`)
}
