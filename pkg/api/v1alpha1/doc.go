// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the types that -o json and -o yaml print. They are versioned: within v1alpha1 fields are
// added, not renamed and not taken away.
//
// The types say what was proven. A pointer that is nil, or the word "Unknown", stands for what was not.
// No field carries key material: keys appear by name and fingerprint.
package v1alpha1
