// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the tests that run the plugin, as a process, on real clusters of test/cluster.
//
//	go test -tags e2e -timeout 40m ./test/e2e
//
// needs root, a Linux machine that `cluster deps` has prepared, and what `make build` makes. What is asserted is read
// where it is: from the nodes' files, from etcd by etcdctl, from each kube-apiserver. None of the project's own code
// has a part in that.
//
// In the environment: E2E_DIR is the folder of the clusters (default _output/e2e), E2E_PLUGIN the program under test
// (default bin/kubectl-encryption), E2E_AGENT its agent (default bin/encryption-agent), E2E_AGENT_IMAGE the archive of
// the agent's image (default _output/encryption-agent.tar), and E2E_KEEP=1 leaves the clusters running, and takes them up again next time.
// E2E_DEPTH is how much is run, see depth: short, full (the default) or thorough.
//
// With the build tag faults as well there is TestFaults, the part of the fault suite (test/faults) that needs nodes: `make
// test-faults` runs it. FAULTS_FULL=1 asks for every case, on a cluster of one node and one of three; FAULTS_NODES has all cases tried on
// one of as many nodes as it says.
package e2e
