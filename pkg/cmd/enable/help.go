// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package enable

import "k8s.io/kubectl/pkg/util/templates"

func long() string {
	return templates.LongDesc(`
		Turn encryption at rest on, on a cluster that stores everything in plaintext; or change its provider, or add
		resources, where it is on.

		One step at a time, each proven before the next. A configuration with plaintext as the write "key" and a new key as
		read key is put on every control-plane node. One node after another, the manifest of its kube-apiserver gets the
		flags and a mount; the kube-apiserver restarts, is ready and proves what it has loaded. kubeadm's own configuration
		gets the same, so that upgrades and joins keep it. Then the key is promoted to write key everywhere without a
		restart, what is stored is migrated, and what etcd holds is counted. Where encryption is on already, no kube-apiserver is restarted.

		The way back is on the node: a guard, a static pod there, edits the manifest and stays until the kube-apiserver is
		ready. If that takes longer than --rollback-after, it puts the old manifest back byte for byte and says why. It needs
		neither the API server nor this program for that.

		It can be stopped at any time, also by force: --resume goes on from what it finds, and the command disable takes it
		back. A resource that shall not be encrypted any more is for disable --resources.

		Exit codes: 0 done or already so, 1 error, 2 done, and etcd holds values that are not stored with the key, 124 a kube-apiserver was not ready in time (resume later), 130 interrupted.`)
}

func examples() string {
	return templates.Examples(`
		# What would be done
		kubectl encryption enable --dry-run

		# Encrypt Secrets and ConfigMaps with AES-GCM
		kubectl encryption enable

		# Encrypt Secrets alone, with secretbox
		kubectl encryption enable --provider secretbox --resources secrets

		# Encrypt a custom resource, and all of a group, too
		kubectl encryption enable --resources widgets.example.com,*.apps

		# Convert to another provider
		kubectl encryption enable --provider aesgcm

		# Go on where it stopped
		kubectl encryption enable --resume`)
}
