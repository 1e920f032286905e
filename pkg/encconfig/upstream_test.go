// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"encoding/base64"
	"fmt"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

// upstream reads a configuration as kube-apiserver does, with automatic reload
// (k8s.io/apiserver@v0.37.2 pkg/server/options/encryptionconfig/config.go, loadConfig).
func upstream(data []byte) (*apiserver.EncryptionConfiguration, error) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	object, gvk, err := codecs.UniversalDecoder().Decode(data, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	config, ok := object.(*apiserver.EncryptionConfiguration)
	if !ok {
		return nil, fmt.Errorf("unexpected %s", gvk)
	}
	return config, validation.ValidateEncryptionConfiguration(config, true).ToAggregate()
}

// described says of upstream's configuration what Describe says of a Document.
func described(t testingT, data []byte, config *apiserver.EncryptionConfiguration) encconfig.Description {
	t.Helper()
	d := encconfig.Description{Digest: encconfig.Digest(data)}
	for _, c := range config.Resources {
		r := encconfig.Rule{Resources: c.Resources}
		for _, p := range c.Providers {
			r.Keys = append(r.Keys, transformers(t, p)...)
		}
		d.Rules = append(d.Rules, r)
	}
	return d
}

func transformers(t testingT, p apiserver.ProviderConfiguration) []encconfig.Key {
	t.Helper()
	switch {
	case p.AESGCM != nil:
		return localKeys(t, encconfig.AESGCM, p.AESGCM.Keys)
	case p.AESCBC != nil:
		return localKeys(t, encconfig.AESCBC, p.AESCBC.Keys)
	case p.Secretbox != nil:
		return localKeys(t, encconfig.Secretbox, p.Secretbox.Keys)
	case p.KMS != nil:
		return []encconfig.Key{{Provider: encconfig.KMS, Name: p.KMS.Name, Version: p.KMS.APIVersion}}
	default:
		return []encconfig.Key{key(encconfig.Identity, "")}
	}
}

func localKeys(t testingT, p encconfig.Provider, list []apiserver.Key) []encconfig.Key {
	t.Helper()
	var result []encconfig.Key
	for _, k := range list {
		raw, err := base64.StdEncoding.DecodeString(k.Secret)
		require.NoError(t, err)
		fingerprint := keys.New(raw).Fingerprint(string(p), k.Name)
		result = append(result, encconfig.Key{Provider: p, Name: k.Name, Fingerprint: fingerprint})
	}
	return result
}

// requireUpstreamAgrees holds a document against what kube-apiserver makes of the same bytes.
func requireUpstreamAgrees(t testingT, doc *encconfig.Document) {
	t.Helper()
	config, err := upstream(doc.Bytes())
	require.NoError(t, err, "kube-apiserver refuses what was accepted:\n%s", doc.Bytes())
	require.Equal(t, described(t, doc.Bytes(), config), doc.Describe(), "%s", doc.Bytes())
}
