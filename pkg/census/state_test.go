// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

func TestAPluginReadsValuesOfItsOwnVersionAlone(t *testing.T) {
	t.Parallel()
	e := expected{keys: []encconfig.Key{{Provider: encconfig.KMS, Name: "vault", Version: "v2"}, identity}}
	mark := stored.Mark{Form: stored.Encrypted, Provider: encconfig.KMS, Version: "v2", Key: "vault"}
	state, readable := e.judge(mark)
	assert.Equal(t, Current, state)
	assert.True(t, readable)
	mark.Version = "v1"
	state, readable = e.judge(mark)
	assert.Equal(t, Missing, state)
	assert.False(t, readable)
}
