// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// auditEvent is what the tests read of an audit log's line.
type auditEvent struct {
	Verb             string `json:"verb"`
	ImpersonatedUser struct {
		Username string `json:"username"`
	} `json:"impersonatedUser"`
	ObjectRef struct {
		Resource  string `json:"resource"`
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// audited are all requests of a user, as the audit logs of all kube-apiservers have them. A kube-apiserver writes an
// event before its answer goes out, so that what was acknowledged is there.
func (cp *controlPlane) audited(t *testing.T, u user) []auditEvent {
	t.Helper()
	var events []auditEvent
	for _, in := range cp.APIServers {
		file, err := os.Open(in.AuditLog)
		require.NoError(t, err)
		defer func() { _ = file.Close() }()
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if !strings.Contains(lines.Text(), string(u)) {
				continue
			}
			var event auditEvent
			if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
				continue // the line that a killed kube-apiserver did not end
			}
			if event.ImpersonatedUser.Username == string(u) {
				events = append(events, event)
			}
		}
		require.NoError(t, lines.Err())
	}
	return events
}

// created are the events that made an object, whatever the verb: an apply that makes one is a patch answered by 201.
func created(events []auditEvent) []auditEvent {
	var made []auditEvent
	for _, event := range events {
		if event.ResponseStatus.Code == http.StatusCreated {
			made = append(made, event)
		}
	}
	return made
}

// requireNothingCreated holds the audit logs against a user who was to migrate and nothing else.
func requireNothingCreated(t *testing.T, u user) {
	t.Helper()
	events := bare.audited(t, u)
	verbs := map[string]int{}
	for _, event := range events {
		verbs[event.Verb]++
	}
	t.Logf("%s: %v", u, verbs)
	require.Positive(t, verbs["patch"], "the audit logs know %s", u)
	assert.Len(t, verbs, 2, "other verbs than list and patch")
	assert.Positive(t, verbs["list"])
	assert.Empty(t, created(events), "made by %s", u)
}

// What the tests look for in the audit logs can be found there: an apply that lacks the uid brings back what was deleted,
// with the name and nothing else. With the uid it is refused.
func TestAnApplyWithoutUIDResurrectsAndTheAuditLogTells(t *testing.T) {
	ns := namespace(t, "resurrection")
	const who user = "integration:careless"
	client := who.migrator(t, bare.Kubeconfig)
	gone := create(t, secrets, newObject(secrets, ns, "gone", "as it was"))
	require.NoError(t, bare.of(secrets, ns).Delete(t.Context(), "gone", metav1.DeleteOptions{}))
	apply := func(uid types.UID) error {
		o := newObject(secrets, ns, "gone", "")
		o.SetUID(uid)
		o.SetResourceVersion(gone.GetResourceVersion())
		delete(o.Object, "data")
		body, err := o.MarshalJSON()
		require.NoError(t, err)
		_, err = client.Patch(t.Context(), secrets, ns, "gone", types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: "careless"})
		return err
	}

	require.ErrorContains(t, apply(gone.GetUID()), "uid mismatch")
	require.Empty(t, created(bare.audited(t, who)))

	require.NoError(t, apply(""))
	made := created(bare.audited(t, who))
	require.Len(t, made, 1)
	assert.Equal(t, "patch", made[0].Verb)
	assert.Equal(t, ns+"/gone", made[0].ObjectRef.Namespace+"/"+made[0].ObjectRef.Name)
	assert.Empty(t, textOf(get(t, secrets, ns, "gone")), "of the object nothing is back but its name")
}
