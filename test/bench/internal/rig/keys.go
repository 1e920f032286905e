// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
	"k8s.io/apimachinery/pkg/util/wait"
)

// keyPair are the two keys that take turns in being the write key. Both are always in the configuration, so that
// whatever is stored, by whomever, stays readable; and with one kube-apiserver no other has to read first.
type keyPair struct {
	names   [2]string
	secrets [2]string
	// write is the index of the write key.
	write int
}

// readKeys takes the key that the control plane was started with, named 1, and makes another.
func readKeys(file string) (keyPair, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return keyPair{}, fmt.Errorf("read keys: %w", err)
	}
	_, after, found := strings.Cut(string(data), "secret: ")
	if !found {
		return keyPair{}, errors.New("read keys: there is none")
	}
	first, _, _ := strings.Cut(after, "\n")
	second := make([]byte, 32)
	if _, err := rand.Read(second); err != nil {
		return keyPair{}, fmt.Errorf("make key: %w", err)
	}
	return keyPair{
		names: [2]string{"1", "2"}, secrets: [2]string{first, base64.StdEncoding.EncodeToString(second)},
	}, nil
}

// configuration is the file with the write key first.
func (k keyPair) configuration() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources:
      - secrets
      - configmaps
    providers:
      - %s:
          keys:
`, Provider)
	for _, i := range []int{k.write, 1 - k.write} {
		fmt.Fprintf(&b, "            - name: %q\n              secret: %s\n", k.names[i], k.secrets[i])
	}
	b.WriteString("      - identity: {}\n")
	return b.Bytes()
}

// prefix is what a value begins with that is stored with the write key.
func (k keyPair) prefix() []byte {
	return fmt.Appendf(nil, "k8s:enc:%s:v1:%s:", Provider, k.names[k.write])
}

// Flip makes the other key the write key, so that everything stored is stale, and returns when kube-apiserver says
// that it has loaded that configuration.
func (r *Rig) Flip(ctx context.Context) error {
	r.keys.write = 1 - r.keys.write
	content := r.keys.configuration()
	fresh := filepath.Join(filepath.Dir(r.config), ".fresh")
	if err := os.WriteFile(fresh, content, 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := os.Rename(fresh, r.config); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	sum := sha256.Sum256(content)
	return r.awaitLoaded(ctx, "sha256:"+hex.EncodeToString(sum[:]))
}

func (r *Rig) awaitLoaded(ctx context.Context, digest string) error {
	const interval, limit = 250 * time.Millisecond, time.Minute
	err := wait.PollUntilContextTimeout(ctx, interval, limit, false, func(ctx context.Context) (bool, error) {
		metrics, err := r.typed.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // asked again
		}
		evidence, err := reload.Parse(bytes.NewReader(metrics))
		return err == nil && evidence.Proves(digest, time.Time{}).Loaded, err
	})
	if err != nil {
		return fmt.Errorf("await that %s is loaded: %w", digest, err)
	}
	return nil
}
