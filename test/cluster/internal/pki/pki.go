// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki makes the certificates of a control plane that no kubeadm sets
// up.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// validity is longer than any test and shorter than anybody's memory.
const validity = 30 * 24 * time.Hour

// Authority signs certificates.
type Authority struct {
	// Certificate is the authority's own, in PEM.
	Certificate []byte

	parsed *x509.Certificate
	key    *ecdsa.PrivateKey
}

// Subject is whom a certificate names.
type Subject struct {
	CommonName   string
	Organization string
	// Addresses and Names are those of a server; a client has none.
	Addresses []net.IP
	Names     []string
}

// Pair is a certificate and its key, in PEM.
type Pair struct {
	Certificate, Key []byte
}

// NewAuthority makes an authority that lasts as long as its certificates.
func NewAuthority(name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of authority: %w", err)
	}
	template, err := newTemplate(Subject{CommonName: name})
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign authority: %w", err)
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	return &Authority{Certificate: encode("CERTIFICATE", raw), parsed: parsed, key: key}, nil
}

// Issue makes a certificate for subject, valid for a server and a client.
func (a *Authority) Issue(subject Subject) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make key of %s: %w", subject.CommonName, err)
	}
	template, err := newTemplate(subject)
	if err != nil {
		return Pair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.parsed, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("sign certificate of %s: %w", subject.CommonName, err)
	}
	private, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Certificate: encode("CERTIFICATE", raw), Key: private}, nil
}

// NewSigningKey makes the two halves of a key that signs tokens.
func NewSigningKey() (private, public []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make signing key: %w", err)
	}
	private, err = encodeKey(key)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, nil, fmt.Errorf("encode signing key: %w", err)
	}
	return private, encode("PUBLIC KEY", raw), nil
}

func newTemplate(subject Subject) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	name := pkix.Name{CommonName: subject.CommonName}
	if subject.Organization != "" {
		name.Organization = []string{subject.Organization}
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: name,
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(validity),
		IPAddresses: subject.Addresses, DNSNames: subject.Names,
	}, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return encode("EC PRIVATE KEY", raw), nil
}

func encode(kind string, raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})
}
