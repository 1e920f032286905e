// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
)

func TestANodeThatEnableWentOnWithoutNeedsItsFlagsToo(t *testing.T) {
	t.Parallel()
	r := without(Enable, config(key("1")), controlplane.LeftOut{Node: "n3"})
	said := r.warnOfLeftOut()[0]
	assert.Contains(t, said, "kubectl encryption join --name n3 --recipient KEY")
	assert.Contains(t, said, "kubeadm init phase control-plane apiserver")
	assert.NotContains(t, said, "repair", "no agent can be started there")
	assert.NotContains(t, controlplane.ReturnOf("n3", false), "kubeadm")
}
