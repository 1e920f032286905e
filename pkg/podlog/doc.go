// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package podlog reads the logs that a kubelet keeps of a pod's containers, and takes out of them what may be a key.
//
// The kubelet keeps the log of the Nth start of a container in NAMESPACE_POD_UID/CONTAINER/N.log
// (k8s.io/kubernetes@v1.37.1 pkg/kubelet/kuberuntime/helpers.go), each line as "TIME STREAM TAG MESSAGE"
// (k8s.io/cri-client@v0.37.1 pkg/logs/logs.go). The UID of a static pod follows from what its manifest says, the node and
// the file's path (k8s.io/kubernetes@v1.37.1 pkg/kubelet/config/common.go): another manifest has another folder, and a
// manifest that is put back has its former one again.
//
// Whatever is in a log may be hostile or broken: reading is bounded, and what comes out of Scrubber.Line can be shown.
package podlog
