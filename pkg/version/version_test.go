// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package version_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/version"
)

// A build that nobody told its version has one all the same, and no digest of an image that it can't know.
func TestGetWithoutTheLinkersHelp(t *testing.T) {
	t.Parallel()
	info := version.Get()
	assert.NotEmpty(t, info.Version)
	assert.Equal(t, project.AgentImage, info.AgentImage)
}
