// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-encryption/kubectl-encryption/test/faults/proxy"
)

// text is what the server answers; half of it is "as it ".
const text = "as it was!"

// server is one that a proxy stands before. It counts what it was asked.
type server struct {
	proxy *proxy.Proxy
	asked atomic.Int32
}

func start(t *testing.T, rules ...proxy.Rule) *server {
	t.Helper()
	s := &server{}
	upstream := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if r.Header.Get("Upgrade") != "" {
			echo(w)
			return
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(upstream.Close)
	p, err := proxy.Start(&rest.Config{Host: upstream.URL, TLSClientConfig: rest.TLSClientConfig{
		CAData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upstream.Certificate().Raw}),
	}})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	p.Inject(rules...)
	s.proxy = p
	return s
}

// echo takes the connection over and sends back what comes.
func echo(w http.ResponseWriter) {
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	_, _ = io.Copy(c, buffered)
}

// outcome is what a client sees of one request: a status code and what could be read of the body.
type outcome struct {
	code int
	body string
	// broken: the request, or the reading of its answer, ended with an error.
	broken bool
}

func (s *server) ask(t *testing.T, method, path string) (outcome, http.Header) {
	t.Helper()
	client, err := rest.HTTPClientFor(s.proxy.Config())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.proxy.URL+path, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	if err != nil {
		return outcome{broken: true}, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return outcome{resp.StatusCode, string(body), err != nil}, resp.Header
}

func TestWhatNoRuleMatchesPasses(t *testing.T) {
	s := start(t, proxy.Rule{Fault: proxy.Refuse(), Match: proxy.Patches})
	got, _ := s.ask(t, http.MethodGet, "/")
	assert.Equal(t, outcome{200, text, false}, got)
	assert.Zero(t, s.proxy.Faults())
	assert.Equal(t, 1, s.proxy.Requests())
}

func TestEachFaultDoesWhatItSays(t *testing.T) {
	for name, row := range map[string]struct {
		fault proxy.Fault
		want  outcome
		// asked is how often the server learns of the request, at least and at most: a client repeats a GET whose
		// connection broke before any answer.
		least, most int32
	}{
		"an answer in the server's place":       {proxy.Answer(503, metav1.StatusReasonServiceUnavailable, "away"), outcome{code: 503, body: "away"}, 0, 0},
		"429 without Retry-After":               {proxy.TooMany(0), outcome{code: 429, body: "TooManyRequests"}, 0, 0},
		"410":                                   {proxy.Expired(), outcome{code: 410, body: "Expired"}, 0, 0},
		"a page of HTML":                        {proxy.Page(), outcome{code: 200, body: "Please sign in"}, 0, 0},
		"a connection that breaks before":       {proxy.Refuse(), outcome{broken: true}, 0, 0},
		"an answer that is lost":                {proxy.Lose(), outcome{broken: true}, 1, 9},
		"a connection that breaks in an answer": {proxy.Half(), outcome{code: 200, body: "as it", broken: true}, 1, 1},
		"slow":                                  {proxy.Slow(time.Millisecond), outcome{code: 200, body: text}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, proxy.Rule{Fault: row.fault})
			got, _ := s.ask(t, http.MethodGet, "/")
			assert.Contains(t, got.body, row.want.body)
			if row.want.broken {
				assert.NotEqual(t, text, got.body, "the whole answer does not arrive")
			}
			got.body = row.want.body
			assert.Equal(t, row.want, got)
			assert.GreaterOrEqual(t, s.asked.Load(), row.least)
			assert.LessOrEqual(t, s.asked.Load(), row.most)
			assert.Positive(t, s.proxy.Faults())
		})
	}
}

func TestHeadersOfFaults(t *testing.T) {
	t.Run("Retry-After is there where it is asked for", func(t *testing.T) {
		_, header := start(t, proxy.Rule{Fault: proxy.TooMany(3 * time.Second)}).ask(t, http.MethodGet, "/")
		assert.Equal(t, "3", header.Get("Retry-After"))
		_, header = start(t, proxy.Rule{Fault: proxy.TooMany(0)}).ask(t, http.MethodGet, "/")
		assert.Empty(t, header.Get("Retry-After"))
	})
	t.Run("a wrong clock is the only one that an answer shows", func(t *testing.T) {
		got, header := start(t, proxy.Rule{Fault: proxy.Clock(time.Hour)}).ask(t, http.MethodGet, "/")
		assert.Equal(t, text, got.body)
		require.Len(t, header["Date"], 1)
		date, err := http.ParseTime(header.Get("Date"))
		require.NoError(t, err)
		assert.InDelta(t, time.Hour.Seconds(), time.Until(date).Seconds(), time.Minute.Seconds())
	})
}

