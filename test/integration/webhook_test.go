// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

func TestAWebhookThatDeniesAndThenIsGone(t *testing.T) {
	ns := namespace(t, "webhook")
	fill(t, secrets, ns, 10)
	webhook := post(t, "guard.integration.example.com", secrets, ns, deny)

	key := bare.rotate(t, "aesgcm")
	from, failure := requireFailed(t, secrets, key, ns, migrate.ReasonDenied, 10)
	assert.Equal(t, webhook.name, failure.Webhook)
	assert.Contains(t, failure.Message, "not on my watch")

	webhook.close()
	report := migrateAll(t, secrets, migrate.Options{Baseline: from})
	assert.Equal(t, map[migrate.Reason]int64{migrate.ReasonWebhookFailed: 10}, report.Reasons())
	require.NotEmpty(t, report.Failures)
	assert.Equal(t, webhook.name, report.Failures[0].Webhook)

	webhook.dismiss(t, secrets, ns)
	assert.True(t, migrateAll(t, secrets, migrate.Options{Baseline: from}).Complete)
	bare.requireAllStoredWith(t, key, secrets)
}

// A webhook that denies is known by the canary of its namespace, before anything else in that namespace is written. One
// that hangs is known by then as well, and makes nobody wait more than once for each further object.
func TestWebhooksThatCanariesFind(t *testing.T) {
	denied, hung := namespace(t, "canary-denied"), namespace(t, "canary-hung")
	fill(t, secrets, denied, 8)
	fill(t, secrets, hung, 5)
	denies := post(t, "denies.integration.example.com", secrets, denied, deny)
	hangs := post(t, "hangs.integration.example.com", secrets, hung, hang)

	key := bare.rotate(t, "aesgcm")
	from := baseline(t, secrets)
	denies.times()
	hangs.times()
	var first []migrate.Canary
	askedByThen := map[string]int{}
	report := migrateAll(t, secrets, migrate.Options{
		Baseline: from, CanaryNamespaces: []string{denied, hung},
		Canary: func(c migrate.Canary) {
			first = append(first, c)
			askedByThen[c.Namespace] = len(denies.seen()) // of the namespace that denies
		},
	})
	require.Len(t, first, 2)
	for _, c := range first {
		assert.Equal(t, secrets, c.Resource)
		assert.Contains(t, []string{denied, hung}, c.Namespace)
		want, by := migrate.ReasonDenied, denies.name
		if c.Namespace == hung {
			want, by = migrate.ReasonWebhookFailed, hangs.name
		}
		assert.Equal(t, want, c.Reason)
		assert.Equal(t, by, c.Webhook)
	}
	assert.Equal(t, 1, askedByThen[denied], "one object was asked about when it was known")

	assert.Equal(t, map[migrate.Reason]int64{migrate.ReasonDenied: 8, migrate.ReasonWebhookFailed: 5}, report.Reasons())
	assert.Len(t, report.Failures, 13, "no object is counted twice")
	requireNotStored(t, key, secrets, denied, hung)
	for name, times := range denies.times() {
		assert.Equal(t, 1, times, "a denied %s", name)
	}
	canary := ""
	for _, c := range first {
		if c.Namespace == hung {
			canary = c.Name
		}
	}
	for name, times := range hangs.times() {
		if name == canary {
			assert.Greater(t, times, 1, "the first is tried again: it might have passed")
			continue
		}
		assert.Equal(t, 1, times, "a hung %s", name)
	}

	hangs.dismiss(t, secrets, hung)
	denies.dismiss(t, secrets, denied)
	after := migrateAll(t, secrets, migrate.Options{Baseline: from, CanaryNamespaces: []string{denied, hung}})
	assert.True(t, after.Complete)
	assert.Equal(t, int64(13), after.Migrated, "canaries that are fine count once as well")
	bare.requireAllStoredWith(t, key, secrets)
}
