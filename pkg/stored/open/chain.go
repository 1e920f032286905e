// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package open

import (
	"bytes"
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/storage/value"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// Chain is what a rule of a configuration reads values with. It may be used by several goroutines at once.
type Chain struct {
	links []link
}

// link is one transformer with the prefixes of the values that it is for.
type link struct {
	key      encconfig.Key
	prefixes [][]byte
	// transformer is nil for KMS.
	transformer value.Read
}

// NewChain makes a chain of the transformers of one rule in the order of the file, the one that writes first. A resource that
// no rule applies to is stored by identity alone. Errors name the key and never say anything of what it is made of.
func NewChain(rule []encconfig.Transformer) (*Chain, error) {
	if len(rule) == 0 {
		return nil, fmt.Errorf("a rule needs a transformer")
	}
	c := &Chain{links: make([]link, len(rule))}
	for i, t := range rule {
		l, err := newLink(t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Key, err)
		}
		c.links[i] = l
	}
	return c, nil
}

// Open tries to open a value that is stored under a path: the full key in etcd, the prefix of the cluster
// ("/registry") included. The value stays as it is.
func (c *Chain) Open(path, data []byte) stored.Opening {
	last := stored.Opening{Outcome: stored.NoSuchKey}
	for i, l := range c.links {
		payload, asked := l.payload(data)
		if !asked {
			continue
		}
		if l.transformer == nil {
			last = stored.Opening{Outcome: stored.NotSupported, Key: l.key}
			continue
		}
		switch result, isObject := l.read(path, payload); result {
		case panicked:
			return stored.Opening{Outcome: stored.DamagedValue, Key: l.key}
		case refused:
			if l.key.Provider != encconfig.Identity { // which refuses what is meant for others
				last = stored.Opening{Outcome: misfit(l.key.Provider, payload), Key: l.key}
			}
		case transformed:
			return stored.Opening{Outcome: outcome(i, isObject), Key: l.key}
		}
	}
	return unopened(data, last)
}

// misfit tells apart what a key that was asked for refuses.
func misfit(p encconfig.Provider, payload []byte) stored.Outcome {
	if stored.Possible(p, payload) {
		return stored.KeyDoesNotFit
	}
	return stored.DamagedValue
}

// unopened tells apart, for a value that no key was tried on, what another rule could open from what none could.
func unopened(data []byte, last stored.Opening) stored.Opening {
	if last.Outcome == stored.KeyDoesNotFit {
		return last
	}
	switch mark := stored.Read(data); {
	case mark.Damaged || mark.Form == stored.Undecodable:
		last.Outcome = stored.DamagedValue
	case mark.Form == stored.Unknown:
		last.Outcome = stored.NoSuchProvider
	}
	return last
}

func outcome(position int, isObject bool) stored.Outcome {
	switch {
	case !isObject:
		return stored.NotAnObject
	case position == 0:
		return stored.OpenedCurrent
	default:
		return stored.OpenedStale
	}
}

// payload gives what follows the prefix of a value that the link is for.
func (l link) payload(data []byte) ([]byte, bool) {
	for _, prefix := range l.prefixes {
		if payload, ok := bytes.CutPrefix(data, prefix); ok {
			return payload, true
		}
	}
	return nil, false
}

// result is what a transformer did with a payload.
type result int

const (
	refused result = iota
	transformed
	panicked
)

// read transforms a payload and tells whether an object came of it.
func (l link) read(path, payload []byte) (r result, isObject bool) {
	defer func() {
		if recover() != nil {
			r, isObject = panicked, false
		}
	}()
	plaintext, _, err := l.transformer.TransformFromStorage(context.Background(), payload, value.DefaultContext(path))
	if err != nil {
		return refused, false
	}
	isObject = stored.IsObject(plaintext)
	if l.key.Provider != encconfig.Identity { // whose plaintext is the caller's own value
		clear(plaintext)
	}
	return transformed, isObject
}
