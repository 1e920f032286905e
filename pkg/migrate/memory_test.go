// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

const (
	baselineOfAll = 1_000_000
	memoryLimit   = 100 << 20
)

// manyServer serves stale objects by number and remembers of each only whether it was written to.
type manyServer struct {
	written  [manyObjects]atomic.Bool
	requests atomic.Int64
	heap     atomic.Uint64
}

func (s *manyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.requests.Add(1)%200 == 0 {
		s.sample()
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodGet {
		s.list(w, r)
		return
	}
	i, err := strconv.Atoi(r.URL.Path[strings.LastIndexByte(r.URL.Path, '-')+1:])
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.written[i].Store(true)
	s.object(w, i)
}

func (s *manyServer) sample() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for {
		most := s.heap.Load()
		if m.HeapInuse <= most || s.heap.CompareAndSwap(most, m.HeapInuse) {
			return
		}
	}
}

func (s *manyServer) list(w io.Writer, r *http.Request) {
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	to := min(from+limit, manyObjects)
	next := ""
	if to < manyObjects {
		next = strconv.Itoa(to)
	}
	_, _ = fmt.Fprintf(w, `{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadataList","metadata":{"resourceVersion":"%d",`+
		`"continue":"%s","remainingItemCount":%d},"items":[`, baselineOfAll, next, manyObjects-to)
	for i := from; i < to; i++ {
		if i > from {
			_, _ = io.WriteString(w, ",")
		}
		s.object(w, i)
	}
	_, _ = io.WriteString(w, "]}")
}

func (s *manyServer) object(w io.Writer, i int) {
	rv := i + 1
	if s.written[i].Load() {
		rv = baselineOfAll + i + 1
	}
	_, _ = fmt.Fprintf(w, `{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","metadata":{"namespace":"ns",`+
		`"name":"secret-%d","uid":"00000000-0000-0000-0000-%012d","resourceVersion":"%d",`+
		`"creationTimestamp":"2026-01-01T00:00:00Z","labels":{"app.kubernetes.io/name":"application-%d"},`+
		`"annotations":{"example.com/description":"an annotation of about fifty bytes, as many have"},`+
		`"managedFields":[{"manager":"kubectl-create","operation":"Update","apiVersion":"v1",`+
		`"time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{".":{},"f:username":{},"f:password":{}},`+
		`"f:metadata":{"f:annotations":{".":{},"f:example.com/description":{}},"f:labels":{".":{},`+
		`"f:app.kubernetes.io/name":{}}},"f:type":{}}}]}}`, i, i, rv, i%100)
}

func TestRun_memoryDoesNotGrowWithObjects(t *testing.T) {
	s := &manyServer{}
	server := httptest.NewServer(s)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = DefaultConcurrency
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	client, err := metadata.NewForConfigAndClient(&rest.Config{Host: server.URL, QPS: -1}, &http.Client{Transport: transport})
	require.NoError(t, err)
	report, err := Run(t.Context(), NewMetadataClient(client), secrets(), Options{})
	require.NoError(t, err)
	assert.True(t, report.Complete)
	assert.Equal(t, []int64{manyObjects, manyObjects}, []int64{report.Listed, report.Migrated})
	assert.Less(t, s.heap.Load(), uint64(memoryLimit), "heap in use at its peak, server included")
	t.Logf("%d objects: heap in use at most %d MiB", manyObjects, s.heap.Load()>>20)
}
