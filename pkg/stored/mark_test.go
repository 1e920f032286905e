// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package stored_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

func TestAMarkNamesTheKeyThatWouldReadTheValue(t *testing.T) {
	t.Parallel()
	gcm := stored.Mark{Form: stored.Encrypted, Provider: encconfig.AESGCM, Version: "v1", Key: "1"}
	kms := stored.Mark{Form: stored.Encrypted, Provider: encconfig.KMS, Version: "v2", Key: "1", KeyID: "k"}
	tests := map[string]struct {
		mark stored.Mark
		key  encconfig.Key
		want bool
	}{
		"a local key":                       {gcm, encconfig.Key{Provider: encconfig.AESGCM, Name: "1", Fingerprint: "f"}, true},
		"another name":                      {gcm, encconfig.Key{Provider: encconfig.AESGCM, Name: "2"}, false},
		"the same name of another provider": {gcm, encconfig.Key{Provider: encconfig.AESCBC, Name: "1"}, false},
		"a plugin of the same version":      {kms, encconfig.Key{Provider: encconfig.KMS, Name: "1", Version: "v2"}, true},
		"a plugin of another version":       {kms, encconfig.Key{Provider: encconfig.KMS, Name: "1", Version: "v1"}, false},
		"a plugin of no version":            {kms, encconfig.Key{Provider: encconfig.KMS, Name: "1"}, false},
		"plaintext":                         {stored.Mark{Form: stored.Plaintext, Provider: encconfig.Identity}, encconfig.Key{Provider: encconfig.Identity}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, tt.mark.Names(tt.key))
		})
	}
}
