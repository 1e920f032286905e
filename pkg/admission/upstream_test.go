// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	upstream "k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
	"pgregory.net/rapid"
)

func some[T any](values ...T) *rapid.Generator[[]T] {
	return rapid.SliceOfN(rapid.SampledFrom(values), 0, 3)
}

func anyRule() *rapid.Generator[admissionv1.RuleWithOperations] {
	return rapid.Custom(func(t *rapid.T) admissionv1.RuleWithOperations {
		return admissionv1.RuleWithOperations{
			Operations: some(admissionv1.OperationAll, admissionv1.Update, admissionv1.Create, admissionv1.Delete).Draw(t, "operations"),
			Rule: admissionv1.Rule{
				APIGroups:   some("*", "", "apps", "events.k8s.io").Draw(t, "groups"),
				APIVersions: some("*", "v1", "v1beta1").Draw(t, "versions"),
				Resources: some("*", "*/*", "*/status", "secrets", "secrets/*", "secrets/status", "events", "namespaces",
					"namespaces/*", "deployments").Draw(t, "resources"),
				Scope: rapid.SampledFrom([]*admissionv1.ScopeType{
					nil, new(admissionv1.AllScopes), new(admissionv1.NamespacedScope), new(admissionv1.ClusterScope),
				}).Draw(t, "scope"),
			},
		}
	})
}

// Kubernetes' own matcher is asked about the same update: of exact webhooks none may be missing and none too many, of
// equivalent ones none missing that an exact one would have found.
func TestMatchingAgreesWithKubernetes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := anyRule().Draw(t, "rule")
		resource := schema.GroupVersionResource{
			Group:    rapid.SampledFrom([]string{"", "apps", "events.k8s.io"}).Draw(t, "group"),
			Version:  rapid.SampledFrom([]string{"v1", "v1beta1"}).Draw(t, "version"),
			Resource: rapid.SampledFrom([]string{"secrets", "events", "deployments"}).Draw(t, "resource"),
		}
		namespaced := rapid.Bool().Draw(t, "namespaced")
		in := ""
		if namespaced {
			in = metav1.NamespaceDefault
		}
		if !namespaced && rapid.Bool().Draw(t, "namespace itself") {
			resource = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
			in = "x" // as kube-apiserver has it for a request about a namespace
		}
		attributes := upstream.NewAttributesRecord(nil, nil, schema.GroupVersionKind{}, in, "x", resource, "",
			upstream.Update, &metav1.UpdateOptions{}, false, nil)
		matcher := rules.Matcher{Rule: r, Attr: attributes}
		want := matcher.Matches()

		exact := load(t, validating("guard", admissionv1.Exact, nil, r)).Matching(resource, namespaced)
		assert.Equal(t, want, len(exact) == 1)
		if want {
			assert.Len(t, load(t, validating("guard", admissionv1.Equivalent, nil, r)).Matching(resource, namespaced), 1)
		}
	})
}
