// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

// namePattern is what a key may be called. kube-apiserver takes any name, but a ':' makes the prefix of stored
// values ambiguous.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// groupVersion is that of k8s.io/apiserver/pkg/apis/apiserver/v1. The package is not imported: it is two thirds of the
// agent's size.
const groupVersion = "apiserver.config.k8s.io/v1"

func validName(s string) bool { return namePattern.MatchString(s) }

// Parse reads a configuration strictly. Errors name the line and the field, never a value: where name and secret
// were mixed up, even a name is a key.
func Parse(data []byte) (*Document, error) {
	root, err := parseYAML(data)
	if err != nil {
		return nil, err
	}
	top, err := fields(root.Content[0], "configuration", "apiVersion", "kind", "resources")
	if err != nil {
		return nil, err
	}
	if err := checkType(root.Content[0], top); err != nil {
		return nil, err
	}
	entries, err := sequence(top["resources"], root.Content[0], "resources")
	if err != nil {
		return nil, err
	}
	doc := &Document{bytes: slices.Clone(data), root: root}
	for _, entry := range entries {
		r, err := parseRule(entry)
		if err != nil {
			return nil, err
		}
		doc.rules = append(doc.rules, r)
	}
	if err := checkRules(doc.rules); err != nil {
		return nil, err
	}
	return doc, nil
}

func parseYAML(data []byte) (*yaml.Node, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("the configuration has %d bytes, at most %d are read", len(data), MaxSize)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("the configuration is not UTF-8 text")
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root yaml.Node
	if err := dec.Decode(&root); err != nil {
		// The parser's own message may quote a value.
		return nil, fmt.Errorf("the configuration is not one YAML document%s", lineOf(err))
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("the configuration holds more than one YAML document: kube-apiserver reads the first and ignores the rest")
	}
	return &root, nil
}

var lineInError = regexp.MustCompile(`line [0-9]+`)

func lineOf(err error) string {
	if line := lineInError.FindString(err.Error()); line != "" {
		return ": see " + line
	}
	return ""
}

func checkType(at *yaml.Node, top map[string]*yaml.Node) error {
	apiVersion, err := text(top["apiVersion"], at, "apiVersion")
	if err != nil {
		return err
	}
	kind, err := text(top["kind"], at, "kind")
	if err != nil {
		return err
	}
	if apiVersion != groupVersion || kind != "EncryptionConfiguration" {
		return refuse(at, "is not a %s EncryptionConfiguration", groupVersion)
	}
	return nil
}

func parseRule(n *yaml.Node) (rule, error) {
	f, err := fields(n, "entry of resources", "resources", "providers")
	if err != nil {
		return rule{}, err
	}
	names, err := sequence(f["resources"], n, "resources")
	if err != nil {
		return rule{}, err
	}
	r := rule{node: n, names: f["resources"], providers: f["providers"]}
	for _, name := range names {
		s, err := text(name, n, "resources")
		if err != nil {
			return rule{}, err
		}
		r.resources = append(r.resources, s)
	}
	providers, err := sequence(f["providers"], n, "providers")
	if err != nil {
		return rule{}, err
	}
	for _, p := range providers {
		part, err := parseProvider(p)
		if err != nil {
			return rule{}, err
		}
		r.chain = append(r.chain, part...)
	}
	return r, nil
}

func parseProvider(n *yaml.Node) ([]transformer, error) {
	f, err := fields(n, "provider", "aesgcm", "aescbc", "secretbox", "kms", "identity")
	if err != nil {
		return nil, err
	}
	if len(f) != 1 {
		return nil, refuse(n, "a provider entry must hold exactly one provider, this one holds %d", len(f))
	}
	for name, body := range f {
		switch p := Provider(name); p {
		case Identity:
			_, err := fields(body, "identity")
			return []transformer{{key: Key{Provider: Identity}, node: n}}, err
		case KMS:
			return parseKMS(n, body)
		default:
			chain, err := parseKeys(p, body)
			for i := range chain {
				chain[i].entry = n
			}
			return chain, err
		}
	}
	return nil, nil
}

func parseKeys(p Provider, n *yaml.Node) ([]transformer, error) {
	f, err := fields(n, string(p), "keys")
	if err != nil {
		return nil, err
	}
	list, err := sequence(f["keys"], n, "keys")
	if err != nil {
		return nil, err
	}
	var chain []transformer
	for _, item := range list {
		t, err := parseKey(p, item)
		if err != nil {
			return nil, err
		}
		chain = append(chain, t)
	}
	return chain, nil
}

func parseKey(p Provider, n *yaml.Node) (transformer, error) {
	f, err := fields(n, "key", "name", "secret")
	if err != nil {
		return transformer{}, err
	}
	name, err := text(f["name"], n, "name")
	if err != nil {
		return transformer{}, err
	}
	if !validName(name) {
		return transformer{}, refuse(n, "a key's name must be 1 to 63 letters, digits, '-', '_' or '.'")
	}
	encoded, err := text(f["secret"], n, "secret")
	if err != nil {
		return transformer{}, err
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return transformer{}, refuse(n, "the secret of this key is not base64")
	}
	if sizes := p.keySizes(); !slices.Contains(sizes, len(raw)) {
		return transformer{}, refuse(n, "the secret of this key has %d bytes, %s takes %v", len(raw), p, sizes)
	}
	secret := keys.New(raw)
	key := Key{Provider: p, Name: name, Fingerprint: secret.Fingerprint(string(p), name)}
	return transformer{key: key, secret: secret, node: n}, nil
}

// fields reads a mapping whose fields are all in allowed, each at most once.
func fields(n *yaml.Node, what string, allowed ...string) (map[string]*yaml.Node, error) {
	if n.Kind != yaml.MappingNode || !plain(n) {
		return nil, refuse(n, "%s must be a plain mapping", what)
	}
	found := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || !plain(key) || !slices.Contains(allowed, key.Value) {
			return nil, refuse(key, "%s has an unknown field (known: %s)", what, strings.Join(allowed, ", "))
		}
		if found[key.Value] != nil {
			return nil, refuse(key, "%s has the field %s twice", what, key.Value)
		}
		found[key.Value] = value
	}
	return found, nil
}

// plain tells that a node has neither an anchor nor a tag, which could make it mean something else elsewhere.
func plain(n *yaml.Node) bool { return n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 }

// booleanIn11 is what kube-apiserver, which reads YAML 1.1, takes for a boolean where it has no quotes.
var booleanIn11 = regexp.MustCompile(`^(?i:y|n|yes|no|on|off)$`)

func sequence(n, parent *yaml.Node, field string) ([]*yaml.Node, error) {
	switch {
	case n == nil:
		return nil, refuse(parent, "the field %s is missing", field)
	case n.Kind != yaml.SequenceNode || !plain(n):
		return nil, refuse(n, "%s must be a plain list", field)
	case len(n.Content) == 0:
		return nil, refuse(n, "%s is empty", field)
	}
	return n.Content, nil
}

func text(n, parent *yaml.Node, field string) (string, error) {
	switch {
	case n == nil:
		return "", refuse(parent, "the field %s is missing", field)
	case n.Kind != yaml.ScalarNode || !plain(n) || n.ShortTag() != "!!str" || n.Style == 0 && booleanIn11.MatchString(n.Value):
		return "", refuse(n, "%s must be a plain string (in quotes where it looks like a number)", field)
	case n.Value == "":
		return "", refuse(n, "%s is empty", field)
	}
	return n.Value, nil
}

func refuse(at *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{at.Line}, args...)...)
}
