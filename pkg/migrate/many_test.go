//go:build !race

// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

// manyObjects is how many objects the memory of a run is measured with.
const manyObjects = 100_000
