// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// parseKMS keeps a KMS provider as it is: it has a name, and its keys are elsewhere. What else it says must be what
// kube-apiserver takes (k8s.io/apiserver@v0.37.2 pkg/apis/apiserver/validation/validation_encryption.go).
func parseKMS(n, body *yaml.Node) ([]transformer, error) {
	f, err := fields(body, "kms", "apiVersion", "name", "cachesize", "endpoint", "timeout")
	if err != nil {
		return nil, err
	}
	version := "v1"
	if f["apiVersion"] != nil {
		if version, err = text(f["apiVersion"], body, "apiVersion"); err != nil {
			return nil, err
		}
	}
	if version != "v1" && version != "v2" {
		return nil, refuse(body, "the apiVersion of kms must be v1 or v2")
	}
	name, err := text(f["name"], body, "name")
	if err != nil {
		return nil, err
	}
	if strings.Contains(name, ":") { // kube-apiserver takes it for v1
		return nil, refuse(body, "the name of kms must not contain ':', since stored values could not be told apart by it")
	}
	if err := checkKMS(f, body, version); err != nil {
		return nil, err
	}
	return []transformer{{key: Key{Provider: KMS, Name: name, Version: version}, node: n}}, nil
}

// checkKMS looks at the fields that say how a KMS plugin is reached.
func checkKMS(f map[string]*yaml.Node, body *yaml.Node, version string) error {
	endpoint, err := text(f["endpoint"], body, "endpoint")
	if err != nil {
		return err
	}
	if u, err := url.Parse(endpoint); err != nil || u.Scheme != "unix" {
		return refuse(body, "the endpoint of kms must be a unix socket")
	}
	if n := f["timeout"]; n != nil {
		limit, err := text(n, body, "timeout")
		if err != nil {
			return err
		}
		if d, err := time.ParseDuration(limit); err != nil || d <= 0 {
			return refuse(body, "the timeout of kms must be a positive duration such as 3s")
		}
	}
	if n := f["cachesize"]; n != nil {
		size, err := strconv.ParseInt(n.Value, 10, 32)
		if version != "v1" || !plain(n) || n.ShortTag() != "!!int" || err != nil || size == 0 || n.Value != strconv.FormatInt(size, 10) {
			return refuse(body, "the cachesize of kms must be a number that is not 0, and is for v1 only")
		}
	}
	return nil
}
