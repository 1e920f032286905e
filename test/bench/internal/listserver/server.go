// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package listserver is an API of Secrets of which there is only metadata, made when it is asked for, in any number.
// It is what the memory of a migration is measured against: a real API with a million Secrets needs far more room and
// time than the question is worth. It speaks protobuf and JSON as the client asks, answers a patch with a later
// resourceVersion, and lists that from then on, so that a migration ends with its proof.
package listserver

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// perNamespace is how many objects each namespace has.
	perNamespace = 1000
	// listedAt is the resourceVersion of every object before anything was written.
	listedAt = 1000
)

// managedFields are those of whoever made the objects: a migration applies to objects that have them.
const managedFields = `{"f:data":{".":{},"f:value":{}},"f:metadata":{"f:annotations":{".":{},"f:example.com/checksum":{}},` +
	`"f:labels":{".":{},"f:app":{},"f:part":{}}},"f:type":{}}`

// Server holds the resourceVersion of each object and nothing else.
type Server struct {
	revision atomic.Int64
	versions []atomic.Int64
	codecs   serializer.CodecFactory
}

// New returns a server with a number of objects.
func New(objects int) *Server {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	// It fails for types that can't be registered; these are what it is for.
	_ = metav1.AddMetaToScheme(scheme)
	s := &Server{versions: make([]atomic.Int64, objects), codecs: serializer.NewCodecFactory(scheme)}
	s.revision.Store(listedAt)
	for i := range s.versions {
		s.versions[i].Store(listedAt)
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	switch {
	case req.Method == http.MethodGet && req.URL.Path == "/api/v1/secrets":
		s.list(w, req)
	case req.Method == http.MethodPatch && len(parts) == 6: // api v1 namespaces NAMESPACE secrets NAME
		s.patch(w, req, parts[5])
	default:
		http.NotFound(w, req)
	}
}

func (s *Server) list(w http.ResponseWriter, req *http.Request) {
	from := 0
	at := s.revision.Load()
	query := req.URL.Query()
	if token := query.Get("continue"); token != "" {
		// As in the API, later pages are of the moment of the first.
		if _, err := fmt.Sscanf(token, "%d-%d", &from, &at); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit <= 0 {
		limit = len(s.versions)
	}
	to := min(from+limit, len(s.versions))
	list := &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: strconv.FormatInt(at, 10)}}
	for i := from; i < to; i++ {
		list.Items = append(list.Items, s.object(i))
	}
	if to < len(s.versions) {
		list.Continue = fmt.Sprintf("%d-%d", to, at)
		list.RemainingItemCount = new(int64(len(s.versions) - to))
	}
	s.write(w, req, list)
}

func (s *Server) patch(w http.ResponseWriter, req *http.Request, name string) {
	i, err := strconv.Atoi(strings.TrimPrefix(name, "object-"))
	if err != nil || i < 0 || i >= len(s.versions) {
		http.NotFound(w, req)
		return
	}
	s.versions[i].Store(s.revision.Add(1))
	s.write(w, req, new(s.object(i)))
}

// object is the metadata of a Secret that a controller made.
func (s *Server) object(i int) metav1.PartialObjectMetadata {
	return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("object-%07d", i), Namespace: fmt.Sprintf("namespace-%04d", i/perNamespace),
		UID:               types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i)),
		ResourceVersion:   strconv.FormatInt(s.versions[i].Load(), 10),
		CreationTimestamp: metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
		Labels:            map[string]string{"app": "bench", "part": strconv.Itoa(i % 100)},
		Annotations:       map[string]string{"example.com/checksum": base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%032d", i))},
		ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: "controller", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1",
			Time:     new(metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))),
			FieldsV1: metav1.NewFieldsV1(managedFields),
		}},
	}}
}

// write answers in the first media type that the client accepts and the server knows.
func (s *Server) write(w http.ResponseWriter, req *http.Request, o runtime.Object) {
	info, ok := runtime.SerializerInfoForMediaType(s.codecs.SupportedMediaTypes(), runtime.ContentTypeJSON)
	for accepted := range strings.SplitSeq(req.Header.Get("Accept"), ",") {
		media, _, _ := strings.Cut(strings.TrimSpace(accepted), ";")
		if found, known := runtime.SerializerInfoForMediaType(s.codecs.SupportedMediaTypes(), media); known {
			info, ok = found, true
			break
		}
	}
	if !ok {
		http.Error(w, "no serializer", http.StatusNotAcceptable)
		return
	}
	w.Header().Set("Content-Type", info.MediaType)
	encoder := s.codecs.EncoderForVersion(info.Serializer, metav1.SchemeGroupVersion)
	if err := encoder.Encode(o, w); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
