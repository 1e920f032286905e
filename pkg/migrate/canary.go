// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Canary is an object that was asked about before the others, and failed. What is in its way, a webhook or policy say,
// is likely to be in the way of others.
type Canary struct {
	Resource Resource
	Failure
}

// canaryPages are the sizes of the pages in which a namespace is searched for an object that is not current. Most often
// its first object is one; in a namespace whose first 500 objects are current the migration is under way, and the
// canary has been.
func canaryPages() []int64 { return []int64{10, 490} }

// canaries asks about the first object that is not current, alone, and then about one of each canary namespace, as
// many at once as there are workers. Their answers are answers of the pass, which does not ask about them again. The
// first error ends the search in all namespaces.
func (p *pass) canaries(ctx, gentle context.Context, first *metav1.PartialObjectMetadata) error {
	var one sync.Mutex // Options.Canary and p.early are not for several at once.
	if err := p.canary(ctx, gentle, first, &one); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(p.opts.workers())
	search, end := context.WithCancel(gentle)
	defer end()
	defer context.AfterFunc(ctx, end)()
	for _, ns := range p.canaryNamespaces(first.Namespace) {
		if search.Err() != nil {
			break
		}
		g.Go(func() error { return p.canaryOf(ctx, search, ns, &one) })
	}
	return p.unlessStopped(gentle, g.Wait())
}

// canaryOf asks about one object of a namespace, if there is one to ask about. The lists and waits end with search.
func (p *pass) canaryOf(ctx, search context.Context, namespace string, one *sync.Mutex) error {
	o, err := p.firstStale(search, namespace)
	if o == nil || err != nil {
		return err
	}
	if err := p.canary(ctx, search, o, one); err != nil {
		return err
	}
	one.Lock()
	defer one.Unlock()
	p.early[o.UID] = true
	p.progress.listedEarly()
	return nil
}

// canaryNamespaces are the namespaces to look for canaries in, each once, without the one that had its canary.
func (p *pass) canaryNamespaces(had string) []string {
	if !p.resource.Namespaced {
		return nil
	}
	all := slices.Clone(p.opts.CanaryNamespaces)
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(ns string) bool { return ns == "" || ns == had })
}

// canary asks about one object and tells if it failed.
func (p *pass) canary(ctx, gentle context.Context, o *metav1.PartialObjectMetadata, one *sync.Mutex) error {
	out, err := p.ask(ctx, gentle, o)
	if err != nil || out.answer != answerFailed || p.opts.Canary == nil {
		return err
	}
	one.Lock()
	defer one.Unlock()
	p.opts.Canary(Canary{Resource: p.resource, Failure: out.failure})
	return nil
}

// firstStale is an object of a namespace that is not later than the baseline, nil if none was found. Its lists have
// their turn among the writes. A list that is refused or expires finds none, which is no error: a canary is no duty.
// That the server is gone or went back is one, as it will be for the pages to come.
func (p *pass) firstStale(ctx context.Context, namespace string) (*metav1.PartialObjectMetadata, error) {
	if err := p.pace.gate.enter(ctx); err != nil {
		return nil, err
	}
	defer p.pace.gate.leave()
	opts := metav1.ListOptions{}
	for _, opts.Limit = range canaryPages() {
		page, err := p.page(ctx, namespace, opts)
		switch {
		case ctx.Err() != nil || errors.Is(err, ErrUnavailable):
			return nil, err
		case err != nil:
			return nil, nil //nolint:nilnil // As said.
		}
		if err := p.begin(page); err != nil {
			return nil, err
		}
		for i := range page.Items {
			o := &page.Items[i]
			current, err := p.current(o)
			if err != nil {
				return nil, err
			}
			if !current && !deletedByAnyWrite(o) {
				return o, nil
			}
		}
		if opts.Continue = page.Continue; opts.Continue == "" {
			break
		}
	}
	return nil, nil //nolint:nilnil // As said.
}
