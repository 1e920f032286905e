// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/pager"
)

// Webhooks is what of a cluster's admission webhooks can meet an update.
type Webhooks struct {
	list []Webhook
}

// Load lists the cluster's webhooks, the mutating ones first, as kube-apiserver calls them. It needs the verb list on
// mutatingwebhookconfigurations and validatingwebhookconfigurations of admissionregistration.k8s.io; where that is
// missing, apierrors.IsForbidden is true of the error.
func Load(ctx context.Context, client kubernetes.Interface) (*Webhooks, error) {
	w := &Webhooks{}
	api := client.AdmissionregistrationV1()
	err := each(ctx, func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return api.MutatingWebhookConfigurations().List(ctx, opts)
	}, func(c *admissionv1.MutatingWebhookConfiguration) { w.addMutating(c) })
	if err != nil {
		return nil, fmt.Errorf("list mutating webhooks: %w", err)
	}
	err = each(ctx, func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return api.ValidatingWebhookConfigurations().List(ctx, opts)
	}, func(c *admissionv1.ValidatingWebhookConfiguration) { w.addValidating(c) })
	if err != nil {
		return nil, fmt.Errorf("list validating webhooks: %w", err)
	}
	return w, nil
}

// ListNamespaces fetches the names and labels of all namespaces; everything else is left out, so that memory grows with their
// number alone. It needs the verb list on namespaces; where that is missing, apierrors.IsForbidden is true of the error.
func ListNamespaces(ctx context.Context, client metadata.Interface) ([]metav1.PartialObjectMetadata, error) {
	var list []metav1.PartialObjectMetadata
	api := client.Resource(corev1.SchemeGroupVersion.WithResource("namespaces"))
	err := each(ctx, func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return api.List(ctx, opts)
	}, func(n *metav1.PartialObjectMetadata) {
		list = append(list, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: n.Labels}})
	})
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	return list, nil
}

// each calls do with every object of a list that is fetched in pages.
func each[T runtime.Object](ctx context.Context, page pager.ListPageFunc, do func(T)) error {
	return pager.New(page).EachListItem(ctx, metav1.ListOptions{}, func(o runtime.Object) error {
		object, ok := o.(T)
		if !ok {
			return fmt.Errorf("a %T stands in the list", o)
		}
		do(object)
		return nil
	})
}

func (w *Webhooks) addMutating(c *admissionv1.MutatingWebhookConfiguration) {
	for i := range c.Webhooks {
		h := newWebhook(c.Webhooks[i].Name, c.Webhooks[i].Rules, c.Webhooks[i].MatchPolicy, c.Webhooks[i].NamespaceSelector)
		h.Configuration, h.Mutating = c.Name, true
		w.list = append(w.list, h)
	}
}

func (w *Webhooks) addValidating(c *admissionv1.ValidatingWebhookConfiguration) {
	for i := range c.Webhooks {
		h := newWebhook(c.Webhooks[i].Name, c.Webhooks[i].Rules, c.Webhooks[i].MatchPolicy, c.Webhooks[i].NamespaceSelector)
		h.Configuration = c.Name
		w.list = append(w.list, h)
	}
}
