// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package disable

import "k8s.io/kubectl/pkg/util/templates"

func long() string {
	return templates.LongDesc(`
		Store resources in plaintext again: all that are encrypted, or those of --resources.

		One step at a time, each proven before the next: plaintext becomes what is written everywhere, while every key
		stays as a read key; every kube-apiserver proves that it has loaded that; what is stored is migrated; and what etcd
		holds is counted. No kube-apiserver is restarted, and everything stays readable throughout.

		With --remove-flags it goes on to the end, once the migration and the count have shown that nothing encrypted is
		left and superseded revisions are compacted (two intervals, ten minutes by default): kubeadm's configuration and, one node
		after another, the manifests lose the flags and the mount. A guard on the node puts the manifest back if its
		kube-apiserver is not ready within --rollback-after. The configuration and each node's history stay where they
		are, root only: a backup of etcd may still need their keys.

		It can be stopped at any time, also by force: --resume goes on from what it finds, and the command enable turns
		encryption on again.

		Exit codes: 0 done or already so, 1 error, 2 etcd still holds encrypted values, 124 a kube-apiserver was not ready in time (resume later), 130 interrupted.`)
}

func examples() string {
	return templates.Examples(`
		# What would be done
		kubectl encryption disable --dry-run

		# Store ConfigMaps in plaintext again, and nothing else
		kubectl encryption disable --resources configmaps

		# Store everything in plaintext, and keep the flags and the keys
		kubectl encryption disable

		# Leave nothing of it in the manifests
		kubectl encryption disable --remove-flags

		# Go on where it stopped
		kubectl encryption disable --resume`)
}
