// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
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

func TestMetadataClient_oneRequest(t *testing.T) {
	t.Run("the server asks for a delay => the engine waits and sends, each time as Hold and MaxRate say", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(20)
			start := time.Now()
			sent := 0
			a.before = func(r fakeRequest) *fakeFault {
				if r.verb != "patch" {
					return nil
				}
				sent++
				if time.Since(start) < 30*time.Second {
					return &fakeFault{status: statusFor(429, metav1.StatusReasonTooManyRequests, "too many requests"), retryAfter: "1"}
				}
				return nil
			}
			admitted := 0
			hold := func(context.Context) error { admitted++; return nil }
			report, err := Run(t.Context(), a.client(t), secrets(), Options{Concurrency: 1, MaxRate: 0.5, Hold: hold})
			require.NoError(t, err)
			assert.Equal(t, int64(20), report.Migrated)
			assert.Equal(t, admitted, sent)
			assert.LessOrEqual(t, sent, 1+int(time.Since(start)/(2*time.Second)))
		})
	})
	t.Run("a delay in a header alone => is in the error", func(t *testing.T) {
		a := staleAPI(1)
		a.before = func(fakeRequest) *fakeFault {
			return &fakeFault{status: statusFor(503, metav1.StatusReasonServiceUnavailable, "shutting down"), retryAfter: "7"}
		}
		_, err := a.client(t).List(t.Context(), secrets(), "", metav1.ListOptions{})
		seconds, asked := apierrors.SuggestsClientDelay(err)
		assert.True(t, asked)
		assert.Equal(t, 7, seconds)
		assert.Len(t, a.requests, 1)
	})
	t.Run("a list breaks off => one request", func(t *testing.T) {
		a := staleAPI(1)
		a.before = func(fakeRequest) *fakeFault { return &fakeFault{lost: true} }
		_, err := a.client(t).List(t.Context(), secrets(), "", metav1.ListOptions{})
		require.ErrorContains(t, err, "connection reset by peer")
		assert.Len(t, a.requests, 1)
	})
}

func TestMetadataClient_answers(t *testing.T) {
	answer := func(t *testing.T, body string) *MetadataClient {
		t.Helper()
		transport := roundTrip(func(*http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.WriteString(body)
			return w.Result(), nil
		})
		client, err := newClientFor(&rest.Config{Host: "http://fake"}, &http.Client{Transport: transport})
		require.NoError(t, err)
		return client
	}
	t.Run("whole objects => their metadata", func(t *testing.T) {
		client := answer(t, `{"apiVersion":"x/v1","kind":"YList","metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"a"},"spec":{}}]}`)
		list, err := client.List(t.Context(), secrets(), "", metav1.ListOptions{})
		require.NoError(t, err)
		assert.Equal(t, "5", list.ResourceVersion)
		assert.Equal(t, "a", list.Items[0].Name)
	})
	t.Run("a whole object => its metadata", func(t *testing.T) {
		client := answer(t, `{"apiVersion":"x/v1","kind":"Y","metadata":{"name":"a","resourceVersion":"5"},"spec":{}}`)
		got, err := client.Patch(t.Context(), secrets(), "ns", "a", types.MergePatchType, nil, metav1.PatchOptions{})
		require.NoError(t, err)
		assert.Equal(t, "5", got.ResourceVersion)
	})
	for name, body := range map[string]string{
		"another kind": `{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadataList"}`,
		"no metadata":  `{"apiVersion":"x/v1","kind":"Y"}`,
		"no object":    `{"apiVersion":"x/v1","kind":"Y","metadata":"hunter2"}`,
		"nothing":      ``,
	} {
		t.Run(name+" => an error, not taken for an answer", func(t *testing.T) {
			_, err := answer(t, body).Patch(t.Context(), secrets(), "ns", "a", types.MergePatchType, nil, metav1.PatchOptions{})
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
	_, err := answer(t, "").Patch(t.Context(), secrets(), "ns", "", types.MergePatchType, nil, metav1.PatchOptions{})
	require.Error(t, err, "without a name it would be a patch of the collection")
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestResource_String(t *testing.T) {
	assert.Equal(t, "secrets", secrets().String())
	deployments := Resource{GVR: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}}
	assert.Equal(t, "deployments.apps", deployments.String())
}
