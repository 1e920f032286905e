#!/usr/bin/env bash
# Copyright The kubectl-encryption Authors.
# SPDX-License-Identifier: Apache-2.0

# The demo: a real one-node cluster in plaintext, real objects, encryption turned on, one rotation, and what is stored
# before and after.
# Run it by `make demo`, which builds what is needed.
set -euo pipefail

dir=$PWD/_output/demo
say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }
stored() { # the first bytes of an object as they are in etcd, without what follows the key's name
	printf '%s in etcd: ' "$1"
	"$CLUSTER" etcdctl --dir "$dir" -- get --print-value-only "/registry/$1" | head -c 200 | grep -aoE '^k8s:enc:[a-z]+:v1:[^:]+:|^k8s' | head -1
}

if ! command -v kubectl >/dev/null; then
	say "kubectl is missing: installing Debian's"
	apt-get install --yes --quiet --no-install-recommends kubernetes-client
fi
trap '"$CLUSTER" down --dir "$dir"' EXIT

say "A real kubeadm control plane of one node, which stores everything in plaintext"
"$CLUSTER" up --dir "$dir" --nodes 1 --encryption none --load-image "$AGENT_TAR"
export KUBECONFIG=$dir/kubeconfig

say "Real objects: 100 Secrets and 20 ConfigMaps"
for i in $(seq 100); do
	printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: demo-%s}\nstringData: {password: "p-%s"}\n---\n' "$i" "$RANDOM"
done | kubectl apply -f - >/dev/null
for i in $(seq 20); do
	printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: demo-%s}\ndata: {key: "v-%s"}\n---\n' "$i" "$RANDOM"
done | kubectl apply -f - >/dev/null
kubectl get secrets,configmaps --no-headers | wc -l

say "Before"
run kubectl encryption status
stored secrets/default/demo-1
stored configmaps/default/demo-1

say "The plan"
run kubectl encryption enable --dry-run

say "Encryption is turned on; the kube-apiserver restarts once, watched by a guard on its node"
run kubectl encryption enable --yes
stored secrets/default/demo-1
stored configmaps/default/demo-1

say "A rotation: no restart, but kube-apiserver looks at its file once a minute"
run kubectl encryption rotate --yes

say "After"
run kubectl encryption status
stored secrets/default/demo-1
stored configmaps/default/demo-1
password=$(kubectl get secret demo-1 -o jsonpath='{.data.password}' | base64 -d)
say "demo-1 still reads as ${password%%-*}-…: done. The cluster is taken down."
