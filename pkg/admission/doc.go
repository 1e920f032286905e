// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package admission tells in which namespaces an admission webhook stands between a no-op update of an object and
// etcd. A webhook sees a no-op as any other update, before kube-apiserver finds that nothing has changed
// (k8s.io/apiserver@v0.37.2 pkg/registry/generic/registry/store.go, Store.Update), so it may deny it.
//
// Which webhooks an UPDATE of a resource is sent to follows from these rules (k8s.io/apiserver@v0.37.2
// pkg/admission/plugin/webhook/predicates/rules/rules.go and generic/webhook.go, ShouldCallHook):
//
//  1. One rule of the webhook must have the operation UPDATE or "*", and a scope that is that of the resource or "*".
//  2. Its groups and versions must name those of the request, or hold "*".
//  3. Its resources must hold the resource or "*". What stands behind a slash is compared with the subresource, which
//     an update of the object does not have: "secrets/status" does not count. "secrets/*" and "*/*" do, since "*"
//     is equal to every subresource and to none.
//  4. With the matchPolicy Equivalent, the default, a rule may name any version that the resource is served in, and
//     another group that serves the same objects. Since Kubernetes 1.22 only the events of the core group and of
//     events.k8s.io are the same (k8s.io/kubernetes@v1.37.1 pkg/kubeapiserver/default_storage_factory_builder.go).
//     Which versions are served is not asked: every version counts.
//  5. The resources of admissionregistration.k8s.io are sent to no webhook, so that a webhook can't protect itself.
//  6. A webhook's namespaceSelector is compared with the labels of the object's namespace. It says nothing of objects
//     without a namespace (predicates/namespace/matcher.go).
//
// An objectSelector and matchConditions may keep an object from a webhook besides; they are not evaluated. So there
// may be a namespace too many in the answer, which costs one object tried early, but none too few.
//
// What is not seen: admission policies (CEL), and webhooks in files of a kube-apiserver (the alpha feature
// ManifestBasedAdmissionControlConfig), which no API shows.
package admission
