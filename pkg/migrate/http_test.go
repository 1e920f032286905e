// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

func TestRun_overConnections(t *testing.T) {
	a := staleAPI(200)
	client := a.serve(t)
	a.before = func(r fakeRequest) *fakeFault {
		switch {
		case r.verb != "patch":
			return nil
		case r.number%50 == 0:
			return &fakeFault{lost: true}
		case r.number%70 == 0:
			return &fakeFault{status: statusFor(429, metav1.StatusReasonTooManyRequests, "slow down"), retryAfter: "1"}
		}
		return nil
	}
	report, err := Run(t.Context(), client, secrets(), Options{PageSize: 30})
	require.NoError(t, err)
	a.requireHarmless(t)
	assert.Empty(t, a.staleKeys())
	assert.True(t, report.Complete)
	assert.Equal(t, int64(200), report.Migrated+report.Conflicts)
	assert.Positive(t, report.Conflicts, "the connection broke after the write")
}

func TestNewClientForConfig(t *testing.T) {
	config := &rest.Config{Host: "http://127.0.0.1:1", QPS: 5, UserAgent: "caller"}
	client, err := NewClientForConfig(config)
	require.NoError(t, err)
	assert.NotNil(t, client)
	assert.InDelta(t, 5, config.QPS, 0, "the caller's config stays as it is")

	_, err = NewClientForConfig(&rest.Config{Host: "http://127.0.0.1:1", TLSClientConfig: rest.TLSClientConfig{CAFile: "/absent"}})
	require.ErrorContains(t, err, "make metadata client")
}

func TestResource_String(t *testing.T) {
	assert.Equal(t, "secrets", secrets().String())
	deployments := Resource{GVR: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}}
	assert.Equal(t, "deployments.apps", deployments.String())
}
