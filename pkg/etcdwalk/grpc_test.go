// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// authority signs certificates for 127.0.0.1.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	a := &authority{dir: tb.TempDir()}
	a.cert, a.key = a.issue(tb, "ca")
	return a
}

// issue writes NAME.crt and NAME.key; the first is the authority's own.
func (a *authority) issue(tb testing.TB, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotAfter: time.Now().Add(time.Hour), IsCA: a.cert == nil, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(tb, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(tb, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(tb, err)
	for file, block := range map[string]*pem.Block{
		name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		require.NoError(tb, os.WriteFile(a.file(file), pem.EncodeToMemory(block), 0o600))
	}
	return cert, key
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) files(name string) Files {
	return Files{CA: a.file("ca.crt"), Cert: a.file(name + ".crt"), Key: a.file(name + ".key")}
}

// serve lets a modelled member answer over gRPC on the loopback, and gives its address. Without an authority there is no TLS;
// with one clients have to show its certificate.
func (m *modelled) serve(tb testing.TB, a *authority) string {
	tb.Helper()
	security := insecure.NewCredentials()
	if a != nil {
		a.issue(tb, "server")
		pair, err := tls.LoadX509KeyPair(a.file("server.crt"), a.file("server.key"))
		require.NoError(tb, err)
		pool := x509.NewCertPool()
		pool.AddCert(a.cert)
		security = credentials.NewTLS(&tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		})
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	server := grpc.NewServer(grpc.Creds(security))
	pb.RegisterKVServer(server, m)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	tb.Cleanup(func() {
		server.Stop()
		assert.NoError(tb, <-done)
	})
	return listener.Addr().String()
}

// nobody is an address at which nobody listens.
func nobody(tb testing.TB) string {
	tb.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	require.NoError(tb, listener.Close())
	return listener.Addr().String()
}

func open(tb testing.TB, c Config) *Client {
	tb.Helper()
	client, err := Open(c)
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, client.Close()) })
	return client
}

func TestWalkOverGRPC(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 1<<20)
	keys := numbered("/k/", 3000)
	m := newModelled().fill(keys, "v").fill(numbered("/k/1-large/", 40), large)
	var s seen
	c := open(t, Config{Endpoints: []string{"http://" + nobody(t), "http://" + m.serve(t, nil)}})
	result, err := c.Walk(t.Context(), Options{Prefix: []byte("/k/")}, s.each)
	require.NoError(t, err)
	assert.Equal(t, Result{Revision: 3, Done: true, Count: 3040}, result)
	assert.Equal(t, under(m.newest(), "/k/", ""), s.keys)
	assert.Equal(t, large, s.values["/k/1-large/0000007"])
}

func TestACompactionOverGRPCIsUnderstood(t *testing.T) {
	t.Parallel()
	m := newModelled().with("/a", "/b", "/c", "/d")
	m.compacted = 4
	var s seen
	result, err := open(t, Config{Endpoints: []string{m.serve(t, nil)}}).Walk(t.Context(), Options{Revision: 2}, s.each)
	require.NoError(t, err)
	assert.Equal(t, Result{Revision: 5, Done: true, Count: 4, Compactions: 1}, result)
	_, err = open(t, Config{Endpoints: []string{newModelled().serve(t, nil)}}).Walk(t.Context(), Options{Revision: 2}, s.each)
	require.ErrorContains(t, err, "it does not have revision 2")
}

func TestAValueThatIsTooLargeOverGRPCIsAnError(t *testing.T) {
	t.Parallel()
	m := newModelled()
	m.put("/a", strings.Repeat("secret", 3<<20))
	_, err := open(t, Config{Endpoints: []string{m.serve(t, nil)}}).Walk(t.Context(), Options{}, nil)
	require.ErrorContains(t, err, `the value at or after key "" has more than 16 MiB`)
}

func TestWalkShowsItsCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.issue(t, "client")
	for _, scheme := range []string{"https://", ""} {
		var s seen
		c := open(t, Config{Endpoints: []string{scheme + newModelled().with("/a").serve(t, a)}, Files: a.files("client")})
		_, err := c.Walk(t.Context(), Options{}, s.each)
		require.NoError(t, err)
		assert.Equal(t, []string{"/a"}, s.keys)
	}
}