func TestAFaultThatNeverAnswersEndsWithTheClient(t *testing.T) {
	s := start(t, proxy.Rule{Fault: proxy.Hang()})
	client, err := rest.HTTPClientFor(s.proxy.Config())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.proxy.URL, nil)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		ended <- err
	}()
	assert.Eventually(t, func() bool { return s.proxy.Faults() == 1 }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	assert.Zero(t, s.asked.Load())
}

func TestRules(t *testing.T) {
	ask := func(s *server, method, path string, times int) (codes []int) {
		for range times {
			got, _ := s.ask(t, method, path)
			codes = append(codes, got.code)
		}
		return codes
	}
	away := proxy.Answer(503, "", "")
	t.Run("each nth is taken, so many times at most", func(t *testing.T) {
		s := start(t, proxy.Rule{Fault: away, Every: 2, Times: 2})
		assert.Equal(t, []int{200, 503, 200, 503, 200, 200}, ask(s, http.MethodGet, "/", 6))
		assert.Equal(t, map[string]int{"503": 2}, s.proxy.Happened())
	})
	t.Run("the first rule that has something to say decides", func(t *testing.T) {
		s := start(t, proxy.Rule{Fault: away, Times: 1}, proxy.Rule{Fault: proxy.TooMany(0), Match: proxy.Under("/b")})
		assert.Equal(t, []int{503, 429}, ask(s, http.MethodGet, "/a/b", 2))
		assert.Equal(t, []int{200}, ask(s, http.MethodGet, "/a", 1))
	})
	t.Run("new rules replace the old ones", func(t *testing.T) {
		s := start(t, proxy.Rule{Fault: away})
		s.proxy.Inject()
		assert.Equal(t, []int{200}, ask(s, http.MethodGet, "/", 1))
	})
	t.Run("requests are told apart", func(t *testing.T) {
		s := start(t, proxy.Rule{Fault: away, Match: proxy.All(proxy.Plain, proxy.NextPages)}, proxy.Rule{Fault: proxy.TooMany(0), Match: proxy.Writes})
		assert.Equal(t, []int{503}, ask(s, http.MethodGet, "/?continue=x", 1))
		assert.Equal(t, []int{200}, ask(s, http.MethodGet, "/?limit=1", 1))
		assert.Equal(t, []int{429}, ask(s, http.MethodPatch, "/?continue=x", 1))
	})
}

func TestAServerThatIsGoneIsNoAnswer(t *testing.T) {
	p, err := proxy.Start(&rest.Config{Host: "https://127.0.0.1:1", TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	got, _ := (&server{proxy: p}).ask(t, http.MethodGet, "/")
	assert.Equal(t, outcome{broken: true}, got)
}

func TestAnUpgradedConnectionPassesAndCanBeCut(t *testing.T) {
	s := start(t)
	pool := &tls.Config{InsecureSkipVerify: true}
	c, err := (&tls.Dialer{Config: pool}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.proxy.URL, "https://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	require.NoError(t, err)
	readUntil(t, c, "\r\n\r\n")
	_, err = io.WriteString(c, "hello\n")
	require.NoError(t, err)
	assert.Equal(t, "hello\n", readUntil(t, c, "\n"))
	assert.Equal(t, 1, s.proxy.CutAll())
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
}

func readUntil(t *testing.T, c net.Conn, end string) string {
	t.Helper()
	var got []byte
	for !strings.HasSuffix(string(got), end) {
		one := make([]byte, 1)
		_, err := c.Read(one)
		require.NoError(t, err)
		got = append(got, one...)
	}
	return string(got)
}

func TestAKubeconfigLeadsToTheProxy(t *testing.T) {
	s := start(t)
	path, err := s.proxy.Kubeconfig(t.TempDir())
	require.NoError(t, err)
	config, err := clientcmd.BuildConfigFromFlags("", path)
	require.NoError(t, err)
	client, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Host, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, 200, resp.StatusCode)
}
