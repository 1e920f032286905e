// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Files are those that kube-apiserver is given to reach etcd: --etcd-cafile, --etcd-certfile, --etcd-keyfile. Without the
// first the system's authorities are trusted, without the others no client certificate is shown.
type Files struct {
	CA, Cert, Key string
}

// tls is nil if there is no file. Errors hold names of files and nothing of what is in them.
func (f Files) tls() (*tls.Config, error) {
	if f == (Files{}) {
		return nil, nil //nolint:nilnil // no configuration is not an error
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		text, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("read the certificate authority of etcd: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate", f.CA)
		}
	}
	if f.Cert == "" && f.Key == "" {
		return config, nil
	}
	if f.Cert == "" || f.Key == "" {
		return nil, errors.New("a client certificate for etcd needs both its file and that of its key")
	}
	cert, err := os.ReadFile(f.Cert)
	if err != nil {
		return nil, fmt.Errorf("read the client certificate for etcd: %w", err)
	}
	key, err := os.ReadFile(f.Key)
	if err != nil {
		return nil, fmt.Errorf("read the client certificate's key for etcd: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil { // in own words: the library's may quote what it read
		return nil, fmt.Errorf("%s and %s are no pair of a certificate and its key", f.Cert, f.Key)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// transport says how to speak with an endpoint.
func transport(e endpoint, config *tls.Config) credentials.TransportCredentials {
	switch {
	case e.security == never, e.security == ifConfigured && config == nil:
		return insecure.NewCredentials()
	case config == nil:
		return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	return credentials.NewTLS(config)
}
