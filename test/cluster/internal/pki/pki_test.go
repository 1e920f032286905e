// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/pki"
)

func TestIssue_isTrustedForItsNamesOnly(t *testing.T) {
	t.Parallel()
	authority, err := pki.NewAuthority("test")
	require.NoError(t, err)
	pair, err := authority.Issue(pki.Subject{
		CommonName: "server", Organization: "group", Names: []string{"localhost"}, Addresses: []net.IP{net.IPv4(127, 0, 0, 2)},
	})
	require.NoError(t, err)
	loaded, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	require.NoError(t, err)

	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(authority.Certificate))
	for name, trusted := range map[string]bool{"localhost": true, "127.0.0.2": true, "127.0.0.3": false, "elsewhere": false} {
		_, err := loaded.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
		assert.Equal(t, trusted, err == nil, "%s: %v", name, err)
	}
	assert.Equal(t, []string{"group"}, loaded.Leaf.Subject.Organization)

	other, err := pki.NewAuthority("test")
	require.NoError(t, err)
	strangers := x509.NewCertPool()
	require.True(t, strangers.AppendCertsFromPEM(other.Certificate))
	_, err = loaded.Leaf.Verify(x509.VerifyOptions{Roots: strangers, DNSName: "localhost"})
	assert.Error(t, err, "an authority of the same name is another one")
}

func TestNewSigningKey_halvesAreToldApart(t *testing.T) {
	t.Parallel()
	private, public, err := pki.NewSigningKey()
	require.NoError(t, err)
	assert.Contains(t, string(private), "PRIVATE KEY")
	assert.NotContains(t, string(public), "PRIVATE")
}