func TestWhoHasTheWrongCertificateIsToldAndNoMore(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	ours.issue(t, "client")
	theirs.issue(t, "client")
	address := newModelled().with("/a").serve(t, ours)
	// Whom the server refuses may find the connection gone before it has read why (TLS 1.3).
	const refused = "tls|broken pipe|connection reset|EOF"
	for name, tt := range map[string]struct {
		files Files
		// why is what the error says.
		why string
	}{
		"another authority of the server":  {Files{CA: theirs.file("ca.crt"), Cert: ours.file("client.crt"), Key: ours.file("client.key")}, "tls"},
		"a client that the server refuses": {Files{CA: ours.file("ca.crt"), Cert: theirs.file("client.crt"), Key: theirs.file("client.key")}, refused},
		"no client certificate":            {Files{CA: ours.file("ca.crt")}, refused},
		"no file at all":                   {Files{}, "tls"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c := open(t, Config{Endpoints: []string{"https://" + address}, Files: tt.files})
			_, err := c.members[0].ask(ctx, &pb.RangeRequest{Key: []byte("/"), Limit: 1})
			require.Error(t, err)
			assert.Regexp(t, tt.why, err.Error())
			assert.NotContains(t, err.Error(), "PRIVATE")
		})
	}
}

func TestOpenTellsWhatIsWrongWithItsFiles(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.issue(t, "client")
	a.issue(t, "other")
	empty, missing := a.file("empty"), a.file("missing")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	client := a.files("client")
	for name, tt := range map[string]struct {
		files Files
		want  string
	}{
		"no authority there":        {Files{CA: missing}, "read the certificate authority of etcd: "},
		"an authority without any":  {Files{CA: empty}, "holds no certificate"},
		"a certificate alone":       {Files{Cert: client.Cert}, "needs both"},
		"a key alone":               {Files{Key: client.Key}, "needs both"},
		"no certificate there":      {Files{Cert: missing, Key: client.Key}, "read the client certificate for etcd: "},
		"no key there":              {Files{Cert: client.Cert, Key: missing}, "read the client certificate's key for etcd: "},
		"the key of another":        {Files{Cert: client.Cert, Key: a.file("other.key")}, "are no pair"},
		"a key for a certificate":   {Files{Cert: client.Key, Key: client.Key}, "are no pair"},
		"an empty file for the key": {Files{Cert: client.Cert, Key: empty}, "are no pair"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(Config{Endpoints: []string{"https://127.0.0.1:1"}, Files: tt.files})
			require.ErrorContains(t, err, tt.want)
			assert.NotContains(t, err.Error(), "BEGIN")
		})
	}
}

func TestOpenRefusesEndpointsThatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "https://", "https://host", "ftp://host:1", "https://user:password@host:1:2", "https://us er:password@host:1", "host"} {
		_, err := Open(Config{Endpoints: []string{"https://127.0.0.1:1", text}})
		require.ErrorContains(t, err, "endpoint 2 of etcd can't be used", "%q", text)
		assert.NotContains(t, err.Error(), "password")
	}
	_, err := Open(Config{})
	require.Error(t, err)
	_, err = Open(Config{Endpoints: []string{"https://127.0.0.1:1"}, MaxRate: -1})
	require.Error(t, err)
}

func TestEndpointsAreReadAsKubeAPIServerDoes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]endpoint{
		"https://127.0.0.1:2379":        {"127.0.0.1:2379", "passthrough:///127.0.0.1:2379", always},
		"https://[::1]:2379":            {"[::1]:2379", "passthrough:///[::1]:2379", always},
		"http://etcd.local:2379":        {"etcd.local:2379", "passthrough:///etcd.local:2379", never},
		"10.0.0.1:2379":                 {"10.0.0.1:2379", "passthrough:///10.0.0.1:2379", ifConfigured},
		"https://user:password@host:1/": {"host:1", "passthrough:///host:1", always},
		"unix:///run/etcd.sock":         {"unix:/run/etcd.sock", "unix:/run/etcd.sock", ifConfigured},
	} {
		got, err := parseEndpoint(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got)
	}
}

func TestASocketOfTheNodeIsAnEndpoint(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "etcd.sock")
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "unix", path)
	require.NoError(t, err)
	server := grpc.NewServer()
	pb.RegisterKVServer(server, newModelled().with("/a"))
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	var s seen
	_, err = open(t, Config{Endpoints: []string{"unix://" + path}}).Walk(t.Context(), Options{}, s.each)
	require.NoError(t, err)
	assert.Equal(t, []string{"/a"}, s.keys)
	server.Stop()
	require.NoError(t, <-done)
}
