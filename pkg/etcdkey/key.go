// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdkey

import (
	"bytes"
	"strings"
)

// Object names an object of a resource. Both parts are as they are in etcd: not escaped, not bounded, not always UTF-8.
type Object struct {
	// Namespace is empty for what is in none.
	Namespace string
	Name      string
}

// String is "namespace/name", or the name of what is in no namespace.
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Name
	}
	return o.Namespace + "/" + o.Name
}

// ObjectOf gives the object that a key belongs to. A key that does not begin with the prefix, or that no object of this scope
// can have, is told as such (false). kube-apiserver reads what is under such a key when it lists the resource all the
// same.
func ObjectOf(prefix string, key []byte, scope Scope) (Object, bool) {
	rest, ok := bytes.CutPrefix(key, []byte(prefix))
	if !ok {
		return Object{}, false
	}
	return parse(string(rest), scope)
}

func parse(rest string, scope Scope) (Object, bool) {
	first, second, two := strings.Cut(rest, "/")
	switch {
	case !segment(first) || two && !segment(second):
		return Object{}, false
	case two && scope != ClusterScoped:
		return Object{Namespace: first, Name: second}, true
	case !two && scope != Namespaced:
		return Object{Name: first}, true
	}
	return Object{}, false
}

// segment tells whether kube-apiserver would use this as a part of a path (k8s.io/apimachinery@v0.37.2
// pkg/api/validate/content/path.go, IsPathSegmentName).
func segment(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/%")
}

// Kind tells what a key is.
type Kind string

// The kinds of keys.
const (
	// Stored is the key of an object.
	Stored Kind = "stored"
	// Misfit is under the prefix of a resource, but no object of it can have the key.
	Misfit Kind = "misfit"
	// Own is kube-apiserver's bookkeeping, which is never encrypted (rule 7).
	Own Kind = "own"
	// Unfamiliar is under the root, but of no resource of Kubernetes 1.30 to 1.37 and of no custom one.
	Unfamiliar Kind = "unfamiliar"
	// Outside is not under the root.
	Outside Kind = "outside"
)

// Identify tells what a key is when nobody can be asked which resources there are, as with a snapshot: the resource if it is
// Stored or a Misfit, and the object if it is Stored.
func (l Layout) Identify(key []byte) (Kind, Resource, Object) {
	rest, ok := strings.CutPrefix(string(key), l.root)
	if !ok {
		return Outside, Resource{}, Object{}
	}
	folder, below, ok := strings.Cut(rest, "/")
	if own(folder) {
		return Own, Resource{}, Object{}
	}
	if !ok {
		return Unfamiliar, Resource{}, Object{}
	}
	r, below, ok := resourceAt(folder, below)
	if !ok {
		return Unfamiliar, Resource{}, Object{}
	}
	object, ok := parse(below, r.Scope)
	if !ok {
		return Misfit, r, Object{}
	}
	return Stored, r, object
}

// resourceAt is the resource that has this folder, and what of the key is below it.
func resourceAt(folder, below string) (Resource, string, bool) {
	isGroup := strings.Contains(folder, ".")
	if isGroup && builtInGroup(folder) { // kube-apiserver stores nothing of such a group under its name
		return Resource{}, "", false
	}
	if !isGroup && folder != "services" {
		r, ok := compiled(folder)
		return r, below, ok
	}
	second, below, ok := strings.Cut(below, "/")
	switch {
	case !ok:
		return Resource{}, "", false
	case !isGroup:
		r, ok := compiled(folder + "/" + second)
		return r, below, ok
	}
	r := grouped(named(second, folder))
	if strings.Contains(second, ".") || len(r.Name) > maxName || !namePattern.MatchString(r.Name) {
		return Resource{}, "", false
	}
	return r, below, true
}

// compiled is the built-in resource in a folder.
func compiled(folder string) (Resource, bool) {
	resource := resourceIn(folder)
	group, scope, ok := builtIn(resource)
	return Resource{Name: named(resource, group), Scope: scope}, ok
}
