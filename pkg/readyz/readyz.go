// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package readyz

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// ReloadHook is the check of a kube-apiserver that reloads its encryption configuration
// (k8s.io/apiserver@v0.37.1 pkg/server/options/etcd.go).
const ReloadHook = "poststarthook/start-encryption-provider-config-automatic-reload"

const (
	// timeout bounds one question. kube-apiserver answers in milliseconds, or waits for etcd.
	timeout = 5 * time.Second
	// maxAnswer is far more than the list of all checks.
	maxAnswer = 64 << 10
)

// Answer is what a kube-apiserver says about itself.
type Answer struct {
	// Status is the HTTP status: 200 if it is ready.
	Status int
	// Certificate is the SHA-256 of the certificate that it served with, in hexadecimal.
	Certificate string
	// Checks are the names of all checks, Failed of those that failed.
	Checks, Failed []string
}

// Ready tells whether the kube-apiserver is ready.
func (a Answer) Ready() bool { return a.Status == okStatus }

// Has tells whether a check is among those that the kube-apiserver makes.
func (a Answer) Has(check string) bool { return slices.Contains(a.Checks, check) }

// String says in a few words why the kube-apiserver is not ready, or that it is.
func (a Answer) String() string {
	switch {
	case a.Ready():
		return "it is ready"
	case a.Status == unauthorizedStatus || a.Status == forbiddenStatus:
		return fmt.Sprintf("it answers /readyz with %d to a request without credentials, as where anonymous requests are turned off", a.Status)
	case len(a.Failed) > 0:
		return fmt.Sprintf("it answers /readyz with %d, what failed is %s", a.Status, strings.Join(a.Failed, ", "))
	}
	return fmt.Sprintf("it answers /readyz with %d", a.Status)
}

const (
	okStatus           = 200
	unauthorizedStatus = 401
	forbiddenStatus    = 403
)

// Ask asks the kube-apiserver at an address. The error is in words that can be shown.
func Ask(ctx context.Context, address string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var a Answer
	dialer := tls.Dialer{Config: &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // the caller compares the certificate with one that it saw before
		VerifyConnection: func(s tls.ConnectionState) error {
			sum := sha256.Sum256(s.PeerCertificates[0].Raw)
			a.Certificate = hex.EncodeToString(sum[:])
			return nil
		},
	}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return Answer{}, words(err)
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return Answer{}, words(err)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	err = a.exchange(conn)
	return a, err
}

func (a *Answer) exchange(conn io.ReadWriter) error {
	request := "GET /readyz?verbose HTTP/1.0\r\nHost: localhost\r\nUser-Agent: " + project.Name + "\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return words(err)
	}
	return a.read(bufio.NewReader(io.LimitReader(conn, maxAnswer)))
}

var (
	statusLine = regexp.MustCompile(`^HTTP/1\.[01] ([1-5][0-9][0-9])(?: |\r?\n)`)
	checkLine  = regexp.MustCompile(`^\[([+-])\]([A-Za-z0-9/._-]{1,128}) `)
)

// read reads the answer up to its end, which is that of the connection.
func (a *Answer) read(r *bufio.Reader) error {
	first, err := r.ReadString('\n')
	m := statusLine.FindStringSubmatch(first)
	if m == nil {
		return cmpErr(err, "what answers there does not speak HTTP")
	}
	if a.Status, err = strconv.Atoi(m[1]); err != nil {
		return words(err)
	}
	for {
		line, err := r.ReadString('\n')
		if check := checkLine.FindStringSubmatch(line); check != nil {
			a.Checks = append(a.Checks, check[2])
			if check[1] == "-" {
				a.Failed = append(a.Failed, check[2])
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return words(err)
		}
	}
}

func cmpErr(err error, otherwise string) error {
	if err != nil && !errors.Is(err, io.EOF) {
		return words(err)
	}
	return errors.New(otherwise)
}

// words says what went wrong without quoting anything that came from the other side.
func words(err error) error {
	errno, isErrno := errors.AsType[syscall.Errno](err)
	_, isTLS := errors.AsType[tls.RecordHeaderError](err)
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case isErrno:
		return errors.New(errno.Error())
	case isTLS:
		return errors.New("what answers there does not speak TLS")
	case errors.Is(err, os.ErrDeadlineExceeded), isNet && netErr.Timeout():
		return fmt.Errorf("no answer within %s", timeout)
	}
	return errors.New("the connection broke")
}
