// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package listserver

import (
	"crypto/tls"
	"net/http/httptest"
)

// Start serves objects over HTTPS and HTTP/2 on the loopback until it is closed, as kube-apiserver would.
func Start(objects int) *httptest.Server {
	server := httptest.NewUnstartedServer(New(objects))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	return server
}
