// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

func secrets() Resource {
	gvr := schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	return Resource{GVR: gvr, Kind: "Secret", Namespaced: true}
}

// client returns a client that is connected without a network: it works in a synctest bubble.
func (a *fakeAPI) client(t *testing.T) *MetadataClient {
	t.Helper()
	client, err := newClientFor(&rest.Config{Host: "http://fake"}, &http.Client{Transport: a})
	require.NoError(t, err)
	return client
}

// RoundTrip implements http.RoundTripper by calling the handler.
func (a *fakeAPI) RoundTrip(r *http.Request) (res *http.Response, err error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	defer func() {
		if recovered := recover(); recovered != nil {
			res, err = nil, errors.New("connection reset by peer")
		}
	}()
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	res = w.Result()
	res.Request = r
	return res, nil
}

// serve returns the client of a real connection to the server.
func (a *fakeAPI) serve(t *testing.T) *MetadataClient {
	t.Helper()
	server := httptest.NewServer(a)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	client, err := newClientFor(&rest.Config{Host: server.URL}, &http.Client{Transport: transport})
	require.NoError(t, err)
	return client
}

// ServeHTTP implements http.Handler.
func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	req := a.note(r)
	var fault *fakeFault
	if a.before != nil {
		fault = a.before(req)
	}
	if fault != nil && !fault.lost {
		fault.respond(w)
		return
	}
	obj, status := a.handle(r, req)
	if fault != nil {
		panic(http.ErrAbortHandler)
	}
	respond(w, obj, status)
}

// respond answers with the fault. One with a delay is in plain text, as that of priority and fairness and that of a
// server that shuts down (apiserver@v0.37.2 pkg/server/filters/priority-and-fairness.go, with_retry_after.go).
func (f *fakeFault) respond(w http.ResponseWriter) {
	if f.retryAfter == "" {
		respond(w, nil, &f.status)
		return
	}
	w.Header().Set("Retry-After", f.retryAfter)
	http.Error(w, f.status.Message, int(f.status.Code))
}

func (a *fakeAPI) note(r *http.Request) fakeRequest {
	req := fakeRequest{
		number: len(a.requests) + 1, verb: strings.ToLower(r.Method),
		patchType: types.PatchType(r.Header.Get("Content-Type")), token: r.URL.Query().Get("continue"),
	}
	if parts := strings.Split(r.URL.Path, "/"); len(parts) == 7 { // /api/v1/namespaces/NS/secrets/NAME
		req.key = parts[4] + "/" + parts[6]
	} else if len(parts) == 6 { // /api/v1/namespaces/NS/secrets
		req.namespace = parts[4]
	}
	if !strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata") {
		a.violations = append(a.violations, "asked for objects with data: "+r.URL.String())
	}
	a.requests = append(a.requests, req)
	return req
}

func (a *fakeAPI) handle(r *http.Request, req fakeRequest) (any, *metav1.Status) {
	if a.absent {
		s := statusFor(http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
		s.Details = &metav1.StatusDetails{}
		return nil, &s
	}
	query := r.URL.Query()
	if r.Method == http.MethodGet {
		limit, _ := strconv.Atoi(query.Get("limit"))
		page, status := a.list(req.namespace, limit, req.token)
		if status != nil {
			return nil, status
		}
		page.TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}
		return page, nil
	}
	obj, status := a.patch(req.key, req.patchType, a.decode(r, req))
	if status != nil {
		return nil, status
	}
	obj.TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"}
	return obj, nil
}

// decode reads a patch that may say nothing but who the object is.
func (a *fakeAPI) decode(r *http.Request, req fakeRequest) noop {
	var body noop
	raw, _ := io.ReadAll(r.Body)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		a.violations = append(a.violations, "patch changes something: "+string(raw))
	}
	apply := req.patchType == types.ApplyPatchType
	if apply != (body.APIVersion == "v1" && body.Kind == "Secret" && body.Metadata.Name != "") {
		a.violations = append(a.violations, "patch does not fit its type: "+string(raw))
	}
	if r.URL.Query().Get("fieldManager") != project.FieldManager || r.URL.Query().Get("force") == "true" {
		a.violations = append(a.violations, "wrong options: "+r.URL.RawQuery)
	}
	return body
}

func respond(w http.ResponseWriter, obj any, status *metav1.Status) {
	w.Header().Set("Content-Type", "application/json")
	if status != nil {
		w.WriteHeader(int(status.Code))
		obj = status
	}
	_ = json.NewEncoder(w).Encode(obj)
}

// requireHarmless asserts that nothing was done that a migration must never do.
func (a *fakeAPI) requireHarmless(t assert.TestingT) {
	assert.Empty(t, a.violations)
	assert.Zero(t, a.created, "objects created")
	assert.Zero(t, a.dropped, "objects whose deletion was completed")
}
