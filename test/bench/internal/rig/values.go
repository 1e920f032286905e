// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// ValuesPrefix is what the keys of the values begin with that are written past kube-apiserver, as --etcd-prefix. It is none that
// kube-apiserver watches: a million Secrets in its cache would be what is measured.
const ValuesPrefix = "/bench"

// Values are Secrets as kube-apiserver would store them with aesgcm, written straight into etcd.
type Values struct {
	Count, Size int
	// secret of the key.
	secret [32]byte
}

// NewValues makes a key for so many values of so many bytes.
func NewValues(count, size int) (*Values, error) {
	v := &Values{Count: count, Size: size}
	if _, err := rand.Read(v.secret[:]); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return v, nil
}

// Config is a configuration whose write key they are under, or one that has that key for reading only.
func (v *Values) Config(stale bool) []byte {
	var b strings.Builder
	b.WriteString("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n" +
		"  - resources:\n      - secrets\n    providers:\n      - aesgcm:\n          keys:\n")
	if stale {
		fmt.Fprintf(&b, "            - name: \"2\"\n              secret: %s\n", base64.StdEncoding.EncodeToString(make([]byte, 32)))
	}
	fmt.Fprintf(&b, "            - name: \"1\"\n              secret: %s\n", base64.StdEncoding.EncodeToString(v.secret[:]))
	return []byte(b.String())
}

// FillValues writes the values, in the order of their keys as far as several writers keep it.
func (r *Rig) FillValues(ctx context.Context, v *Values) error {
	const transaction, writers = 128, 8 // etcd takes no more than 128 operations at once
	block, err := aes.NewCipher(v.secret[:])
	if err != nil {
		return fmt.Errorf("make cipher: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return fmt.Errorf("make cipher: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	for from := 0; from < v.Count; from += transaction {
		g.Go(func() error {
			var puts []clientv3.Op
			for i := from; i < min(from+transaction, v.Count); i++ {
				key, value, err := v.stored(gcm, i)
				if err != nil {
					return err
				}
				puts = append(puts, clientv3.OpPut(key, value))
			}
			if _, err := r.etcd.Txn(ctx).Then(puts...).Commit(); err != nil {
				return fmt.Errorf("write values: %w", err)
			}
			return nil
		})
	}
	return g.Wait()
}

// stored is a value with its key: a prefix, a nonce and what is encrypted, with the key as additional data (k8s.io/apiserver@v0.37.2
// pkg/storage/value/encrypt/aes/aes.go).
func (v *Values) stored(gcm cipher.AEAD, i int) (key, value string, err error) {
	const namespaces = 1000
	meta := metav1.ObjectMeta{Namespace: fmt.Sprintf("namespace-%03d", i*namespaces/v.Count), Name: fmt.Sprintf("secret-%07d", i)}
	key = ValuesPrefix + "/secrets/" + meta.Namespace + "/" + meta.Name
	object, err := encoded(&corev1.Secret{ObjectMeta: meta, Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"data": nil}})
	if err != nil {
		return "", "", err
	}
	data := make([]byte, max(1, v.Size-len(object)))
	if object, err = encoded(&corev1.Secret{ObjectMeta: meta, Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"data": data}}); err != nil {
		return "", "", err
	}
	nonce := make([]byte, gcm.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", "", fmt.Errorf("make nonce: %w", err)
	}
	return key, "k8s:enc:aesgcm:v1:1:" + string(gcm.Seal(nonce, nonce, object, []byte(key))), nil
}

// encoded is an object as it is stored.
func encoded(o runtime.Object) ([]byte, error) {
	o.GetObjectKind().SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	data, err := runtime.Encode(protobuf.NewSerializer(scheme.Scheme, scheme.Scheme), o)
	if err != nil {
		return nil, fmt.Errorf("encode object: %w", err)
	}
	return data, nil
}

// SaveSnapshot saves a snapshot of etcd, as etcdctl does.
func (r *Rig) SaveSnapshot(ctx context.Context, path string) error {
	in, err := r.etcd.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return fmt.Errorf("save snapshot: %w", err)
	}
	return out.Close()
}
