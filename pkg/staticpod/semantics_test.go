// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod_test

import (
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// requireNothingElse makes sure that two manifests differ in the two flags, and in mounts and volumes that one has
// and the other has not. It knows nothing of how the edits are made: both are read into plain maps.
func requireNothingElse(t assertT, off, on []byte) {
	t.Helper()
	a, b := read(t, off), read(t, on)
	require.Subset(t, names(b.take("spec", "volumes")), names(a.take("spec", "volumes")))
	require.Subset(t, names(b.container().take("volumeMounts")), names(a.container().take("volumeMounts")))
	require.Equal(t, others(a.container().take("command")), others(b.container().take("command")))
	require.Equal(t, a, b)
}

type object map[string]any

func read(t assertT, manifest []byte) object {
	t.Helper()
	var o object
	require.NoError(t, yaml.Unmarshal(manifest, &o))
	return o
}

// take takes a field out of the object and returns it.
func (o object) take(path ...string) any {
	in := o
	for _, key := range path[:len(path)-1] {
		in, _ = in[key].(object)
	}
	last := path[len(path)-1]
	value := in[last]
	delete(in, last)
	return value
}

func (o object) container() object {
	spec, _ := o["spec"].(object)
	containers, _ := spec["containers"].([]any)
	at := slices.IndexFunc(containers, func(c any) bool { return c.(object)["name"] == "kube-apiserver" })
	return containers[at].(object)
}

// names are the items of a list with what they are, as text, so that lists compare as sets.
func names(list any) []string {
	items, _ := list.([]any)
	texts := []string{}
	for _, item := range items {
		text, err := yaml.Marshal(item)
		if err != nil {
			text = []byte(err.Error())
		}
		texts = append(texts, string(text))
	}
	return texts
}

// others are the words of a command but those of the two flags.
func others(command any) []string {
	words, _ := command.([]any)
	var rest []string
	for i := 0; i < len(words); i++ {
		word := words[i].(string)
		flag := strings.ReplaceAll(word, "_", "-")
		if !strings.HasPrefix(flag, "--encryption-provider-config") {
			rest = append(rest, word)
			continue
		}
		if !strings.Contains(word, "=") && i+1 < len(words) && !strings.HasPrefix(words[i+1].(string), "-") {
			i++
		}
	}
	return rest
}
