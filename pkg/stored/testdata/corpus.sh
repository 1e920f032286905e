#!/usr/bin/env bash
# Copyright The kubectl-encryption Authors.
# SPDX-License-Identifier: Apache-2.0

# Writes corpus.jsonl anew: values as a kube-apiserver stores them, one for each provider, read from etcd.
#
#   corpus.sh CLUSTER DIR     run from the root of the checkout
#
# CLUSTER is the built program of test/cluster, DIR a new folder for a bare control plane, which is ended at the end.
# Needs kubectl, etcdctl and jq. The keys are made up and protect nothing; open/corpus_test.go has them too.
set -euo pipefail
cluster=$1 dir=$2
here=pkg/stored/testdata
started=()
trap 'kill "${started[@]}" || true; "$cluster" bare down --dir "$dir"' EXIT

"$cluster" bare up --dir "$dir" --encryption aesgcm --reload-poll 1s
go -C $here/kmsplugin build -o "$dir/kmsplugin" .
"$dir/kmsplugin" "$dir/v1.sock" "$dir/v2.sock" &
started+=($!)
export KUBECONFIG=$dir/kubeconfig-apiserver-1
etcd=$(jq -r .etcd.endpoint "$dir/bare.json")
config=$(jq -r '.apiservers[0].encryptionConfig' "$dir/bare.json")

# configure PROVIDER: has the kube-apiserver write with the provider, and waits until it has loaded that.
configure() {
	cat >"$config.new" <<-END
		apiVersion: apiserver.config.k8s.io/v1
		kind: EncryptionConfiguration
		resources:
		  - resources: [secrets, widgets.example.com]
		    providers:
		      - $1
		      - identity: {}
	END
	mv "$config.new" "$config"
	local hash
	hash=$(sha256sum "$config" | cut -d' ' -f1)
	until kubectl get --raw /metrics 2>&1 | grep '^apiserver_encryption_config_controller_last_config_info' | grep -q "$hash"; do sleep 1; done
}

# key PROVIDER NAME: a provider with one key of 32 bytes, which are its own name and dots.
key() { echo "$1: {keys: [{name: \"$2\", secret: $(printf '%-32s' "$1" | tr ' ' . | base64)}]}"; }

# put NAME: a Secret and a custom resource of that name. Secrets are stored in protobuf, custom resources in JSON.
put() {
	kubectl create secret generic "$1" --from-literal=answer=42
	kubectl create -f - <<-END
		{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "$1", "namespace": "default"}, "spec": {"answer": 42}}
	END
}

# take: moves what was put from etcd to the corpus. The next kube-apiserver could not read it.
take() {
	local path
	for path in /registry/secrets/default/ /registry/example.com/widgets/default/; do
		etcdctl --endpoints "$etcd" get --prefix "$path" -w json | jq -c '.kvs[] | {path: (.key | @base64d), value: .value}' >>$here/corpus.jsonl
		etcdctl --endpoints "$etcd" del --prefix "$path"
	done
}

rm -f $here/corpus.jsonl
kubectl create -f - <<-END
	apiVersion: apiextensions.k8s.io/v1
	kind: CustomResourceDefinition
	metadata: {name: widgets.example.com}
	spec:
	  group: example.com
	  names: {kind: Widget, plural: widgets}
	  scope: Namespaced
	  versions:
	    - name: v1
	      served: true
	      storage: true
	      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
END
kubectl wait --for=condition=Established crd/widgets.example.com
until kubectl get widgets >/dev/null; do sleep 1; done

configure "identity: {}"
put identity
configure "$(key aesgcm 1)"
put aesgcm
configure "$(key aesgcm with:colon)"
put colon
configure "$(key aescbc 2026-11-21)"
put aescbc
configure "$(key secretbox box.1)"
put secretbox
configure "kms: {apiVersion: v2, name: vault, endpoint: 'unix://$dir/v2.sock'}"
put kmsv2
take

# KMS v1 has been behind a feature gate since 1.29: the same kube-apiserver again, with the gate.
pid=$(jq -r '.apiservers[0].pid' "$dir/bare.json")
mapfile -d '' -t command <"/proc/$pid/cmdline"
"$cluster" bare kill-apiserver 1 --dir "$dir"
cat >"$config" <<-END
	apiVersion: apiserver.config.k8s.io/v1
	kind: EncryptionConfiguration
	resources:
	  - resources: [secrets, widgets.example.com]
	    providers:
	      - kms: {apiVersion: v1, name: oldvault, endpoint: 'unix://$dir/v1.sock'}
	      - identity: {}
END
"${command[@]}" --feature-gates=KMSv1=true >"$dir/kmsv1.log" 2>&1 &
started+=($!)
until kubectl get --raw /readyz >/dev/null 2>&1; do sleep 1; done
until kubectl get widgets >/dev/null; do sleep 1; done
put kmsv1
take
