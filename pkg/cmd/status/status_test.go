// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/status"
)

// nothing is a cluster of which nothing could be seen.
func nothing(context.Context) (*status.Seen, error) {
	return &status.Seen{View: &observe.View{ControlPlane: &controlplane.ControlPlane{}, Ledger: &ledger.Ledger{}}}, nil
}

func TestRunPrintsFirstAndThenExitsWithTwo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	o := &Options{Collect: nothing, ExitCode: true, Print: table(false), Out: &out, Cluster: v1alpha1.Cluster{Server: "https://192.0.2.1"}}
	err := o.Run(t.Context())
	require.Error(t, err)
	assert.Equal(t, hint.ExitDrifted, hint.ExitCode(err))
	assert.Contains(t, out.String(), "https://192.0.2.1")
	o.ExitCode = false
	assert.NoError(t, o.Run(t.Context()), "without --exit-code a status is a status")
}

func TestRunTellsWhatWentWrong(t *testing.T) {
	t.Parallel()
	o := &Options{Collect: func(context.Context) (*status.Seen, error) { return nil, errors.New("no") }, Print: table(false), Out: io.Discard}
	require.EqualError(t, o.Run(t.Context()), "no")
	o.Collect, o.Print = nothing, func(runtime.Object, io.Writer) error { return io.ErrClosedPipe }
	assert.ErrorIs(t, o.Run(t.Context()), io.ErrClosedPipe)
}
