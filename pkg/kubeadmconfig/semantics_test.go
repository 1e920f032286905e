// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeadmconfig_test

import (
	"strings"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// assertT is what the checks need of a test.
type assertT interface {
	require.TestingT
	Helper()
}

// requireNothingElse makes sure that two configurations differ in the two arguments, and in volumes that one has and
// the other has not. It knows nothing of how the edits are made: both are read into plain maps.
func requireNothingElse(t assertT, off, on []byte) {
	t.Helper()
	a, b := read(t, off), read(t, on)
	apiServerA, apiServerB := a.below("apiServer"), b.below("apiServer")
	require.Equal(t, otherArgs(apiServerA["extraArgs"]), otherArgs(apiServerB["extraArgs"]))
	require.Subset(t, items(apiServerB["extraVolumes"]), items(apiServerA["extraVolumes"]))
	for _, key := range []string{"extraArgs", "extraVolumes"} {
		delete(apiServerA, key)
		delete(apiServerB, key)
	}
	require.Equal(t, apiServerA, apiServerB)
	delete(a, "apiServer")
	delete(b, "apiServer")
	require.Equal(t, a, b)
}

type object map[string]any

func read(t assertT, data []byte) object {
	t.Helper()
	var o object
	require.NoError(t, yaml.Unmarshal(data, &o))
	return o
}

func (o object) below(key string) object {
	if child, ok := o[key].(object); ok {
		return child
	}
	return object{}
}

// otherArgs are the arguments but the two, in their order, or as a mapping.
func otherArgs(args any) any {
	switch args := args.(type) {
	case object:
		rest := object{}
		for name, value := range args {
			if !ours(name) {
				rest[name] = value
			}
		}
		if len(rest) > 0 {
			return rest
		}
	case []any:
		var rest []any
		for _, arg := range args {
			if name, _ := arg.(object)["name"].(string); !ours(name) {
				rest = append(rest, arg)
			}
		}
		if len(rest) > 0 {
			return rest
		}
	}
	return nil
}

func ours(name string) bool {
	name = strings.ReplaceAll(name, "_", "-")
	return name == "encryption-provider-config" || name == "encryption-provider-config-automatic-reload"
}

func items(list any) []any {
	if list, ok := list.([]any); ok {
		return list
	}
	return []any{}
}
