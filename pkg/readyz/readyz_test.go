// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package readyz

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func serve(t *testing.T, status int, body string) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/readyz?verbose" || r.Header.Get("Authorization") != "" {
			status = http.StatusTeapot
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestAsk(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		status  int
		body    string
		ready   bool
		reloads bool
		says    string
	}{
		{
			"ready, and reloads => both", 200,
			"[+]ping ok\n[+]" + ReloadHook + " ok\n[+]shutdown ok\nreadyz check passed\n", true, true, "it is ready",
		},
		{"ready, and does not reload => ready", 200, "[+]ping ok\n[+]etcd ok\nreadyz check passed\n", true, false, "it is ready"},
		{
			"not ready => names what failed", 500,
			"[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed\n",
			false, false, "it answers /readyz with 500, what failed is etcd, poststarthook/rbac/bootstrap-roles",
		},
		{"anonymous requests are off => says so", 401, `{"kind":"Status"}`, false, false, "401 to a request without credentials"},
		{"anonymous requests are forbidden => says so", 403, "", false, false, "403 to a request without credentials"},
		{"a hook that only quotes the name => is not it", 200, "text [+]" + ReloadHook + " ok\n", true, false, "it is ready"},
		{"control characters in a check => not taken", 500, "[-]\x1b[31m failed\n[-]a\x00b failed\n", false, false, "it answers /readyz with 500"},
		{"an endless answer => cut", 200, strings.Repeat("[+]ping ok\n", 1<<16), true, false, "it is ready"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.status, tt.body)
			a, err := Ask(t.Context(), s.Listener.Addr().String())
			require.NoError(t, err)
			assert.Equal(t, tt.ready, a.Ready())
			assert.Equal(t, tt.reloads, a.Has(ReloadHook))
			assert.Contains(t, a.String(), tt.says)
			sum := sha256.Sum256(s.Certificate().Raw)
			assert.Equal(t, hex.EncodeToString(sum[:]), a.Certificate)
			assert.Less(t, len(a.Checks), 1<<14)
		})
	}
}

func listen(t *testing.T, answer string) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestAsk_whatIsNoKubeAPIServer(t *testing.T) {
	t.Parallel()
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	_, err = Ask(t.Context(), closed.Addr().String())
	require.EqualError(t, err, "connection refused")

	_, err = Ask(t.Context(), listen(t, "SSH-2.0-canary\r\nwhat is this\r\n"))
	require.EqualError(t, err, "what answers there does not speak TLS")

	_, err = Ask(t.Context(), listen(t, ""))
	require.Error(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Ask(ctx, closed.Addr().String())
	require.ErrorIs(t, err, context.Canceled)
}

type exchange struct {
	*strings.Reader
}

func (exchange) Write(data []byte) (int, error) { return len(data), nil }

func TestExchange_answersThatAreNotHTTP(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"nothing": "", "a line": "hello\n", "a cut line": "HTTP/1.", "another version": "HTTP/2 200 OK\r\n\r\n",
		"no status": "HTTP/1.0 OK\r\n\r\n", "a long status": "HTTP/1.0 2000\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var a Answer
			require.EqualError(t, a.exchange(exchange{strings.NewReader(answer)}), "what answers there does not speak HTTP")
			assert.False(t, a.Ready())
		})
	}
}
