// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package yamledit_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/yamledit"
)

type edit func(*yamledit.Document) (*yamledit.Document, error)

func set(key string, value *yaml.Node) edit {
	return func(d *yamledit.Document) (*yamledit.Document, error) { return d.Set(d.Top(), key, value) }
}

func insert(at int, item *yaml.Node) edit {
	return func(d *yamledit.Document) (*yamledit.Document, error) {
		return d.InsertItem(yamledit.Get(d.Top(), "list"), at, item)
	}
}

func removeItems(at, count int) edit {
	return func(d *yamledit.Document) (*yamledit.Document, error) {
		return d.RemoveItems(yamledit.Get(d.Top(), "list"), at, count)
	}
}

func remove(key string) edit {
	return func(d *yamledit.Document) (*yamledit.Document, error) { return d.Remove(d.Top(), key) }
}

func clearKey(key string) edit {
	return func(d *yamledit.Document) (*yamledit.Document, error) { return d.Clear(d.Top(), key) }
}

func replace(key, text string) edit {
	return func(d *yamledit.Document) (*yamledit.Document, error) {
		return d.Replace(yamledit.Get(d.Top(), key), text)
	}
}

func TestDocument_changes_the_one_thing(t *testing.T) {
	t.Parallel()
	nested := yamledit.NewMapping(yamledit.Plain("k"), yamledit.NewList(yamledit.Plain("v"), yamledit.NewMapping(yamledit.Plain("x"), yamledit.Quoted("y"))))
	for name, row := range map[string]struct {
		before string
		edit   edit
		after  string
	}{
		"a new key => where it sorts":                      {"a: 1\nc: 2\n", set("b", yamledit.Plain("x")), "a: 1\nb: x\nc: 2\n"},
		"a new key among unsorted ones => last":            {"c: 1\na: 2\n# end\n", set("b", yamledit.Plain("x")), "c: 1\na: 2\nb: x\n# end\n"},
		"a new key that sorts first => behind the first":   {"b: 1\n", set("a", yamledit.Plain("x")), "b: 1\na: x\n"},
		"a new key behind the end of the text => no break": {"a: 1", set("b", yamledit.Plain("x")), "a: 1\nb: x"},
		"a new key before the end of the document":         {"a: 1\n...\n", set("b", yamledit.Plain("x")), "a: 1\nb: x\n...\n"},
		"a nested value => in the style of the neighbours": {"a:\n    b:\n      -   c\n", set("d", nested), "a:\n    b:\n      -   c\nd:\n    k:\n      -   v\n      -   x: \"y\"\n"},
		"a key without a value => it has one":              {"a: # why\nb: 1\n", set("a", nested), "a: # why\n  k:\n  - v\n  - x: \"y\"\nb: 1\n"},
		"a key of {} => it has a value":                    {"a: {}  # why\n", set("a", yamledit.Plain("x")), "a: x  # why\n"},
		"a key of null => it has a value":                  {"\"a\": ~\n", set("a", nested), "\"a\":\n  k:\n  - v\n  - x: \"y\"\n"},
		"an item in front => below the comments above":     {"list:\n# c\n- a\n", insert(0, yamledit.Plain("x")), "list:\n- x\n# c\n- a\n"},
		"an item behind one of several lines":              {"list:\n  - a: >\n      b\n\n      c\n\n  # c\n  - d\n", insert(1, yamledit.Plain("x")), "list:\n  - a: >\n      b\n\n      c\n  - x\n\n  # c\n  - d\n"},
		"an item with CRLF":                                {"list:\r\n- a\r\n", insert(1, yamledit.Plain("x")), "list:\r\n- a\r\n- x\r\n"},
		"an item behind letters of several bytes":          {"list:\n- \"ä\" # ö\n- {é: [ü,\n  ß]}\nz: 1\n", insert(2, yamledit.Plain("x")), "list:\n- \"ä\" # ö\n- {é: [ü,\n  ß]}\n- x\nz: 1\n"},
		"an item taken => its lines, no comments":          {"list:\n# 1\n- a: b\n  c: d\n# 2\n- e\n", removeItems(0, 1), "list:\n# 1\n# 2\n- e\n"},
		"two items taken":                                  {"list:\n- a\n- b\n- c\n", removeItems(1, 2), "list:\n- a\n"},
		"a key taken":                                      {"a:\n- b\n\nc: d\n", remove("a"), "\nc: d\n"},
		"a key cleared":                                    {"a: # why\n  # because\n  b: c\nd: e\n", clearKey("a"), "a: {} # why\n  # because\nd: e\n"},
		"a text replaced":                                  {"a: 'b' # b\n", replace("a", "c"), "a: 'c' # b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := yamledit.Parse([]byte(row.before))
			require.NoError(t, err)
			changed, err := row.edit(doc)
			require.NoError(t, err)
			assert.Equal(t, row.after, string(changed.Bytes()))
			assert.Equal(t, row.before, string(doc.Bytes()), "the document itself stays as it is")
		})
	}
}

func TestDocument_refuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		text string
		edit edit
	}{
		"a value where there is one":                    {"a: 1\n", set("a", yamledit.Plain("x"))},
		"an empty value on a line of its own":           {"a:\n  {}\n", set("a", yamledit.Plain("x"))},
		"a text that would be read as something else":   {"a: 1\n", set("b", yamledit.Quoted(`a"b`))},
		"an item in a list in flow style":               {"list: [a]\n", insert(1, yamledit.Plain("x"))},
		"an item in a list that is empty":               {"list: []\n", insert(0, yamledit.Plain("x"))},
		"an item in a list that is text":                {"list: a\n", insert(0, yamledit.Plain("x"))},
		"an item below its dash":                        {"list:\n-\n  a\n", insert(1, yamledit.Plain("x"))},
		"an item in lines that a text keeps":            {"list:\n- |+\n  a\n\n", insert(1, yamledit.Plain("x"))},
		"to take the last item":                         {"list:\n- a\n", removeItems(0, 1)},
		"to take an item in flow style":                 {"list: [a, b]\n", removeItems(0, 1)},
		"to take an item below its dash":                {"list:\n-\n  a\n- b\n", removeItems(0, 1)},
		"to take the last key":                          {"a: 1\n", remove("a")},
		"to take a key that is not there":               {"a: 1\nb: 2\n", remove("c")},
		"to take a key with a question mark":            {"? a\n: 1\nb: 2\n", remove("a")},
		"to clear a key that is not there":              {"a: 1\n", clearKey("b")},
		"to clear a list":                               {"a:\n- b\n", clearKey("a")},
		"to clear what is in flow style":                {"a: {b: c}\n", clearKey("a")},
		"to replace a mapping":                          {"a: {}\n", replace("a", "x")},
		"to replace a text with escapes":                {"a: \"\\x41\"\n", replace("a", "x")},
		"to replace a text of several lines":            {"a: b\n  c\n", replace("a", "x")},
		"to replace by what is read as something else":  {"a: b\n", replace("a", "x: y")},
		"to replace a word by a number":                 {"a: b\n", replace("a", "5")},
		"a key among those with a question mark before": {"a: 1\n? b\n: 2\n", set("b", yamledit.Plain("x"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := yamledit.Parse([]byte(row.text))
			require.NoError(t, err)
			_, err = row.edit(doc)
			require.ErrorIs(t, err, yamledit.ErrRefused)
		})
	}
}
