// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

// MaxSize is the largest configuration in bytes that Parse takes.
const MaxSize = 1 << 20

// Document is a parsed configuration with its key material and its comments.
type Document struct {
	bytes []byte
	root  *yaml.Node
	rules []rule
}

// rule is one entry of the file: its resources, its transformers, and the nodes of both and of the entry itself.
type rule struct {
	resources []string
	node      *yaml.Node
	names     *yaml.Node
	providers *yaml.Node
	chain     []transformer
}

// transformer is one key of a provider, or a provider without keys, with the node that it came from.
type transformer struct {
	key    Key
	secret keys.Secret
	// node is the key's own mapping for a local provider, the provider's mapping for all others.
	node *yaml.Node
	// entry is the provider's mapping that a key of a local provider came from, nil for a new key.
	entry *yaml.Node
}

// Digest is what kube-apiserver 1.34 and later reports for a file of these bytes
// (k8s.io/apiserver@v0.37.2 pkg/server/options/encryptionconfig/config.go, GetEncryptionConfigHash).
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Bytes are the file's bytes, with keys in clear.
func (d *Document) Bytes() []byte { return slices.Clone(d.bytes) }

// Describe says what the configuration does, without key material.
func (d *Document) Describe() Description {
	desc := Description{Digest: Digest(d.bytes), Rules: make([]Rule, len(d.rules))}
	for i, r := range d.rules {
		desc.Rules[i] = Rule{Resources: slices.Clone(r.resources), Keys: r.keyList()}
	}
	return desc
}

func (r rule) keyList() []Key {
	list := make([]Key, len(r.chain))
	for i, t := range r.chain {
		list[i] = t.key
	}
	return list
}

// Apply gives a new document with the change made, in block-style YAML with the comments kept. The secret is the
// key that AddReadKey or AddWriteKey adds, new or of an earlier configuration, and is not looked at otherwise. The document itself stays as it is.
func (d *Document) Apply(c Change, secret keys.Secret) (*Document, error) {
	if c.Kind == KeepAll && len(c.Resources) == 0 {
		return d, nil
	}
	next, err := d.again()
	if err != nil {
		return nil, fmt.Errorf("parse again: %w", err)
	}
	c = c.withFingerprint(next, secret)
	want, err := c.Apply(next.Describe())
	if err != nil {
		return nil, err
	}
	next.split(c)
	for i := range next.rules {
		next.arrange(&next.rules[i], want.Rules[i].Keys, func(k Key) keys.Secret { return next.secret(k, secret) })
	}
	data, err := encode(next.root)
	if err != nil {
		return nil, err
	}
	// What is handed out has been read again, as kube-apiserver will read it, and does what was asked for.
	result, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("check the changed configuration: %w", err)
	}
	if !result.Describe().SameContent(want) {
		return nil, fmt.Errorf("the changed configuration does not say what it should: %w", ErrRefused)
	}
	return result, nil
}

// withFingerprint gives a key that is made of the secret its fingerprint.
func (c Change) withFingerprint(d *Document, secret keys.Secret) Change {
	if len(c.Keys) != 1 || !c.NewKey(d.Describe()) {
		return c
	}
	k := c.Keys[0]
	k.Fingerprint = secret.Fingerprint(string(k.Provider), k.Name)
	c.Keys = []Key{k}
	return c
}

// arrange makes a rule's transformers follow want. The material of a key that the rule lacks is asked for.
func (*Document) arrange(r *rule, want []Key, secret func(Key) keys.Secret) {
	if slices.Equal(r.keyList(), want) {
		return
	}
	chain := make([]transformer, len(want))
	for i, k := range want {
		at := slices.IndexFunc(r.chain, func(t transformer) bool { return t.key == k })
		switch {
		case at >= 0:
			chain[i] = r.chain[at]
		case k.Provider == Identity:
			chain[i] = transformer{key: k, node: identityNode()}
		default:
			material := secret(k)
			chain[i] = transformer{key: k, secret: material, node: keyNode(k.Name, material)}
		}
	}
	r.chain = chain
	r.providers.Content = providerNodes(chain)
}

// secret is the material of a key that some rule has, fresh for one that none has.
func (d *Document) secret(k Key, fresh keys.Secret) keys.Secret {
	if known, ok := d.Secret(k); ok {
		return known
	}
	return fresh
}

// Secret is the material of a key that some rule has, by provider, name and fingerprint.
func (d *Document) Secret(k Key) (keys.Secret, bool) {
	for _, r := range d.rules {
		for _, t := range r.chain {
			if t.key == k {
				return t.secret, true
			}
		}
	}
	return keys.Secret{}, false
}

// providerNodes writes a chain of transformers as a list of providers. Neighbours of one local provider share an
// entry; the order in which keys are tried is the order of the chain either way.
func providerNodes(chain []transformer) []*yaml.Node {
	var list []*yaml.Node
	var last Provider
	commented := map[*yaml.Node]bool{nil: true}
	for _, t := range chain {
		switch {
		case !t.key.Provider.Local():
			list = append(list, t.node)
		case t.key.Provider == last:
			entry := list[len(list)-1]
			keyList := entry.Content[1].Content[1]
			keyList.Content = append(keyList.Content, t.node)
		default:
			keyList := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{t.node}}
			list = append(list, mapping(string(t.key.Provider), mapping("keys", keyList)))
		}
		if !commented[t.entry] {
			commented[t.entry] = true
			takeComments(list[len(list)-1], t.entry)
		}
		last = t.key.Provider
	}
	return list
}

// takeComments puts the comments of the entry that keys came from on the entry that the first of them is in now.
func takeComments(to, from *yaml.Node) {
	to.HeadComment = strings.Trim(to.HeadComment+"\n"+from.HeadComment, "\n")
	to.FootComment = strings.Trim(to.FootComment+"\n"+from.FootComment, "\n")
}

func identityNode() *yaml.Node {
	return mapping(string(Identity), &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
}

func keyNode(name string, secret keys.Secret) *yaml.Node {
	n := mapping("name", scalar(name))
	n.Content = append(n.Content, scalar("secret"), scalar(secret.Base64()))
	return n
}

func mapping(key string, value *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{scalar(key), value}}
}

// scalar is a string: the encoder quotes it where it would be read as something else ("1" as a number).
func scalar(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// encode writes block-style YAML: scanners that look for the first provider with grep read nothing else.
func encode(root *yaml.Node) ([]byte, error) {
	blockStyle(root)
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("encode the configuration as YAML: %w", ErrRefused)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("encode the configuration as YAML: %w", ErrRefused)
	}
	return buf.Bytes(), nil
}

func blockStyle(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	for _, child := range n.Content {
		blockStyle(child)
	}
}
