// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// guard is a webhook that is asked about every update of the objects of one resource in one namespace.
type guard struct {
	name   string
	server *httptest.Server
	// over is closed when the guard need not make anybody wait any more.
	over chan struct{}
	// close ends the server; remove takes the webhook away as well. Both may be called again.
	close, remove func()

	mu sync.Mutex
	// asked counts by name of the object. Dry runs do not count.
	asked map[string]int
}

// opinion is what a guard answers to a request, unless it has none: then it makes everybody wait.
type opinion func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse

// deny is to say no.
func deny(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: "not on my watch", Code: http.StatusConflict}}
}

// hang is to say nothing.
func hang(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse { return nil }

// post puts up a guard, who must be heard within a second, and returns when all kube-apiservers ask it.
func post(t *testing.T, name string, r migrate.Resource, namespace string, think opinion) *guard {
	t.Helper()
	g := &guard{name: name, over: make(chan struct{}), asked: map[string]int{}}
	g.server = httptest.NewTLSServer(g.answer(think))
	g.close = sync.OnceFunc(func() {
		close(g.over)
		g.server.Close()
	})
	webhooks := bare.typed.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	g.remove = sync.OnceFunc(func() {
		_ = webhooks.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{})
		g.close()
	})
	t.Cleanup(g.remove)
	_, err := webhooks.Create(t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: name, AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: only(namespace), TimeoutSeconds: new(int32(1)),
			SideEffects:   new(admissionregistrationv1.SideEffectClassNone),
			FailurePolicy: new(admissionregistrationv1.Fail),
			ClientConfig:  admissionregistrationv1.WebhookClientConfig{URL: &g.server.URL, CABundle: certificate(g.server)},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update}, Rule: updatesOf(r.GVR.Resource),
			}},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	awaitAnswer(t, r, namespace, name, true)
	return g
}

// dismiss takes the guard away, and returns when no kube-apiserver asks it any more.
func (g *guard) dismiss(t *testing.T, r migrate.Resource, namespace string) {
	t.Helper()
	g.remove()
	awaitAnswer(t, r, namespace, g.name, false)
}

func (g *guard) answer(think opinion) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		g.count(review.Request)
		if review.Response = think(review.Request); review.Response == nil {
			select {
			case <-g.over:
			case <-r.Context().Done():
			}
			return
		}
		review.Response.UID = review.Request.UID
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review) // who asks finds out
	}
}

func (g *guard) count(request *admissionv1.AdmissionRequest) {
	if request.DryRun != nil && *request.DryRun {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked[request.Name]++
}

// seen are the objects that the guard was asked about since the last call of times.
func (g *guard) seen() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.asked)
}

// times is how often the guard was asked about each object since the last time.
func (g *guard) times() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := g.asked
	g.asked = map[string]int{}
	return asked
}

func certificate(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}
