// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/admission"
)

func secrets() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
}

func events(group string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: "v1", Resource: "events"}
}

// rule is one that every update of a Secret falls under; each test changes it a little.
func rule(change ...func(*admissionv1.RuleWithOperations)) admissionv1.RuleWithOperations {
	r := admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Update},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"}},
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func resources(list ...string) func(*admissionv1.RuleWithOperations) {
	return func(r *admissionv1.RuleWithOperations) { r.Resources = list }
}

func groups(list ...string) func(*admissionv1.RuleWithOperations) {
	return func(r *admissionv1.RuleWithOperations) { r.APIGroups = list }
}

func versions(list ...string) func(*admissionv1.RuleWithOperations) {
	return func(r *admissionv1.RuleWithOperations) { r.APIVersions = list }
}

func operations(list ...admissionv1.OperationType) func(*admissionv1.RuleWithOperations) {
	return func(r *admissionv1.RuleWithOperations) { r.Operations = list }
}

func scope(s admissionv1.ScopeType) func(*admissionv1.RuleWithOperations) {
	return func(r *admissionv1.RuleWithOperations) { r.Scope = &s }
}

func validating(name string, policy admissionv1.MatchPolicyType, selector *metav1.LabelSelector, rules ...admissionv1.RuleWithOperations) *admissionv1.ValidatingWebhookConfiguration {
	h := admissionv1.ValidatingWebhook{Name: name + ".example.com", Rules: rules, NamespaceSelector: selector}
	if policy != "" {
		h.MatchPolicy = &policy
	}
	return &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Webhooks: []admissionv1.ValidatingWebhook{h},
	}
}

// test is a test or one try of a property.
type test interface {
	require.TestingT
	Context() context.Context
}

func load(t test, objects ...runtime.Object) *admission.Webhooks {
	w, err := admission.Load(t.Context(), fake.NewClientset(objects...))
	require.NoError(t, err)
	return w
}

func TestMatchingFollowsTheRulesOfAWebhook(t *testing.T) {
	t.Parallel()
	everything := []func(*admissionv1.RuleWithOperations){groups("*"), versions("*"), resources("*"), operations(admissionv1.OperationAll)}
	crontabs := schema.GroupVersionResource{Group: "stable.example.com", Version: "v2", Resource: "crontabs"}
	namespaces := schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	policies := schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
	const exact = admissionv1.Exact
	tests := map[string]struct {
		policy   admissionv1.MatchPolicyType
		rules    []admissionv1.RuleWithOperations
		resource schema.GroupVersionResource
		cluster  bool
		want     bool
	}{
		"a rule that names the resource matches":              {"", []admissionv1.RuleWithOperations{rule()}, secrets(), false, true},
		"a rule of stars matches":                             {"", []admissionv1.RuleWithOperations{rule(everything...)}, secrets(), false, true},
		"a rule for another resource does not":                {"", []admissionv1.RuleWithOperations{rule(resources("configmaps"))}, secrets(), false, false},
		"a rule for another group does not":                   {"", []admissionv1.RuleWithOperations{rule(groups("apps"))}, secrets(), false, false},
		"the second of two rules counts as well":              {"", []admissionv1.RuleWithOperations{rule(resources("pods")), rule()}, secrets(), false, true},
		"parts of two rules do not add up":                    {"", []admissionv1.RuleWithOperations{rule(groups("apps")), rule(resources("pods"))}, secrets(), false, false},
		"a webhook without rules does not":                    {"", nil, secrets(), false, false},
		"a rule for other operations does not":                {"", []admissionv1.RuleWithOperations{rule(operations(admissionv1.Create, admissionv1.Delete, admissionv1.Connect))}, secrets(), false, false},
		"a rule for several operations with update matches":   {"", []admissionv1.RuleWithOperations{rule(operations(admissionv1.Create, admissionv1.Update))}, secrets(), false, true},
		"a rule for a subresource does not":                   {"", []admissionv1.RuleWithOperations{rule(resources("secrets/status"))}, secrets(), false, false},
		"a rule for one subresource of everything does not":   {"", []admissionv1.RuleWithOperations{rule(resources("*/status"))}, secrets(), false, false},
		"all subresources of a resource hold the resource":    {"", []admissionv1.RuleWithOperations{rule(resources("secrets/*"))}, secrets(), false, true},
		"all subresources of everything hold the resource":    {"", []admissionv1.RuleWithOperations{rule(resources("*/*"))}, secrets(), false, true},
		"the scope of a namespace holds what has one":         {"", []admissionv1.RuleWithOperations{rule(scope(admissionv1.NamespacedScope))}, secrets(), false, true},
		"the scope of the cluster does not":                   {"", []admissionv1.RuleWithOperations{rule(scope(admissionv1.ClusterScope))}, secrets(), false, false},
		"the scope of the cluster holds a namespace itself":   {"", []admissionv1.RuleWithOperations{rule(resources("namespaces"), scope(admissionv1.ClusterScope))}, namespaces, true, true},
		"the scope of a namespace does not":                   {"", []admissionv1.RuleWithOperations{rule(resources("namespaces"), scope(admissionv1.NamespacedScope))}, namespaces, true, false},
		"the scope of all holds both":                         {"", []admissionv1.RuleWithOperations{rule(scope(admissionv1.AllScopes))}, secrets(), false, true},
		"another version matches, since it is the default":    {"", []admissionv1.RuleWithOperations{rule(groups(crontabs.Group), versions("v1"), resources("crontabs"))}, crontabs, false, true},
		"another version matches if it is equivalent":         {admissionv1.Equivalent, []admissionv1.RuleWithOperations{rule(groups(crontabs.Group), versions("v1"), resources("crontabs"))}, crontabs, false, true},
		"another version does not if it must be exact":        {exact, []admissionv1.RuleWithOperations{rule(groups(crontabs.Group), versions("v1"), resources("crontabs"))}, crontabs, false, false},
		"the same version matches if it must be exact":        {exact, []admissionv1.RuleWithOperations{rule(groups(crontabs.Group), versions("v1", "v2"), resources("crontabs"))}, crontabs, false, true},
		"the events of the other group are equivalent":        {"", []admissionv1.RuleWithOperations{rule(groups("events.k8s.io"), resources("events"))}, events(""), false, true},
		"the events of the core group are equivalent":         {"", []admissionv1.RuleWithOperations{rule(resources("events"))}, events("events.k8s.io"), false, true},
		"the events of the other group are not exact":         {exact, []admissionv1.RuleWithOperations{rule(groups("events.k8s.io"), resources("events"))}, events(""), false, false},
		"admission's own resources are sent to no webhook":    {"", []admissionv1.RuleWithOperations{rule(everything...)}, policies, true, false},
		"the same name in another group is no equivalent":     {"", []admissionv1.RuleWithOperations{rule(groups("extensions"))}, secrets(), false, false},
		"a resource whose name only begins so does not count": {"", []admissionv1.RuleWithOperations{rule(resources("secretsx"))}, secrets(), false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := load(t, validating("guard", tt.policy, nil, tt.rules...))
			assert.Equal(t, tt.want, len(w.Matching(tt.resource, !tt.cluster)) == 1)
		})
	}
}

