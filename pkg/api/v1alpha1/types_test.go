// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
)

func TestObjectsTellTheirKindAndVersion(t *testing.T) {
	t.Parallel()
	for kind, object := range map[string]runtime.Object{
		"EncryptionStatus":   &v1alpha1.EncryptionStatus{TypeMeta: v1alpha1.New("EncryptionStatus")},
		"RotationPlan":       &v1alpha1.RotationPlan{TypeMeta: v1alpha1.New("RotationPlan")},
		"MigrationReport":    &v1alpha1.MigrationReport{TypeMeta: v1alpha1.New("MigrationReport")},
		"VersionInfo":        &v1alpha1.VersionInfo{TypeMeta: v1alpha1.New("VersionInfo")},
		"RevisionHistory":    &v1alpha1.RevisionHistory{TypeMeta: v1alpha1.New("RevisionHistory")},
		"RepairPlan":         &v1alpha1.RepairPlan{TypeMeta: v1alpha1.New("RepairPlan")},
		"VerificationReport": &v1alpha1.VerificationReport{TypeMeta: v1alpha1.New("VerificationReport")},
	} {
		assert.Equal(t, "kubectl-encryption.github.io/v1alpha1, Kind="+kind, object.GetObjectKind().GroupVersionKind().String())
	}
}

func TestACopySharesNothing(t *testing.T) {
	t.Parallel()
	one := &v1alpha1.EncryptionStatus{
		TypeMeta: v1alpha1.New("EncryptionStatus"), Problems: []string{"a"},
		Resources: []v1alpha1.ResourceStatus{{Name: "secrets", Objects: new(int64(7)), ReadKeys: new(1)}},
	}
	two, ok := one.DeepCopyObject().(*v1alpha1.EncryptionStatus)
	require.True(t, ok)
	assert.Equal(t, one, two)
	two.Problems[0], *two.Resources[0].Objects = "b", 8
	assert.Equal(t, "a", one.Problems[0])
	assert.Equal(t, int64(7), *one.Resources[0].Objects)
	plan := &v1alpha1.RotationPlan{Steps: []v1alpha1.PlanStep{{Stage: "await"}}}
	assert.Equal(t, plan, plan.DeepCopyObject())
	repair := &v1alpha1.RepairPlan{Silent: []v1alpha1.SilentNode{{Name: "n3"}}}
	assert.Equal(t, repair, repair.DeepCopyObject())
	report := &v1alpha1.MigrationReport{Complete: true}
	assert.Equal(t, report, report.DeepCopyObject())
	info := &v1alpha1.VersionInfo{Version: "v1"}
	assert.Equal(t, info, info.DeepCopyObject())
	verification := &v1alpha1.VerificationReport{Outcome: v1alpha1.Clean, Current: new(int64(7))}
	assert.Equal(t, verification, verification.DeepCopyObject())
	history := &v1alpha1.RevisionHistory{Complete: true, Nodes: []v1alpha1.NodeHistory{{Name: "n1"}}}
	assert.Equal(t, history, history.DeepCopyObject())
}

// What is not known is left out, and a zero that is known is not.
func TestUnknownIsNotZero(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(v1alpha1.ResourceStatus{Name: "secrets", Provider: v1alpha1.Unknown, Stale: new(int64(0))})
	require.NoError(t, err)
	assert.JSONEq(t, `{"name":"secrets","provider":"Unknown","stale":0}`, string(data))
	data, err = yaml.Marshal(v1alpha1.ResourceMigration{Name: "secrets"})
	require.NoError(t, err)
	assert.Contains(t, string(data), "failed: 0\n")
}
