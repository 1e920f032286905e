// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The samples are part of what processes of these versions answered.
func sample(t *testing.T, name string) io.Reader {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".txt"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestParseMemberReadsWhatEtcdAnswers(t *testing.T) {
	t.Parallel()
	got, err := ParseMember(sample(t, "etcd-v3.7.0"))
	require.NoError(t, err)
	assert.Equal(t, Space{Quota: 2 * gib, File: 782336, InUse: 598016}, got)
}

const oneMember = "etcd_server_quota_backend_bytes -1\netcd_mvcc_db_total_size_in_bytes 30\netcd_mvcc_db_total_size_in_use_in_bytes 2.5e+01\n"

func TestParseMemberNeedsAllOfIt(t *testing.T) {
	t.Parallel()
	got, err := ParseMember(strings.NewReader(oneMember))
	require.NoError(t, err)
	assert.Equal(t, Space{Quota: -1, File: 30, InUse: 25}, got, "a quota may be switched off")
	broken := errors.New("broken")
	for name, body := range map[string]io.Reader{
		"nothing":              strings.NewReader(""),
		"a gauge missing":      strings.NewReader(strings.Join(strings.Split(oneMember, "\n")[1:], "\n")),
		"a gauge given twice":  strings.NewReader(oneMember + `etcd_server_quota_backend_bytes{a="b"} 3` + "\n"),
		"a value that is none": strings.NewReader(strings.Replace(oneMember, "30", "x", 1)),
		"an answer cut short":  io.MultiReader(strings.NewReader(oneMember), iotest.ErrReader(broken)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseMember(body)
			assert.Error(t, err)
		})
	}
}

func TestParseServerReadsWhatKubeAPIServerAnswers(t *testing.T) {
	t.Parallel()
	got, err := ParseServer(sample(t, "kube-apiserver-v1.37.1"))
	require.NoError(t, err)
	assert.Equal(t, int64(782336), got.File)
	assert.Equal(t, Demand{Objects: 3, Bytes: 12618}, got.Demand(schema.GroupResource{Resource: "secrets"}))
}

func TestParseServerReadsOlderNames(t *testing.T) {
	t.Parallel()
	const old = `apiserver_storage_objects{resource="secrets"} 7
apiserver_storage_objects{resource="deployments.apps"} 8
apiserver_storage_objects{resource="configmaps"} -1
`
	tests := map[string]struct {
		body, resource string
		want           Demand
		file           int64
	}{
		"the number of objects before 1.34":                    {old, "secrets", Demand{7, Unknown}, 0},
		"the number of objects of a group":                     {old, "deployments.apps", Demand{8, Unknown}, 0},
		"a number that could not be found out":                 {old, "configmaps", Demand{Unknown, Unknown}, 0},
		"a resource that is not there":                         {old, "pods", Demand{Unknown, Unknown}, 0},
		"the newer number before the older one":                {old + `apiserver_resource_objects{group="",resource="secrets"} 9` + "\n", "secrets", Demand{9, Unknown}, 0},
		"the newer number of a group":                          {old + `apiserver_resource_objects{group="apps",resource="deployments"} 9` + "\n", "deployments.apps", Demand{9, Unknown}, 0},
		"the size":                                             {old + `apiserver_resource_size_estimate_bytes{group="",resource="secrets"} 1.4e+09` + "\n", "secrets", Demand{7, 1_400_000_000}, 0},
		"a size that could not be found out":                   {old + `apiserver_resource_size_estimate_bytes{group="",resource="secrets"} -1` + "\n", "secrets", Demand{7, Unknown}, 0},
		"the largest of several files":                         {`apiserver_storage_size_bytes{storage_cluster_id="etcd-0"} 5` + "\n" + `apiserver_storage_size_bytes{storage_cluster_id="etcd-1"} 9` + "\n", "", Demand{Unknown, Unknown}, 9},
		"the size of a file by its older name":                 {`apiserver_storage_db_total_size_in_bytes{endpoint="https://192.0.2.1:2379"} 5` + "\n", "", Demand{Unknown, Unknown}, 5},
		"the size of a file by its oldest name":                {`etcd_db_total_size_in_bytes{endpoint="https://192.0.2.1:2379"} 5` + "\n", "", Demand{Unknown, Unknown}, 5},
		"a series whose name begins with that of a wanted one": {`apiserver_storage_size_bytes_total 5` + "\n", "", Demand{Unknown, Unknown}, 0},
		"nothing at all":                                       {"", "secrets", Demand{Unknown, Unknown}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseServer(strings.NewReader(tt.body))
			require.NoError(t, err)
			assert.Equal(t, tt.want, got.Demand(schema.ParseGroupResource(tt.resource)))
			assert.Equal(t, tt.file, got.File)
		})
	}
}

// line is one of a histogram, as most of a kube-apiserver's lines are.
const line = `apiserver_request_duration_seconds_bucket{component="apiserver",dry_run="",group="",resource="secrets",scope="resource",le="0.5"} 7` + "\n"

// repeat gives the line again and again.
type repeat struct{ left, at int }

func (r *repeat) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) && r.left > 0 {
		copied := copy(b[n:], line[r.at:])
		n, r.at = n+copied, (r.at+copied)%len(line)
		if r.at == 0 {
			r.left--
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Allocations can't be counted beside other tests.
func TestParseServerKeepsNothingOfTheRest(t *testing.T) {
	allocations := func(lines int) float64 {
		return testing.AllocsPerRun(3, func() {
			_, err := ParseServer(io.MultiReader(&repeat{left: lines}, strings.NewReader(`apiserver_storage_objects{resource="secrets"} 7`+"\n")))
			require.NoError(t, err)
		})
	}
	assert.InDelta(t, allocations(10), allocations(100_000), 50, "a metrics body of some 13 MB costs what a small one does")
}
