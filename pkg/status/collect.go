// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status tells how it is with encryption at rest: what is proven, what is not, and what to do.
//
// Collect asks the cluster and needs no Job; Assess is pure and turns what was seen into the status. Of what it
// can't prove it says "unknown".
package status

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
)

// Seen is all that Assess looks at.
type Seen struct {
	View *observe.View
	// Config is what the ledger says of the configuration that is loaded now, nil if it knows another one or none:
	// then the configuration's content is not known.
	Config *encconfig.Description
	// Resources that are looked at, by name.
	Resources []string
	// Counts by resource.
	Counts map[string]Count
	// Kubeadm is what kubeadm keeps in the cluster.
	Kubeadm Kubeadm
}

// Count is what a metadata list told of one resource.
type Count struct {
	Objects int64
	// NotNewer is the number of objects that are not newer than the baseline; meaningless without a baseline.
	NotNewer int64
	Err      error
}

// Collector asks.
type Collector struct {
	Cluster  *kube.Cluster
	Observer *observe.Observer
}

// Collect asks for everything that Assess needs. Counting objects may fail for one resource without hiding the rest.
func (c Collector) Collect(ctx context.Context) (*Seen, error) {
	defer c.Observer.Reacher.Close()
	view, err := c.Observer.Look(ctx)
	if err != nil {
		return nil, err
	}
	if view.ControlPlane.Foreign.Name != "" {
		return &Seen{View: view}, nil
	}
	s := &Seen{View: view, Config: config(view), Counts: map[string]Count{}, Kubeadm: c.kubeadm(ctx)}
	served, err := c.Cluster.Resources(ctx)
	if err != nil {
		return nil, err
	}
	selected := c.selectResources(ctx, served, s)
	var mu sync.Mutex
	var g errgroup.Group
	const atATime = 4
	g.SetLimit(atATime)
	for _, res := range selected {
		s.Resources = append(s.Resources, res.Name())
		g.Go(func() error {
			m, _ := s.migration(res.Name())
			count := c.count(ctx, res, m.Baseline)
			mu.Lock()
			defer mu.Unlock()
			s.Counts[res.Name()] = count
			return nil
		})
	}
	return s, g.Wait()
}

// config is the ledger's word on the configuration that is loaded, if it has one.
func config(v *observe.View) *encconfig.Description {
	last := v.Ledger.Last()
	if last == nil || last.Config == nil {
		return nil
	}
	for _, in := range readers(v) {
		// Before 1.34 no kube-apiserver says what it has loaded; the record is then the best there is.
		if e, ok := v.Evidence[in.Node]; ok && e.TellsHash && e.Hash != last.Config.Digest {
			return nil
		}
	}
	return last.Config
}

// readers are the instances that read a configuration; all, if none of them does.
func readers(v *observe.View) []controlplane.Instance {
	all := v.ControlPlane.Instances
	some := slices.DeleteFunc(slices.Clone(all), func(in controlplane.Instance) bool {
		return in.Manifest.ConfigPath == "" && in.ManifestError == nil && in.Pod != ""
	})
	if len(some) == 0 {
		return all
	}
	return some
}

// selectResources are those of the configuration, as far as it is known; else those that a kube-apiserver has
// encrypted or decrypted since its start, and in any case Secrets and ConfigMaps.
func (c Collector) selectResources(ctx context.Context, served []kube.Resource, s *Seen) []kube.Resource {
	names := map[string]bool{"secrets": true, "configmaps": true}
	for _, e := range s.View.Evidence {
		for name := range e.Writes {
			names[name] = true
		}
		for name := range e.Reads {
			names[name] = true
		}
	}
	if s.Config != nil {
		for _, res := range migrator.Encrypted(served, keysFirst(*s.Config), c.aggregated(ctx, *s.Config)) {
			names[res.Name()] = true
		}
	}
	var selected []kube.Resource
	for _, res := range served {
		if res.Migratable && names[res.Name()] {
			selected = append(selected, res)
		}
	}
	return selected
}

// keysFirst makes rules of keys of those that write plaintext and have keys to read: what they are about is of
// interest as well.
func keysFirst(d encconfig.Description) encconfig.Description {
	d.Rules = slices.Clone(d.Rules)
	for i, r := range d.Rules {
		if named := slices.IndexFunc(r.Keys, func(k encconfig.Key) bool { return k.Name != "" }); named > 0 {
			d.Rules[i].Keys = r.Keys[named:]
		}
	}
	return d
}

func (c Collector) aggregated(ctx context.Context, d encconfig.Description) map[string]bool {
	if !migrator.UsesWildcard(d) {
		return nil
	}
	groups, err := c.Cluster.AggregatedGroups(ctx)
	if err != nil {
		return nil // status shows more than it must then, which hides nothing
	}
	return groups
}

func (c Collector) count(ctx context.Context, res kube.Resource, baseline string) Count {
	client := migrate.NewMetadataClient(c.Cluster.Metadata)
	r := migrator.Resource(res)
	if baseline == "" {
		objects, err := migrate.Count(ctx, client, r)
		return Count{Objects: objects, Err: err}
	}
	objects, notNewer, err := migrate.CountStale(ctx, client, r, baseline)
	return Count{Objects: objects, NotNewer: notNewer, Err: err}
}
