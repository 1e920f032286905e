// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package readyz asks a kube-apiserver on the same machine, without credentials, whether it is ready.
//
// Nothing that the server says is trusted further than that: its certificate is not verified but told, so that a caller
// who saw it before can compare, and what it answers is cut to names of checks. It speaks HTTP/1.0, one request for
// each connection, since that keeps net/http, and with it a third of its size, out of the agent's binary.
package readyz
