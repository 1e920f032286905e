// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

func TestARefusalInTheMiddleDoesNotSayThatNothingWasChanged(t *testing.T) {
	t.Parallel()
	refusal := &hint.Error{Err: errors.New("the kube-apiserver on node n2 is not ready"), Safe: "nothing was changed", Hints: []string{"wait"}}
	r := at(Begin, map[string]*encconfig.Description{"n1": config(key("1"), key("2")), "n2": config(key("1"), key("2"))})
	r.record.ID = "one"
	said := hint.Render(r.explain(t.Context(), "promote", hint.Midway(refusal)))
	assert.Contains(t, said, "n2 is not ready")
	assert.Contains(t, said, "stage: promote (safe to stop here: nothing is written with the new key yet)")
	assert.Contains(t, said, "hint:  wait")
	assert.Equal(t, "nothing was changed", refusal.Safe, "what others hold is left as it is")
}
