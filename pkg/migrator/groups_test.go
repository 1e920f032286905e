// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrator_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
)

func resource(group, name string) migrate.Resource {
	return migrate.Resource{GVR: schema.GroupVersionResource{Group: group, Version: "v1", Resource: name}}
}

func TestGroupsSortFailuresByResourceReasonAndWebhook(t *testing.T) {
	t.Parallel()
	reports := []migrate.Report{
		{
			Resource: resource("", "secrets"), Failed: 70_151, Causes: map[migrate.Cause]int64{
				{Reason: migrate.ReasonInvalid}: 150, {Reason: migrate.ReasonDenied, Webhook: "w1"}: 70_000, {Reason: migrate.ReasonDenied, Webhook: "w2"}: 1,
			},
			Failures: []migrate.Failure{
				{Namespace: "a", Name: "one", Reason: migrate.ReasonInvalid, Message: "first"},
				{Namespace: "a", Name: "two", Reason: migrate.ReasonDenied, Webhook: "w1", Message: "no"},
				{Namespace: "b", Name: "three", Reason: migrate.ReasonInvalid, Message: "second"},
				{Namespace: "b", Name: "four", Reason: migrate.ReasonDenied, Webhook: "w2", Message: "never"},
			},
		},
		{
			Resource: resource("example.com", "widgets"), Failed: 1, Causes: map[migrate.Cause]int64{{Reason: migrate.ReasonInvalid}: 1},
			Failures: []migrate.Failure{{Name: "cluster-wide", Reason: migrate.ReasonInvalid, Message: "third"}},
		},
	}
	assert.Equal(t, []migrator.Group{
		{Cause: migrate.Cause{Reason: migrate.ReasonInvalid}, Resource: "secrets", Message: "first", Count: 150, Objects: []string{"a/one", "b/three"}},
		{Cause: migrate.Cause{Reason: migrate.ReasonDenied, Webhook: "w1"}, Resource: "secrets", Message: "no", Count: 70_000, Objects: []string{"a/two"}},
		{Cause: migrate.Cause{Reason: migrate.ReasonDenied, Webhook: "w2"}, Resource: "secrets", Message: "never", Count: 1, Objects: []string{"b/four"}},
		{Cause: migrate.Cause{Reason: migrate.ReasonInvalid}, Resource: "widgets.example.com", Message: "third", Count: 1, Objects: []string{"cluster-wide"}},
	}, migrator.Groups(reports))
	assert.Empty(t, migrator.Groups(nil))
}

func TestProgressEventEstimatesTheTimeLeftOnlyWhereItCan(t *testing.T) {
	t.Parallel()
	assert.InDelta(t, 9.0, migrator.Progress("secrets", migrate.Progress{Done: 10, Total: 100, Rate: 10}).Left, 0.001)
	assert.InDelta(t, -1.0, migrator.Progress("secrets", migrate.Progress{Done: 10}).Left, 0.001)
	assert.InDelta(t, -1.0, migrator.Progress("secrets", migrate.Progress{Done: 10, Total: 5, Rate: 10}).Left, 0.001)
}
