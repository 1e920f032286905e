// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// The namespaces of what can't be written, and of what can though it is being deleted.
const (
	frozenNamespace  = "e2e-faults-frozen"
	hungNamespace    = "e2e-faults-hung"
	invalidNamespace = "e2e-faults-invalid"
	endingNamespace  = "e2e-faults-ending"
	// denierName and silentName are those of the policy that denies, and of the webhook that does not answer.
	denierName = "frozen.faults.example.com"
	silentName = "hung.faults.example.com"
)

// unwritable rotates where some objects can't be written: a policy denies it, a webhook that must be asked does not answer, and what is
// stored does not pass today's validation. Each is named, everything else is migrated, and no key leaves, however few are to be kept,
// until what is in the way is gone. A namespace that is being deleted is not in the way.
func unwritable(t *testing.T, c trial) {
	c.row.Tried++
	way := c.rotationThatPrunes(t)
	before := c.nodes[0].keys(t)
	for _, namespace := range []string{frozenNamespace, hungNamespace, invalidNamespace, endingNamespace} {
		c.fill(t, namespace)
	}
	release := c.endNamespace(t)
	invalid := "/registry/secrets/" + invalidNamespace + "/invalid"
	c.etcdctl(t, "put", invalid, `{"apiVersion":"v1","kind":"Secret","type":"kubernetes.io/tls","metadata":{"name":"invalid",`+
		`"namespace":"`+invalidNamespace+`","uid":"aaaaaaaa-2222-3333-4444-555555555555","creationTimestamp":"2017-01-01T00:00:00Z"},"data":{}}`)
	t.Cleanup(func() { c.etcdctl(t, "del", invalid) })
	allow, answer := c.deny(t), c.hang(t)

	r := c.plugin(t, way.begin...)
	t.Log(r.failure())
	assert.Equal(t, 1, r.code)
	told(t, r.code, r.stderr)
	for _, says := range []string{
		"6 objects could not be migrated",
		"Denied, 3 object(s) (policy " + denierName + ")", "frozen until Monday",
		"WebhookFailed, 2 object(s) (webhook " + silentName + ")", hungNamespace + "/a",
		"Invalid, 1 object(s)", invalidNamespace + "/invalid", "rotate --resume",
	} {
		assert.Contains(t, r.stderr, says)
	}
	assert.Equal(t, map[string]int{frozenNamespace: 3, hungNamespace: 2, invalidNamespace: 1}, c.notStored(t, c.writeKey(t)))
	for _, n := range c.nodes {
		assert.Subset(t, n.keys(t), before, "no key leaves %s", n.name)
	}
	assert.False(t, c.status(t).Healthy)
	c.checkNothingLeft(t)

	allow()
	answer()
	release()
	require.NoError(t, c.client.CoreV1().Secrets(invalidNamespace).Delete(t.Context(), "invalid", metav1.DeleteOptions{}))
	c.succeed(t, way.again...)
	way.ended(t)
}

// notStored counts, by namespace, the Secrets and ConfigMaps that are stored otherwise than with a key.
func (c trial) notStored(t *testing.T, k key) map[string]int {
	t.Helper()
	left := map[string]int{}
	for _, resource := range []string{"secrets", "configmaps"} {
		for path, value := range c.stored(t, resource) {
			if !bytes.HasPrefix(value, []byte(k.prefix())) {
				namespace, _, _ := strings.Cut(strings.TrimPrefix(path, "/registry/"+resource+"/"), "/")
				left[namespace]++
			}
		}
	}
	return left
}

// fill makes a namespace with two Secrets and two ConfigMaps, and waits for the ConfigMap that every namespace is given.
func (c trial) fill(t *testing.T, namespace string) {
	t.Helper()
	c.createNamespace(t, namespace)
	t.Cleanup(func() {
		err := c.client.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), namespace, metav1.DeleteOptions{})
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) { // it is being deleted, or it was
			assert.NoError(t, err)
		}
	})
	for _, name := range []string{"a", "b"} {
		meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
		_, err := c.client.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: meta}, metav1.CreateOptions{})
		requireMade(t, err)
		_, err = c.client.CoreV1().ConfigMaps(namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: meta}, metav1.CreateOptions{})
		requireMade(t, err)
	}
	until(t, func() bool {
		_, err := c.client.CoreV1().ConfigMaps(namespace).Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
		return err == nil
	}, "namespace %s is furnished", namespace)
}

