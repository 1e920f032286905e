// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

func TestOnlyARollbackToAKeyThatIsGoneGoesOnWithoutACount(t *testing.T) {
	t.Parallel()
	unreadable := fmt.Errorf("count secrets: %w", &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonStoreReadError}})
	other := []plan.Node{{Name: "n1", Config: config(key("3"))}, {Name: "n2"}}
	for name, tt := range map[string]struct {
		mode  Mode
		nodes []plan.Node
		err   error
		want  bool
	}{
		"an object that can't be read, and a key that no configuration has": {Rollback, other, unreadable, true},
		"an older server's words for it": {
			Rollback, other, apierrors.NewInternalError(errors.New(`unable to transform key "/registry/secrets/a/b": no matching key`)), true,
		},
		"a key that one node reads already": {Rollback, append(other, plan.Node{Name: "n3", Config: config(key("3"), key("2"))}), unreadable, false},
		"a rotation":                        {Begin, other, unreadable, false},
		"another internal error":            {Rollback, other, apierrors.NewInternalError(errors.New("etcd is gone")), false},
		"no room":                           {Rollback, other, errors.New("etcd has no room"), false},
		"nothing":                           {Rollback, other, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, at(tt.mode, nil).cantCount(plan.Observed{Nodes: tt.nodes}, tt.err))
		})
	}
}
