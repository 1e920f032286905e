// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tally is how many values of a resource are stored under which key: "secretbox/k2", or "identity".
type tally map[string]int64

// tallyOf counts what etcdctl reads below a folder at a revision, by what the values begin with.
func tallyOf(t *testing.T, endpoint, folder string, revision int64) tally {
	t.Helper()
	out, err := etcdctl(t.Context(), endpoint, "get", "--prefix", "--rev="+strconv.FormatInt(revision, 10), folder)
	require.NoError(t, err)
	var answer etcdAnswer
	require.NoError(t, json.Unmarshal(out, &answer))
	counts := tally{}
	for _, kv := range answer.KVs {
		parts := strings.SplitN(string(kv.Value), ":", 6) // k8s:enc:secretbox:v1:k2:…
		if len(parts) < 6 || parts[0] != "k8s" || parts[1] != "enc" {
			counts["identity"]++
			continue
		}
		counts[parts[2]+"/"+parts[4]]++
	}
	return counts
}

// revisionOf is the newest revision of an etcd.
func revisionOf(t *testing.T, endpoint string) int64 {
	t.Helper()
	out, err := etcdctl(t.Context(), endpoint, "get", "any")
	require.NoError(t, err)
	var answer etcdAnswer
	require.NoError(t, json.Unmarshal(out, &answer))
	return answer.Header.Revision
}