func TestNamespacesFollowsTheSelectors(t *testing.T) {
	t.Parallel()
	none := []metav1.PartialObjectMetadata{}
	namespaces := []metav1.PartialObjectMetadata{namespace("b", "team=red"), namespace("a", "team=blue"), namespace("plain", "")}
	labelled := func(value string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"team": value}}
	}
	absent := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: metav1.LabelSelectorOpDoesNotExist}}}
	unreadable := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Sometimes"}}}
	tests := map[string]struct {
		selectors  []*metav1.LabelSelector
		namespaces []metav1.PartialObjectMetadata
		want       []string
	}{
		"without a webhook there is none":                {nil, namespaces, nil},
		"without a selector all are selected":            {[]*metav1.LabelSelector{nil}, namespaces, []string{"b", "a", "plain"}},
		"an empty selector selects all":                  {[]*metav1.LabelSelector{{}}, namespaces, []string{"b", "a", "plain"}},
		"labels select":                                  {[]*metav1.LabelSelector{labelled("blue")}, namespaces, []string{"a"}},
		"the absence of a label selects":                 {[]*metav1.LabelSelector{absent}, namespaces, []string{"plain"}},
		"two webhooks select what either does, once":     {[]*metav1.LabelSelector{labelled("blue"), absent, labelled("blue")}, namespaces, []string{"a", "plain"}},
		"a selector that nothing fits selects none":      {[]*metav1.LabelSelector{labelled("green")}, namespaces, nil},
		"a selector that can't be read is taken for all": {[]*metav1.LabelSelector{unreadable}, namespaces, []string{"b", "a", "plain"}},
		"without namespaces there is none":               {[]*metav1.LabelSelector{nil}, none, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var objects []runtime.Object
			for i, s := range tt.selectors {
				objects = append(objects, validating(string(rune('a'+i)), "", s, rule()))
			}
			matching := load(t, objects...).Matching(secrets(), true)
			assert.Equal(t, tt.want, admission.Namespaces(matching, tt.namespaces))
		})
	}
}
