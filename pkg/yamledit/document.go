// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package yamledit changes single fields of a YAML text and leaves every other byte as it is.
//
// A Document is never changed: each edit makes a new one. An edit works on whole lines, at the positions that the
// parser gives. Then the new text is parsed as well, and what it says is compared with what it should say: an edit
// that touches anything else than it is meant to is refused, not made. So a mistake in a position can't do harm.
//
// The package is pure. It imports nothing of Kubernetes, since the agent on a node uses it.
package yamledit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// MaxSize is the largest text in bytes that is read.
const MaxSize = 1 << 20

// ErrRefused is matched by every error of the package: a text that is not understood, or an edit that can't be made
// without touching something else.
var ErrRefused = errors.New("refused")

var (
	lineInError     = regexp.MustCompile(`line [0-9]+`)
	tabIndentation  = regexp.MustCompile(`(?m)^ *\t[ \t]*[^ \t\r\n]`)
	foreignNewlines = regexp.MustCompile("[\u0085\u2028\u2029]|\r(?:[^\n]|$)")
)

// Document is a text that holds one mapping in block style.
type Document struct {
	lines []string // without their line endings; the last one is empty if the text ends with a line ending
	eol   string
	root  *yaml.Node
}

// Parse reads a text strictly. Errors name the line, never a value.
func Parse(data []byte) (*Document, error) {
	if err := checkText(data); err != nil {
		return nil, err
	}
	root, err := decode(data)
	if err != nil {
		return nil, err
	}
	if err := checkNode(root); err != nil {
		return nil, err
	}
	top := root.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, Refuse(top, "the text is not a mapping")
	}
	if top.Style&yaml.FlowStyle != 0 {
		return nil, Refuse(top, "the text is JSON or in flow style, only block style is edited")
	}
	eol := "\n"
	if bytes.Contains(data, []byte("\r\n")) {
		eol = "\r\n"
	}
	return &Document{lines: strings.Split(string(data), eol), eol: eol, root: root}, nil
}

// Top is the document's mapping. Its nodes belong to the document and must not be changed.
func (d *Document) Top() *yaml.Node { return d.root.Content[0] }

// Bytes is the text.
func (d *Document) Bytes() []byte { return []byte(strings.Join(d.lines, d.eol)) }

// Refuse is an error about the line of a node.
func Refuse(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s: %w", n.Line, fmt.Sprintf(format, args...), ErrRefused)
}

// checkText refuses what would make lines as they are counted here other lines than the parser's.
func checkText(data []byte) error {
	text := string(data)
	switch {
	case len(data) > MaxSize:
		return fmt.Errorf("the text has %d bytes, at most %d are read: %w", len(data), MaxSize, ErrRefused)
	case !utf8.Valid(data):
		return fmt.Errorf("the text is not UTF-8: %w", ErrRefused)
	case strings.HasPrefix(text, "\ufeff"):
		return fmt.Errorf("line 1: the text begins with a byte order mark: %w", ErrRefused)
	}
	if at := foreignNewlines.FindStringIndex(text); at != nil {
		return fmt.Errorf("line %d: a line ends neither with LF nor with CRLF: %w", lineAt(text, at[0]), ErrRefused)
	}
	if at := tabIndentation.FindStringIndex(text); at != nil {
		return fmt.Errorf("line %d: is indented with a tab: %w", lineAt(text, at[0]), ErrRefused)
	}
	if crlf := strings.Count(text, "\r\n"); crlf != 0 && crlf != strings.Count(text, "\n") {
		return fmt.Errorf("some lines end with LF and others with CRLF: %w", ErrRefused)
	}
	return nil
}

func lineAt(text string, at int) int { return 1 + strings.Count(text[:at], "\n") }

func decode(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root, second yaml.Node
	switch err := dec.Decode(&root); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("the text is empty: %w", ErrRefused)
	case err != nil:
		return nil, notYAML(err)
	case len(root.Content) != 1:
		return nil, fmt.Errorf("the text is empty: %w", ErrRefused)
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, Refuse(&second, "the text holds more than one YAML document")
	case !errors.Is(err, io.EOF):
		return nil, notYAML(err)
	}
	return &root, nil
}

// notYAML leaves out the parser's own words: they may quote a value.
func notYAML(err error) error {
	if line := lineInError.FindString(err.Error()); line != "" {
		return fmt.Errorf("%s: the text is not one YAML document: %w", line, ErrRefused)
	}
	return fmt.Errorf("the text is not one YAML document: %w", ErrRefused)
}

// checkNode refuses what makes the value of a field depend on another place in the text.
func checkNode(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return Refuse(n, "anchors and aliases are not understood")
	case n.Style&yaml.TaggedStyle != 0:
		return Refuse(n, "tags are not understood")
	}
	if n.Kind == yaml.MappingNode {
		if err := checkKeys(n); err != nil {
			return err
		}
	}
	for _, child := range n.Content {
		if err := checkNode(child); err != nil {
			return err
		}
	}
	return nil
}

func checkKeys(mapping *yaml.Node) error {
	seen := make(map[string]bool, len(mapping.Content)/2)
	for i := 0; i < len(mapping.Content); i += 2 {
		key := mapping.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode:
			return Refuse(key, "a key is not a plain word")
		case key.ShortTag() == "!!merge":
			return Refuse(key, "anchors and aliases are not understood")
		case seen[key.Value]:
			return Refuse(key, "a key is given twice")
		}
		seen[key.Value] = true
	}
	return nil
}
