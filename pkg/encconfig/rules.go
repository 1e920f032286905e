// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// resourcePattern is how a resource is written, wildcards included: one spelling for each, so no "secrets.".
var resourcePattern = regexp.MustCompile(`^([a-z0-9-]+(\.[a-z0-9-]+)*|\*\.(\*|[a-z0-9-]+(\.[a-z0-9-]+)*)?)$`)

// checkRules holds the rules together against what kube-apiserver refuses as well, and what it would take but
// nobody should run with: the same resource in two rules, the same key twice, one name for two keys.
func checkRules(rules []rule) error {
	var seen []string
	named := map[Key]string{}
	for i, r := range rules {
		for j, resource := range r.resources {
			// In one list a wildcard masks what stands before it as well.
			if err := checkResource(resource, slices.Concat(seen, r.resources[:j], r.resources[j+1:])); err != nil {
				return fmt.Errorf("entry %d: %w", i+1, err)
			}
		}
		seen = append(seen, r.resources...)
		if err := checkChain(r.chain, named); err != nil {
			return fmt.Errorf("entry %d: %w", i+1, err)
		}
	}
	return nil
}

// checkResource holds a resource against all that stand before it or in the same list. The first match applies,
// so what a wildcard has matched already is never reached; kube-apiserver refuses that
// (k8s.io/apiserver@v0.37.2 pkg/server/options/encryptionconfig/config.go).
func checkResource(resource string, before []string) error {
	withoutAPI := []string{"apiserveripinfo", "serviceipallocations", "servicenodeportallocations"}
	name, group, _ := strings.Cut(resource, ".")
	if resource == "*" || name == "*" && !strings.Contains(resource, ".") {
		return errors.New(`resource "*": "*." stands for the core group and "*.*" for everything`)
	}
	if !resourcePattern.MatchString(resource) || group == "events.k8s.io" || group == "extensions" || slices.Contains(withoutAPI, resource) {
		return errors.New("a resource is not written as the name of a resource")
	}
	for _, earlier := range before {
		switch {
		case earlier == resource:
			return fmt.Errorf("resource %q is listed twice", resource)
		case earlier == "*.*" || earlier == "*."+group && name != "*":
			return fmt.Errorf("resource %q is masked by %q", resource, earlier)
		}
	}
	return nil
}

func checkChain(chain []transformer, named map[Key]string) error {
	var seen []Key
	for _, t := range chain {
		if slices.ContainsFunc(seen, t.key.Is) {
			return fmt.Errorf("%s is listed twice", t.key)
		}
		seen = append(seen, t.key)
		id := Key{Provider: t.key.Provider, Name: t.key.Name}
		known, ok := named[id]
		if ok && id.Provider == KMS {
			return fmt.Errorf("%s is listed twice", t.key) // kube-apiserver wants one entry for each plugin
		}
		if ok && known != t.key.Fingerprint {
			return fmt.Errorf("the name %s stands for two different keys", t.key)
		}
		named[id] = t.key.Fingerprint
	}
	return nil
}
