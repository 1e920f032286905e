// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig

import (
	"encoding/base64"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Unusable tells whether bytes that Parse refuses are refused by every kube-apiserver as well, so that none runs with them: they
// are empty, not YAML, or something is missing that a file which was cut lacks: the resources, the providers of an entry, the name
// or the secret of a key, or a part of it. That is what has been written to no end, by a full disk or a power cut.
//
// Everything else that Parse refuses a kube-apiserver may take, such as an anchor or a second document, and this may be the file
// that it runs with. It is read with kube-apiserver's own YAML parser, since ours takes less
// (k8s.io/apimachinery@v0.37.2 pkg/runtime/serializer/json/json.go;
// k8s.io/apiserver@v0.37.2 pkg/apis/apiserver/validation/validation_encryption.go).
func Unusable(data []byte) bool {
	var top any
	if yaml.Unmarshal(data, &top) != nil {
		return true
	}
	entries, ok := list(field(top, "resources"))
	if !ok {
		return true
	}
	return slices.ContainsFunc(entries, func(entry any) bool {
		_, named := list(field(entry, "resources"))
		providers, provided := list(field(entry, "providers"))
		return !named || !provided || slices.ContainsFunc(providers, cutProvider)
	})
}

// cutProvider tells of a provider whether a part of it is missing that kube-apiserver does not go without.
func cutProvider(provider any) bool {
	for _, p := range LocalProviders() {
		body := field(provider, string(p))
		if body == nil {
			continue
		}
		chain, ok := list(field(body, "keys"))
		return !ok || slices.ContainsFunc(chain, func(key any) bool { return cutKey(p, key) })
	}
	if plugin := field(provider, string(KMS)); plugin != nil {
		endpoint, isText := field(plugin, "endpoint").(string)
		return missingField(plugin, "name") || missingField(plugin, "endpoint") || isText && !strings.HasPrefix(strings.ToLower(endpoint), "unix:")
	}
	return field(provider, string(Identity)) == nil
}

// cutKey tells of a key of a provider.
func cutKey(p Provider, key any) bool {
	if missingField(key, "name") || missingField(key, "secret") {
		return true
	}
	secret, isText := field(key, "secret").(string)
	if !isText {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(secret)
	defer clear(raw)
	return err != nil || !slices.Contains(p.keySizes(), len(raw))
}

// field is a field of a mapping, nil if there is none.
func field(of any, name string) any {
	fields, _ := of.(map[string]any)
	return fields[name]
}

// missingField is that a field is not there or empty.
func missingField(of any, name string) bool {
	value := field(of, name)
	return value == nil || value == ""
}

// list is a list that is not empty.
func list(of any) ([]any, bool) {
	entries, _ := of.([]any)
	return entries, len(entries) > 0
}
