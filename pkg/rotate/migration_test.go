// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
)

func resource(group, name string) migrate.Resource {
	return migrate.Resource{GVR: schema.GroupVersionResource{Group: group, Version: "v1", Resource: name}}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	r := &Run{}
	text, err := r.verdict()
	require.NoError(t, err)
	assert.Equal(t, ": 0 migrated, nothing is stale", text)

	r.reports = []migrate.Report{{Resource: resource("", "secrets"), Migrated: 3, Complete: true}, {Resource: resource("", "configmaps"), Migrated: 4, Complete: true}}
	text, err = r.verdict()
	require.NoError(t, err)
	assert.Equal(t, ": 7 migrated, nothing is stale", text)

	r.reports = append(r.reports, migrate.Report{Resource: resource("example.com", "widgets"), Note: "not served any more"})
	_, err = r.verdict()
	require.EqualError(t, err, "not every object is proven to be migrated: widgets.example.com: not served any more")

	r.reports[0].Failed, r.reports[0].Complete = 7, false
	r.reports[0].Causes = map[migrate.Cause]int64{{Reason: migrate.ReasonInvalid}: 7}
	for i := range 7 {
		r.reports[0].Failures = append(r.reports[0].Failures, migrate.Failure{
			Namespace: "ns", Name: fmt.Sprint(i), Reason: migrate.ReasonInvalid, Message: "m",
		})
	}
	_, err = r.verdict()
	require.ErrorIs(t, err, ErrFailedObjects)
	assert.EqualError(t, err, "7 objects could not be migrated: \n  Invalid, 7 object(s): m\n    secrets ns/0, ns/1, ns/2, ns/3, ns/4 and 2 more")
}

func TestSkippedNamesTheFirstTwenty(t *testing.T) {
	t.Parallel()
	var report migrate.Report
	for i := range 30 {
		report.Failures = append(report.Failures, migrate.Failure{Namespace: "ns", Name: fmt.Sprint(i), Reason: migrate.ReasonDenied})
	}
	list := skipped(report)
	assert.Len(t, list, 20)
	assert.Equal(t, "ns/0: Denied", list[0])
	assert.Empty(t, skipped(migrate.Report{}))
}

func TestPermissionsHoldAllThatReadingNeeds(t *testing.T) {
	t.Parallel()
	assert.Subset(t, operation.Permissions(), observe.Permissions())
	for _, p := range observe.Permissions() {
		assert.Contains(t, []string{"get", "list", "create"}, p.Verb)
		assert.True(t, p.Verb != "create" || p.Subresource == "portforward", p.String())
	}
	for _, p := range operation.Permissions() {
		assert.NotEqual(t, "*", p.Verb)
		assert.False(t, p.Resource == "secrets" && p.Verb != "list" && p.Verb != "patch", p.String())
	}
}
