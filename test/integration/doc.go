// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration migrates objects on a real control plane without nodes: one etcd, three kube-apiservers behind
// a balancer. What is stored is read from etcd itself, by etcdctl, and not with the code that is tested. Who made what
// is read from the audit logs of the kube-apiservers, in which each migration that counts has a user of its own.
// What the plugin tells of a snapshot, and the agent of etcd, is held against etcdctl as well.
//
// The tests need the build tag integration, the test cluster of test/cluster, and what make build makes. They run one after
// the other, since each changes the key that all kube-apiservers write with.
//
// With the build tag faults as well there is TestFaults, the part of the fault suite (test/faults) that needs no node: `make
// test-faults` runs it, and FAULTS_FULL=1 asks for every case.
package integration
