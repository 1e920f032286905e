//go:build race

// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

// manyObjects is less under the race detector, which makes each request ten times as dear.
const manyObjects = 10_000
