// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Webhook is one webhook of a configuration, as far as it decides what is sent there.
type Webhook struct {
	// Configuration is the name of the object that the webhook is part of, Name the webhook's own: the one that a
	// denial names.
	Configuration, Name string
	// Mutating is true for one of a MutatingWebhookConfiguration.
	Mutating bool

	rules      []admissionv1.RuleWithOperations
	equivalent bool
	namespaces labels.Selector
}

// newWebhook keeps what is needed of a webhook.
func newWebhook(name string, rules []admissionv1.RuleWithOperations, policy *admissionv1.MatchPolicyType, namespaces *metav1.LabelSelector) Webhook {
	return Webhook{
		Name: name, rules: rules,
		equivalent: policy == nil || *policy == admissionv1.Equivalent,
		namespaces: selector(namespaces),
	}
}

// selector takes an absent selector for one that selects everything: the API server sets that default. One that can't
// be read, which the API server accepts from nobody, is taken for the same.
func selector(s *metav1.LabelSelector) labels.Selector {
	if s == nil {
		return labels.Everything()
	}
	parsed, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Everything()
	}
	return parsed
}

// selfProtected is the group whose resources are sent to no webhook (rule 5). It holds nothing else: k8s.io/api@v0.37.2
// admissionregistration.
const selfProtected = admissionv1.GroupName

// Matching are the webhooks that an UPDATE of the resource is sent to, in some namespace or, of a resource that has
// none, at all. The version is the one that is asked for.
func (w *Webhooks) Matching(resource schema.GroupVersionResource, namespaced bool) []Webhook {
	if resource.Group == selfProtected {
		return nil
	}
	var matching []Webhook
	for _, webhook := range w.list {
		if slices.ContainsFunc(webhook.rules, func(r admissionv1.RuleWithOperations) bool {
			return webhook.matches(r, resource, namespaced)
		}) {
			matching = append(matching, webhook)
		}
	}
	return matching
}

func (h Webhook) matches(r admissionv1.RuleWithOperations, resource schema.GroupVersionResource, namespaced bool) bool {
	return names(r.Operations, admissionv1.Update) && inScope(r.Scope, namespaced) &&
		h.inGroup(r, resource) && h.inVersion(r, resource) && inResources(r.Resources, resource.Resource)
}

// names tells whether a list holds what is asked for, or "*".
func names[T ~string](list []T, wanted T) bool {
	return slices.Contains(list, "*") || slices.Contains(list, wanted)
}

func inScope(scope *admissionv1.ScopeType, namespaced bool) bool {
	if scope == nil || *scope == admissionv1.AllScopes {
		return true
	}
	return namespaced == (*scope == admissionv1.NamespacedScope)
}

func (h Webhook) inGroup(r admissionv1.RuleWithOperations, resource schema.GroupVersionResource) bool {
	if names(r.APIGroups, resource.Group) {
		return true
	}
	other, ok := twin(resource.GroupResource())
	return ok && h.equivalent && names(r.APIGroups, other)
}

// twin is the other group that serves the same objects (rule 4).
func twin(resource schema.GroupResource) (string, bool) {
	const core, events = "", "events.k8s.io"
	switch resource {
	case schema.GroupResource{Group: core, Resource: "events"}:
		return events, true
	case schema.GroupResource{Group: events, Resource: "events"}:
		return core, true
	}
	return "", false
}

func (h Webhook) inVersion(r admissionv1.RuleWithOperations, resource schema.GroupVersionResource) bool {
	return h.equivalent || names(r.APIVersions, resource.Version)
}

func inResources(list []string, wanted string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		resource, subresource, _ := strings.Cut(entry, "/")
		return (resource == "*" || resource == wanted) && (subresource == "" || subresource == "*")
	})
}

// Namespaces are the names of those namespaces whose objects one of the webhooks is sent, in the order given. It is
// of use for resources that have namespaces (rule 6).
func Namespaces(list []Webhook, namespaces []metav1.PartialObjectMetadata) []string {
	var selected []string
	for i := range namespaces {
		set := labels.Set(namespaces[i].Labels)
		if slices.ContainsFunc(list, func(h Webhook) bool { return h.namespaces.Matches(set) }) {
			selected = append(selected, namespaces[i].Name)
		}
	}
	return selected
}
