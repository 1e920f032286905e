// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package encryption writes the EncryptionConfiguration that a cluster starts
// with.
package encryption

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
)

// None stands for a cluster without encryption at rest.
const None = "none"

// Directory is where a node keeps the configuration; kube-apiserver mounts
// the folder, not the file, so that a file renamed into it is seen.
const Directory = "/etc/kubernetes/encryption"

// File is the configuration's path on a node.
const File = Directory + "/config.yaml"

// Providers lists what a cluster can start with.
func Providers() []string {
	return []string{None, "aesgcm", "aescbc", "secretbox"}
}

// Validate reports whether provider is one of Providers.
func Validate(provider string) error {
	if !slices.Contains(Providers(), provider) {
		return fmt.Errorf("unknown encryption %q: choose one of %s", provider, strings.Join(Providers(), ", "))
	}
	return nil
}

// NewConfig returns a configuration whose provider has one new key, named 1.
func NewConfig(provider string) ([]byte, error) {
	return render(provider, rand.Reader)
}

func render(provider string, random io.Reader) ([]byte, error) {
	if err := Validate(provider); err != nil {
		return nil, err
	}
	if provider == None {
		return nil, fmt.Errorf("render encryption configuration: there is none for %q", provider)
	}
	key := make([]byte, 32)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return fmt.Appendf(nil, `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources:
      - secrets
      - configmaps
    providers:
      - %s:
          keys:
            - name: "1"
              secret: %s
      - identity: {}
`, provider, base64.StdEncoding.EncodeToString(key)), nil
}
