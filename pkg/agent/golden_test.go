// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

var update = flag.Bool("update", false, "write the golden files anew")

func assertGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	assert.Equal(t, string(readFile(t, path)), got)
}

// random matches what differs from run to run: what is sealed, and the key that it is sealed to.
var random = regexp.MustCompile(`"(publicKey|n1)":"[A-Za-z0-9+/=]{64,}"`)

func TestServe_session(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	at := n.Now()
	require.NoError(t, os.Chtimes(n.path(), at, at))

	from := n.digest()
	var out bytes.Buffer
	say := func(req agentapi.Request) agentapi.Response {
		req.Version = agentapi.Version
		line, err := json.Marshal(req)
		require.NoError(t, err)
		begin := out.Len()
		require.NoError(t, n.Serve(t.Context(), bytes.NewReader(append(line, '\n')), &out))
		require.NoError(t, os.Chtimes(n.path(), at, at))
		var resp agentapi.Response
		require.NoError(t, json.Unmarshal(out.Bytes()[begin:], &resp))
		return resp
	}
	say(agentapi.Request{Op: agentapi.Inspect})
	proposed := say(agentapi.Request{Op: agentapi.Propose, Propose: &agentapi.Proposal{
		From: from, Change: addKey("2"), Recipients: map[string][]byte{"n1": n.identity.PublicKey()},
	}}).Proposed
	require.NotNil(t, proposed)
	say(agentapi.Request{Op: agentapi.Install, Install: &agentapi.Installation{
		From: from, To: proposed.Config.Digest, Sealed: proposed.Sealed["n1"],
	}})
	say(agentapi.Request{Op: agentapi.Inspect})
	say(agentapi.Request{Op: "unknown"})

	assertNoKey(t, out.Bytes(), exampleKey("1").Base64())
	assertNoKey(t, out.Bytes(), drawnKey(t))
	golden := random.ReplaceAllString(out.String(), `"$1":"…"`)
	golden = regexp.MustCompile(`"modTime":"[^"]*"`).ReplaceAllString(golden, `"modTime":"…"`)
	assertGolden(t, "session.jsonl", golden)
	assert.Contains(t, string(readFile(t, n.path())), drawnKey(t), "the key that was looked for is the one in use")
}

// drawnKey is the key that the test's source of randomness gives first.
func drawnKey(t *testing.T) string {
	t.Helper()
	secret, err := keys.Generate(rand.NewChaCha8([32]byte{1}))
	require.NoError(t, err)
	return secret.Base64()
}

// assertNoKey looks for any eight neighbouring bytes of a key, raw and as base64 or hex at any alignment.
func assertNoKey(t *testing.T, output []byte, inBase64 string) {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(inBase64)
	require.NoError(t, err)
	require.Len(t, raw, keys.Size)
	for at := range len(raw) - 8 {
		part := raw[at : at+8]
		for _, form := range []string{
			string(part),
			hex.EncodeToString(part),
			base64.RawStdEncoding.EncodeToString(part[:6]),
			base64.RawURLEncoding.EncodeToString(part[:6]),
		} {
			assert.NotContains(t, string(output), form)
		}
	}
}
