// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/http"
	"strings"
)

// Rule says which requests meet with a fault.
type Rule struct {
	Fault Fault
	// Match chooses requests, all if it is nil.
	Match func(*http.Request) bool
	// Every takes each nth of the requests that match, beginning with the nth; 0 and 1 take all.
	Every int
	// Times is how many requests are taken at most; 0 is any number.
	Times int
}

// rule is a Rule in force, under the proxy's lock.
type rule struct {
	Rule

	matched, taken int
}

func (r *rule) takes(request *http.Request) bool {
	if r.Match != nil && !r.Match(request) || r.Times > 0 && r.taken >= r.Times {
		return false
	}
	r.matched++
	if r.Every > 1 && r.matched%r.Every != 0 {
		return false
	}
	r.taken++
	return true
}

// Writes matches whatever may change something.
func Writes(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead
}

// Patches matches rewrites, one by one.
func Patches(r *http.Request) bool { return r.Method == http.MethodPatch }

// NextPages matches lists that are gone on with.
func NextPages(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Get("continue") != ""
}

// Plain matches what is no upgrade to another protocol.
func Plain(r *http.Request) bool { return r.Header.Get("Upgrade") == "" }

// Under matches requests whose path holds a text.
func Under(text string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.Contains(r.URL.Path, text) }
}

// All matches what all of some others match.
func All(matches ...func(*http.Request) bool) func(*http.Request) bool {
	return func(r *http.Request) bool {
		for _, match := range matches {
			if !match(r) {
				return false
			}
		}
		return true
	}
}
