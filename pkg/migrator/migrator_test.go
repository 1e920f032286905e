// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrator

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	svmv1 "k8s.io/api/storagemigration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	kubetesting "k8s.io/client-go/testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

func namespace(name string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}},
	}
}

// told is a migrator on a fake cluster, and the events that it emits.
func told(objects ...runtime.Object) (*Migrator, *fake.Clientset, *[]event.Event) {
	client := fake.NewClientset(objects...)
	var events []event.Event
	scheme := metadatafake.NewTestScheme()
	_ = metav1.AddMetaToScheme(scheme)
	metadata := metadatafake.NewSimpleMetadataClient(scheme, namespace("a"), namespace("b"), namespace("c"))
	m := New(&kube.Cluster{Typed: client, Metadata: metadata}, nil, Settings{Engine: Native}, "run", func(e event.Event) { events = append(events, e) })
	return m, client, &events
}

func served(group, name string, namespaced bool) kube.Resource {
	return kube.Resource{GVR: schema.GroupVersionResource{Group: group, Version: "v1", Resource: name}, Namespaced: namespaced}
}

// gatekeeper is a webhook on Secrets in namespace b.
func gatekeeper() *admissionv1.ValidatingWebhookConfiguration {
	rule := admissionv1.RuleWithOperations{Operations: []admissionv1.OperationType{admissionv1.Update}}
	rule.APIGroups, rule.APIVersions, rule.Resources = []string{""}, []string{"v1"}, []string{"secrets"}
	return &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "gatekeeper"}, Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "gate.example.com", Rules: []admissionv1.RuleWithOperations{rule},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"name": "b"}},
		}},
	}
}

func TestCanariesAreTheNamespacesThatAWebhookSelects(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		resource kube.Resource
		want     []string
	}{
		"a resource that the webhook is asked about": {served("", "secrets", true), []string{"b"}},
		"another resource":                           {served("", "configmaps", true), nil},
		"a resource without namespaces":              {served("", "nodes", false), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _, events := told(gatekeeper())
			assert.Equal(t, tt.want, m.canaries(t.Context(), tt.resource))
			assert.Empty(t, *events)
		})
	}
}

func deny(client *fake.Clientset, resource string) {
	client.PrependReactor("list", resource, func(kubetesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no"))
	})
}

func TestWhoMayNotLookAtWebhooksGoesWithoutCanariesAndIsTold(t *testing.T) {
	t.Parallel()
	m, client, events := told(gatekeeper())
	deny(client, "validatingwebhookconfigurations")
	assert.Empty(t, m.canaries(t.Context(), served("", "secrets", true)))
	require.Len(t, *events, 1)
	assert.Contains(t, (*events)[0].(event.Notice).Text, "can't be tried before")
}

func TestSomebodyElsesMigrationIsMentioned(t *testing.T) {
	t.Parallel()
	theirs := &svmv1.StorageVersionMigration{
		ObjectMeta: metav1.ObjectMeta{Name: "theirs", CreationTimestamp: metav1.NewTime(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))},
		Spec:       svmv1.StorageVersionMigrationSpec{Resource: metav1.GroupResource{Resource: "secrets"}},
	}
	m, client, events := told(theirs)
	client.Resources = []*metav1.APIResourceList{{
		GroupVersion: svmv1.SchemeGroupVersion.String(), APIResources: []metav1.APIResource{{Name: svmResource}},
	}}
	m.mentionOthers(t.Context(), served("", "configmaps", true))
	assert.Empty(t, *events)
	m.mentionOthers(t.Context(), served("", "secrets", true))
	require.Len(t, *events, 1)
	assert.Equal(t, "StorageVersionMigration theirs, which is not of this program, migrates secrets as well, since 2026-03-04 05:06:07 UTC: "+
		"that is no harm, and twice the work", (*events)[0].(event.Notice).Text)
	deny(client, svmResource)
	m.mentionOthers(t.Context(), served("", "secrets", true))
	assert.Len(t, *events, 1, "it is a courtesy")
}

func TestACauseIsToldOfOnce(t *testing.T) {
	t.Parallel()
	m, _, events := told()
	for _, namespace := range []string{"a", "b", "c"} {
		m.warnOfCanary(migrate.Canary{Resource: Resource(served("", "secrets", true)), Failure: migrate.Failure{
			Namespace: namespace, Name: "s", Reason: migrate.ReasonDenied, Webhook: "gate.example.com",
		}})
	}
	assert.Len(t, *events, 1)
}

func TestWhatTheControllerIsAskedForNeedsItsOwnPermissions(t *testing.T) {
	t.Parallel()
	assert.Empty(t, Settings{Engine: Native}.Permissions())
	var list []string
	for _, p := range (Settings{Engine: SVM}).Permissions() {
		list = append(list, p.String())
	}
	assert.Equal(t, []string{
		"create storageversionmigrations.storagemigration.k8s.io", "get storageversionmigrations.storagemigration.k8s.io",
		"list storageversionmigrations.storagemigration.k8s.io", "delete storageversionmigrations.storagemigration.k8s.io",
	}, list)
}

func TestACanaryIsToldOfOnOneLine(t *testing.T) {
	t.Parallel()
	of := func(f migrate.Failure) migrate.Canary {
		return migrate.Canary{Resource: Resource(served("", "secrets", true)), Failure: f}
	}
	assert.Equal(t, "tried first, secrets b/s can't be migrated: Denied by webhook gate.example.com: not on my watch; the others are tried all the same",
		canaryText(of(migrate.Failure{Namespace: "b", Name: "s", Reason: migrate.ReasonDenied, Webhook: "gate.example.com", Message: "not on\nmy watch."})))
	assert.Equal(t, "tried first, secrets s can't be migrated: Denied by policy p: no; the others are tried all the same",
		canaryText(of(migrate.Failure{Name: "s", Reason: migrate.ReasonDenied, Policy: "p", Message: "no"})))
}

func TestTheWindowIsTwoIntervalsOfTheSlowestCompaction(t *testing.T) {
	t.Parallel()
	at := func(intervals ...time.Duration) *controlplane.ControlPlane {
		cp := &controlplane.ControlPlane{}
		for _, d := range intervals {
			cp.Instances = append(cp.Instances, controlplane.Instance{Manifest: controlplane.Manifest{CompactionInterval: d}})
		}
		return cp
	}
	assert.Equal(t, 20*time.Minute, window(at(5*time.Minute, 10*time.Minute)))
	assert.Zero(t, window(at(5*time.Minute, 0)), "one that does not compact: nothing tells")
}

func TestWhatWasSaidOnceIsNotSaidAgain(t *testing.T) {
	t.Parallel()
	m, _, events := told()
	m.once("etcd's room is not known")
	m.once("etcd's room is not known")
	m.once("something else")
	assert.Len(t, *events, 2)
}
