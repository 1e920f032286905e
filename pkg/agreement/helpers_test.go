// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agreement_test

import "github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"

func gcm(name string) encconfig.Key {
	return encconfig.Key{Provider: encconfig.AESGCM, Name: name, Fingerprint: "fp" + name}
}

func identity() encconfig.Key { return encconfig.Key{Provider: encconfig.Identity} }