// endNamespace deletes a namespace whose end somebody holds up. The function that it returns lets it end.
func (c trial) endNamespace(t *testing.T) (release func()) {
	t.Helper()
	hold := func(finalizers string) {
		_, err := c.client.CoreV1().ConfigMaps(endingNamespace).Patch(t.Context(), "a", types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":`+finalizers+`}}`), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	hold(`["faults.example.com/hold"]`)
	require.NoError(t, c.client.CoreV1().Namespaces().Delete(t.Context(), endingNamespace, metav1.DeleteOptions{}))
	until(t, func() bool {
		left, err := c.client.CoreV1().ConfigMaps(endingNamespace).List(t.Context(), metav1.ListOptions{})
		return err == nil && len(left.Items) == 1 && left.Items[0].DeletionTimestamp != nil
	}, "what is held is what is left of the namespace")
	return func() { hold("null") }
}

// deny has a policy deny updates of ConfigMaps in a namespace, until the function that it returns is called.
func (c trial) deny(t *testing.T) (allow func()) {
	t.Helper()
	policies, bindings := c.client.AdmissionregistrationV1().ValidatingAdmissionPolicies(), c.client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	_, err := policies.Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: denierName},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: updatesOf("configmaps")}}},
			Validations:      []admissionv1.Validation{{Expression: "false", Message: "frozen until Monday"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = bindings.Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: denierName},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: denierName, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: only(frozenNamespace)},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	write := func(client kubernetes.Interface) error {
		_, err := client.CoreV1().ConfigMaps(frozenNamespace).Patch(t.Context(), "a", types.MergePatchType, []byte(`{}`), tryOut)
		return err
	}
	t.Cleanup(func() { _ = bindings.Delete(context.WithoutCancel(t.Context()), denierName, metav1.DeleteOptions{}) })
	c.awaitInTheWay(t, write, denierName, true)
	return func() {
		require.NoError(t, bindings.Delete(t.Context(), denierName, metav1.DeleteOptions{}))
		require.NoError(t, policies.Delete(t.Context(), denierName, metav1.DeleteOptions{}))
		c.awaitInTheWay(t, write, denierName, false)
	}
}

// hang has a webhook that must be asked about updates of Secrets in a namespace and does not answer, until the function that it
// returns is called.
func (c trial) hang(t *testing.T) (answer func()) {
	t.Helper()
	webhooks := c.client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := webhooks.Create(t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: silentName},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: silentName, ClientConfig: admissionv1.WebhookClientConfig{URL: new(c.silent(t))},
			Rules: []admissionv1.RuleWithOperations{updatesOf("secrets")}, NamespaceSelector: only(hungNamespace),
			FailurePolicy: new(admissionv1.Fail), TimeoutSeconds: new(int32(1)), SideEffects: new(admissionv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	write := func(client kubernetes.Interface) error {
		_, err := client.CoreV1().Secrets(hungNamespace).Patch(t.Context(), "a", types.MergePatchType, []byte(`{}`), tryOut)
		return err
	}
	t.Cleanup(func() { _ = webhooks.Delete(context.WithoutCancel(t.Context()), silentName, metav1.DeleteOptions{}) })
	c.awaitInTheWay(t, write, silentName, true)
	return func() {
		require.NoError(t, webhooks.Delete(t.Context(), silentName, metav1.DeleteOptions{}))
		c.awaitInTheWay(t, write, silentName, false)
	}
}

// silent is the URL of somebody whom the nodes reach, and who never says anything.
func (c trial) silent(t *testing.T) string {
	t.Helper()
	node, err := url.Parse(c.nodes[0].config.Host)
	require.NoError(t, err)
	way, err := (&net.Dialer{}).DialContext(t.Context(), "udp", node.Host) // which sends nothing, and tells our address there
	require.NoError(t, err)
	here, _, err := net.SplitHostPort(way.LocalAddr().String())
	require.NoError(t, err)
	require.NoError(t, way.Close())
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(here, "0"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, listener.Close()) })
	return "https://" + listener.Addr().String()
}

// tryOut has a write go through admission and no further.
var tryOut = metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}

// awaitInTheWay waits until every kube-apiserver answers a write by naming who is in the way, or until none does.
func (c trial) awaitInTheWay(t *testing.T, write func(kubernetes.Interface) error, who string, inTheWay bool) {
	t.Helper()
	until(t, func() bool {
		for _, n := range c.nodes {
			if err := write(n.client); (err != nil && strings.Contains(err.Error(), who)) != inTheWay {
				return false
			}
		}
		return true
	}, "%s is in the way: %t", who, inTheWay)
}

func updatesOf(resource string) admissionv1.RuleWithOperations {
	return admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Update},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource}},
	}
}

func only(namespace string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}
}
