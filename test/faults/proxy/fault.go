// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Fault is something that happens to a request.
type Fault struct {
	name string
	do   func(w http.ResponseWriter, r *http.Request, pass http.Handler)
}

// Answer answers in the server's place, with a Status. The server does not learn of the request.
func Answer(code int, reason metav1.StatusReason, message string) Fault {
	return Fault{strconv.Itoa(code), func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		answer(w, code, reason, message)
	}}
}

// TooMany answers 429, with the Retry-After that is given, or without one if it is 0.
func TooMany(after time.Duration) Fault {
	name := "429"
	if after > 0 {
		name = "429 with Retry-After"
	}
	return Fault{name, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
		}
		answer(w, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests, please try again later")
	}}
}

// Expired answers as a server does that has compacted a list away and offers no way to go on
// (k8s.io/apiserver@v0.37.2 pkg/storage/etcd3/errors.go, handleCompactedErrorForPaging).
func Expired() Fault {
	return Fault{"410", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		answer(w, http.StatusGone, metav1.StatusReasonExpired, "The provided continue parameter is too old to display a consistent list result")
	}}
}

func answer(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message, //nolint:gosec // an HTTP status code
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(status) // who asks finds out
}

// Page answers 200 with a page of HTML, as portals and badly set up load balancers do.
func Page() Fault {
	return Fault{"a page of HTML", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Please sign in</title>\x1b[2J")
	}}
}

// Refuse breaks the connection before the server learns of the request.
func Refuse() Fault {
	return Fault{"cut before", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { cut(r) }}
}

// Lose has the server do what it is asked for, and breaks the connection instead of answering.
func Lose() Fault {
	return Fault{"answer lost", func(_ http.ResponseWriter, r *http.Request, pass http.Handler) {
		pass.ServeHTTP(httptest.NewRecorder(), r)
		cut(r)
	}}
}

// Half has the server answer, hands on half of it, and breaks the connection.
func Half() Fault {
	return Fault{"cut in the middle", func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		whole := httptest.NewRecorder()
		pass.ServeHTTP(whole, r)
		body := whole.Body.Bytes()
		copyHeader(w, whole)
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		cut(r)
	}}
}

func copyHeader(w http.ResponseWriter, from *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), from.Header())
	w.WriteHeader(from.Code)
}

// Slow has the server learn of the request a while later.
func Slow(by time.Duration) Fault {
	return Fault{"slow", func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		select {
		case <-time.After(by):
			pass.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}}
}

// Hang never answers. The server does not learn of the request.
func Hang() Fault {
	return Fault{"no answer", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }}
}

// Clock sets the time that an answer carries, as a server's clock that is wrong does.
func Clock(by time.Duration) Fault {
	return Fault{"wrong clock", func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
		pass.ServeHTTP(dated{w}, r)
	}}
}

// dated keeps the Date that is set.
type dated struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (d dated) WriteHeader(code int) {
	if dates := d.Header()["Date"]; len(dates) > 1 {
		d.Header()["Date"] = dates[:1]
	}
	d.ResponseWriter.WriteHeader(code)
}

// Unwrap implements the interface of http.ResponseController.
func (d dated) Unwrap() http.ResponseWriter { return d.ResponseWriter }

// cut resets the connection of a request; with HTTP/2 all other requests on it are cut too.
func cut(r *http.Request) {
	if c, ok := r.Context().Value(connection{}).(net.Conn); ok {
		reset(c)
	}
}

// reset closes a connection without the farewells of TLS and TCP.
func reset(c net.Conn) {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // what is buffered is dropped, and the other side is told by a RST
	}
	_ = c.Close()
}
