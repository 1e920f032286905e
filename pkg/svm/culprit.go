// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

const (
	// searchTime is how long the object is looked for that the controller could not migrate.
	searchTime = time.Minute
	// searchObjectTime is how long one object is tried meanwhile.
	searchObjectTime = 10 * time.Second
)

// culprits are objects that the server refuses to store again, found by asking about the stale ones without storing
// any, until one is found or the time is up. First those are asked about that the message names: an answer of
// validation or authorization has the name, one of a webhook has not.
func (r *run) culprits(ctx context.Context, message string) []migrate.Failure {
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	named := quotedNames(message)
	var found []migrate.Failure
	if len(named) > 0 {
		found = r.rehearse(ctx, func(o *metav1.PartialObjectMetadata) bool { return named[o.Name] })
	}
	if len(found) == 0 {
		found = r.rehearse(ctx, func(*metav1.PartialObjectMetadata) bool { return true })
	}
	for _, f := range found {
		if strings.Contains(message, f.Message) {
			return []migrate.Failure{f} // the very answer that the controller got
		}
	}
	return found
}

// rehearse asks about some of the stale objects by dry run and returns the first failures.
func (r *run) rehearse(ctx context.Context, choose func(*metav1.PartialObjectMetadata) bool) []migrate.Failure {
	opts := r.opts.Migrate
	opts.Baseline, opts.ObjectTimeout, opts.MaxFailures = r.baseline, searchObjectTime, 1
	opts.PatchType = types.MergePatchType // the controller's
	opts.Progress, opts.Canary, opts.Hold = nil, nil, nil
	report, _ := migrate.Run(ctx, rehearsal{r.migrator, choose}, r.resource, opts) // what was found by then is what counts
	var found []migrate.Failure
	for _, f := range report.Failures {
		if !strings.Contains(f.Message, "does not support dry run") {
			found = append(found, f)
		}
	}
	return found
}

// rehearsal is a client that stores nothing and knows some of the objects.
type rehearsal struct {
	migrate.Client
	choose func(*metav1.PartialObjectMetadata) bool
}

// List implements migrate.Client. An object that any write would delete is left out: the controller does not mind it.
func (c rehearsal) List(
	ctx context.Context, r migrate.Resource, namespace string, opts metav1.ListOptions,
) (*metav1.PartialObjectMetadataList, error) {
	page, err := c.Client.List(ctx, r, namespace, opts)
	if err != nil {
		return nil, err
	}
	var chosen []metav1.PartialObjectMetadata
	for i := range page.Items {
		o := &page.Items[i]
		if c.choose(o) && (o.DeletionTimestamp == nil || len(o.Finalizers) > 0) {
			chosen = append(chosen, *o)
		}
	}
	page.Items = chosen
	return page, nil
}

// Patch implements migrate.Client. The answer carries the resourceVersion of the request: nothing was stored.
func (c rehearsal) Patch(
	ctx context.Context, r migrate.Resource, namespace, name string, pt types.PatchType, body []byte, opts metav1.PatchOptions,
) (*metav1.PartialObjectMetadata, error) {
	var sent metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &sent); err != nil {
		return nil, fmt.Errorf("read patch: %w", err)
	}
	opts.DryRun = []string{metav1.DryRunAll}
	got, err := c.Client.Patch(ctx, r, namespace, name, pt, body, opts)
	if err != nil {
		return nil, err
	}
	got.ResourceVersion = sent.ResourceVersion
	return got, nil
}

// blaming puts failures into a report that has none.
func blaming(report migrate.Report, failures []migrate.Failure) migrate.Report {
	for _, f := range failures {
		if report.Causes == nil {
			report.Causes = map[migrate.Cause]int64{}
		}
		report.Causes[f.Cause()]++
	}
	report.Failures, report.Failed = failures, int64(len(failures))
	return report
}

// describe is a failure in one line.
func describe(f migrate.Failure) string {
	return fmt.Sprintf("%s: %s: %s", f.Object(), f.Reason, f.Message)
}

var quoted = regexp.MustCompile(`"([^"]{1,253})"`)

// quotedNames are the words in quotation marks.
func quotedNames(message string) map[string]bool {
	names := map[string]bool{}
	for _, found := range quoted.FindAllStringSubmatch(message, -1) {
		names[found[1]] = true
	}
	return names
}
