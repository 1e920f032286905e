// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// controlPlane is what the test cluster tells of itself, and the clients for it.
type controlPlane struct {
	Kubeconfig string `json:"kubeconfig"`
	Etcd       struct {
		Endpoint string `json:"endpoint"`
		Process  struct {
			PID int `json:"pid"`
		} `json:"process"`
	} `json:"etcd"`
	// SecondEtcd has an endpoint where the control plane was asked to have two.
	SecondEtcd struct {
		Endpoint string `json:"endpoint"`
	} `json:"secondEtcd"`
	APIServers []*instance `json:"apiservers"`

	dir      string
	migrator *migrate.MetadataClient
	// typed and objects go through the balancer.
	typed   *kubernetes.Clientset
	objects *dynamic.DynamicClient
	// keys of the configuration that was written last, the write key first.
	keys []encryptionKey
}

// instance is one kube-apiserver.
type instance struct {
	Name             string `json:"name"`
	URL              string `json:"url"`
	Kubeconfig       string `json:"kubeconfig"`
	EncryptionConfig string `json:"encryptionConfig"`
	Log              string `json:"log"`
	AuditLog         string `json:"auditLog"`

	typed   *kubernetes.Clientset
	objects *dynamic.DynamicClient
}

type encryptionKey struct{ provider, name, secret string }

// prefix is what a value begins with that is stored with the key.
func (k encryptionKey) prefix() string { return "k8s:enc:" + k.provider + ":v1:" + k.name + ":" }

func (cp *controlPlane) connect() error {
	config, err := load(cp.Kubeconfig)
	if err != nil {
		return err
	}
	if cp.migrator, err = migrate.NewClientForConfig(config); err != nil {
		return err
	}
	if cp.typed, cp.objects, err = clients(config); err != nil {
		return err
	}
	for _, in := range cp.APIServers {
		config, err := load(in.Kubeconfig)
		if err != nil {
			return err
		}
		if in.typed, in.objects, err = clients(config); err != nil {
			return err
		}
	}
	return nil
}

func load(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}

func clients(config *rest.Config) (*kubernetes.Clientset, *dynamic.DynamicClient, error) {
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, nil, err
	}
	objects, err := dynamic.NewForConfig(config)
	return typed, objects, err
}

// rotate makes a new key the write key of all kube-apiservers, by the two steps that keep everything readable, and
// returns it when each of them has loaded it.
func (cp *controlPlane) rotate(t *testing.T, provider string) encryptionKey {
	t.Helper()
	fresh := encryptionKey{provider, fmt.Sprintf("k%d", len(cp.keys)+1), newSecret(t)}
	if len(cp.keys) == 0 {
		cp.keys = []encryptionKey{cp.firstKey(t)}
	}
	cp.write(t, append(slices.Clone(cp.keys), fresh))
	cp.write(t, append([]encryptionKey{fresh}, cp.keys...))
	cp.keys = append([]encryptionKey{fresh}, cp.keys...)
	return fresh
}

// newSecret is a key's value as a configuration has it.
func newSecret(t *testing.T) string {
	t.Helper()
	secret := make([]byte, 32)
	_, err := rand.Read(secret)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(secret)
}

// firstKey is the key that the test cluster was started with.
func (cp *controlPlane) firstKey(t *testing.T) encryptionKey {
	t.Helper()
	data, err := os.ReadFile(cp.APIServers[0].EncryptionConfig)
	require.NoError(t, err)
	_, after, found := strings.Cut(string(data), "secret: ")
	require.True(t, found)
	secret, _, _ := strings.Cut(after, "\n")
	return encryptionKey{"aesgcm", "1", secret}
}

// write puts a configuration before every kube-apiserver and waits until each says that it has loaded it.
func (cp *controlPlane) write(t *testing.T, keys []encryptionKey) {
	t.Helper()
	config := configuration(keys)
	sum := sha256.Sum256([]byte(config))
	for _, in := range cp.APIServers {
		fresh := filepath.Join(filepath.Dir(in.EncryptionConfig), ".fresh")
		require.NoError(t, os.WriteFile(fresh, []byte(config), 0o600))
		require.NoError(t, os.Rename(fresh, in.EncryptionConfig))
	}
	for _, in := range cp.APIServers {
		in.awaitHash(t, "sha256:"+hex.EncodeToString(sum[:]))
	}
}

func (in *instance) awaitHash(t *testing.T, hash string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		metrics, err := in.typed.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
		return err == nil && strings.Contains(string(metrics), `hash="`+hash+`"} 1`), nil
	})
	require.NoError(t, err, "%s has not loaded %s", in.Name, hash)
}

// configuration encrypts Secrets, ConfigMaps and the custom resources of these tests.
func configuration(keys []encryptionKey) string {
	var b strings.Builder
	b.WriteString("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n  - resources:\n")
	for _, resource := range []string{"secrets", "configmaps", "widgets." + group, "gadgets." + group} {
		fmt.Fprintf(&b, "      - %s\n", resource)
	}
	b.WriteString("    providers:\n")
	for i, k := range keys {
		if i == 0 || keys[i-1].provider != k.provider {
			fmt.Fprintf(&b, "      - %s:\n          keys:\n", k.provider)
		}
		fmt.Fprintf(&b, "            - name: %q\n              secret: %s\n", k.name, k.secret)
	}
	b.WriteString("      - identity: {}\n")
	return b.String()
}
