// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package etcdkey tells where kube-apiserver keeps a resource in etcd, and which object a key of etcd belongs to. It is
// pure: it reads flags and keys that it is given.
//
// The rules of a path, with their sources:
//
//  1. All of it is below --etcd-prefix, "/registry" by default, which is made a clean absolute path
//     (k8s.io/apiserver@v0.37.2 pkg/storage/etcd3/store.go, New). What is beside it, such as compact_rev_key, is no object.
//  2. A resource that is compiled into kube-apiserver is kept under its name without its group: "/registry/deployments/".
//     Five have other names: nodes (minions), services (services/specs), endpoints (services/endpoints),
//     replicationcontrollers (controllers) and ingresses (ingress) (k8s.io/kubernetes@v1.37.1
//     pkg/kubeapiserver/default_storage_factory_builder.go, SpecialDefaultResourcePrefixes).
//  3. Custom resources, and the two resources of the API servers that kube-apiserver has inside it, apiservices and
//     customresourcedefinitions, are kept under group and name: "/registry/stable.example.com/crontabs/"
//     (k8s.io/apiserver@v0.37.2 pkg/server/options/etcd.go, SimpleStorageFactory; used by k8s.io/kubernetes@v1.37.1
//     pkg/controlplane/apiserver/apiextensions.go and aggregator.go). A group of a custom resource has a dot in it and the
//     name of a built-in resource has none, so the two never meet. What is under the name of a group of rule 2 belongs to no
//     resource, unless the API server says so.
//  4. Below that stands namespace/name, or name alone for what has no namespace (k8s.io/apiserver@v0.37.2
//     pkg/registry/generic/registry/store.go, NamespaceKeyFunc and NoNamespaceKeyFunc).
//  5. Events are one resource in two groups, and kept, encrypted and overridden as that of the core group
//     (default_storage_factory_builder.go, AddCohabitatingResources; its store is made for the core group's).
//  6. --etcd-servers-overrides moves resources of rule 2 to other servers, one by one or a group at a time ("apps/*"), the
//     single one first; of two for the same resource the last one holds. It does not apply to rule 3: those storages do
//     not ask it (k8s.io/apiserver@v0.37.2 pkg/server/storage/storage_factory.go, NewConfig).
//  7. ranges, masterleases and peerserverleases are kube-apiserver's own bookkeeping, not resources. They are written past the
//     encryption, and stay in plaintext whatever the configuration says, also with "*.*" (k8s.io/kubernetes@v1.37.1
//     pkg/registry/core/rest/storage_core.go, pkg/controlplane/instance.go and apiserver/peer.go take their storage from the
//     factory that has no transformers).
//
// The keys of a real kube-apiserver 1.37.1 hold the rules 2 to 5 and 7 to that: testdata/keys.txt.
//
// Not stored in this etcd are the resources of other API servers (metrics.k8s.io) and what is only a question
// (tokenreviews): a path is told for them too, and nothing is there.
//
// Keys are bytes that anybody with access to etcd may have written. They are kept as they are; whoever prints them escapes
// them.
package etcdkey
