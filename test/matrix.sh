#!/usr/bin/env bash
# Copyright The kubectl-encryption Authors.
# SPDX-License-Identifier: Apache-2.0

# Encryption turned on and one rotation on three nodes of each version of Kubernetes that is named. Before 1.34 a kube-apiserver does not say
# which configuration it has loaded, so the proof is another one there. `make test-matrix` runs it.
set -euo pipefail

failed=0 passed=0
for version in "$@"; do
	dir=$PWD/_output/matrix-$version
	echo "== $version"
	"$CLUSTER" up --dir "$dir" --nodes 3 --encryption none --kubernetes "$version" --load-image "$AGENT_TAR"
	export KUBECONFIG=$dir/kubeconfig
	ok=true
	"$PLUGIN" enable --yes || ok=false
	"$PLUGIN" rotate --yes --provider secretbox || ok=false
	"$PLUGIN" status
	for resource in secrets configmaps; do
		keys=$("$CLUSTER" etcdctl --dir "$dir" -- get --prefix --keys-only "/registry/$resource/" | grep -c registry || true)
		new=$("$CLUSTER" etcdctl --dir "$dir" -- get --prefix --print-value-only "/registry/$resource/" | grep -ac 'k8s:enc:secretbox:v1:2:' || true)
		echo "$resource: $new of $keys are stored with key 2"
		[ "$keys" -gt 0 ] && [ "$new" -ge "$keys" ] || ok=false
	done
	"$CLUSTER" down --dir "$dir"
	if $ok; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "matrix: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
