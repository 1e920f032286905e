// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package open_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apiserver/pkg/storage/value"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored/open"
)

// anyKey draws from few names and materials, so that keys often have a name in common, or a name with a ':'.
func anyKey() *rapid.Generator[testKey] {
	return rapid.Custom(func(t *rapid.T) testKey {
		k := testKey{provider: rapid.SampledFrom(append(encconfig.LocalProviders(), encconfig.Identity)).Draw(t, "provider")}
		if k.provider != encconfig.Identity {
			k.name = rapid.SampledFrom([]string{"1", "2", "key-1", "1:", "1:2", ":"}).Draw(t, "name")
			k.seed = rapid.SampledFrom([]string{"this", "that"}).Draw(t, "seed")
		}
		return k
	})
}

// anyObject draws an object as kube-apiserver encodes it.
func anyObject() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		content := rapid.StringMatching(`[a-z]{0,100}`).Draw(t, "content")
		json := `{"kind":"Widget","spec":"` + content + `"}`
		protobuf := "k8s\x00\x0a\x0c\x0a\x02v1\x12\x06Secret\x12" + string(rune(len(content))) + content + "\x1a\x00\x22\x00"
		return []byte(rapid.SampledFrom([]string{json, protobuf}).Draw(t, "object"))
	})
}

func TestWhateverAKeyWroteItOpensAndNoOtherDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, other := anyKey().Draw(t, "key"), anyKey().Draw(t, "other key")
		object := anyObject().Draw(t, "object")
		data := written(t, k, path, object)

		require.Equal(t, stored.Opening{Outcome: stored.OpenedCurrent, Key: k.key()}, chain(t, k).Open([]byte(path), data))
		if other != k {
			require.False(t, chain(t, other).Open([]byte(path), data).Opened())
			got := chain(t, other, k).Open([]byte(path), data)
			// Another key of aescbc may make plaintext of it by chance, which is no object.
			if got.Outcome != stored.NotAnObject || other.provider != encconfig.AESCBC {
				require.Equal(t, stored.Opening{Outcome: stored.OpenedStale, Key: k.key()}, got)
			}
		}
		if k.provider == encconfig.AESGCM {
			require.Equal(t, stored.KeyDoesNotFit, chain(t, k).Open([]byte(moved), data).Outcome)
		}
		requireMark(t, k, data)
	})
}

// requireMark tells that a value names the key that wrote it, up to the first ':' of its name.
func requireMark(t *rapid.T, k testKey, data []byte) {
	mark := stored.Read(data)
	require.Equal(t, k.provider, mark.Provider)
	if k.provider == encconfig.Identity {
		require.Equal(t, stored.Mark{Form: stored.Plaintext, Provider: encconfig.Identity}, mark)
		return
	}
	name, _, colon := strings.Cut(k.name, ":")
	require.Equal(t, name, mark.Key)
	require.Equal(t, stored.Encrypted, mark.Form)
	if !colon {
		require.False(t, mark.Damaged)
	}
}

// Whatever the rule and whatever the value, sound, altered or moved: what opens, and whether it is stale, is what
// kube-apiserver's own prefix transformers say.
func TestAChainOpensWhatKubeAPIServerOpens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := rapid.SliceOfN(anyKey(), 1, 5).Draw(t, "rule")
		writer := rapid.OneOf(anyKey(), rapid.SampledFrom(rule)).Draw(t, "writer")
		data := written(t, writer, path, anyObject().Draw(t, "object"))
		switch rapid.SampledFrom([]string{"sound", "sound", "cut off", "altered", "longer"}).Draw(t, "value") {
		case "cut off":
			data = data[:rapid.IntRange(0, len(data)).Draw(t, "size")]
		case "altered":
			data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] ^= rapid.Byte().Draw(t, "bits")
		case "longer":
			data = append(data, rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "more")...)
		}
		at := rapid.SampledFrom([]string{path, path, moved}).Draw(t, "path")

		got := chain(t, rule...).Open([]byte(at), data)
		plaintext, stale, failed := asUpstream(upstream(t, rule...), at, data)
		switch {
		case failed:
			require.False(t, got.Opened(), got.Outcome)
			require.NotEqual(t, stored.NotAnObject, got.Outcome)
		case !stored.IsObject(plaintext):
			require.Equal(t, stored.NotAnObject, got.Outcome)
		case stale:
			require.Equal(t, stored.OpenedStale, got.Outcome)
		default:
			require.Equal(t, stored.OpenedCurrent, got.Outcome)
		}
	})
}

// asUpstream reads a value as kube-apiserver does. A request that panics fails.
func asUpstream(t value.Transformer, at string, data []byte) (plaintext []byte, stale, failed bool) {
	defer func() {
		if recover() != nil {
			plaintext, stale, failed = nil, false, true
		}
	}()
	plaintext, stale, err := t.TransformFromStorage(context.Background(), slices.Clone(data), value.DefaultContext(at))
	return plaintext, stale, err != nil
}

// Whatever the bytes: no panic, and one of the outcomes that there are.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(path), []byte(object))
	for _, k := range []testKey{gcm1, cbc1, box1, colon} {
		f.Add([]byte(path), written(f, k, path, []byte(object)))
	}
	f.Add([]byte(path), []byte(of("k8s:enc:aescbc:v1:1:", 16)))
	outcomes := []stored.Outcome{
		stored.OpenedCurrent, stored.OpenedStale, stored.NoSuchKey, stored.NoSuchProvider, stored.KeyDoesNotFit,
		stored.DamagedValue, stored.NotAnObject, stored.NotSupported,
	}
	var whole *open.Chain
	f.Fuzz(func(t *testing.T, at, data []byte) {
		if whole == nil {
			whole = chain(t, gcm1, cbc1, box1, colon, vault, plain)
		}
		require.Contains(t, outcomes, whole.Open(at, data).Outcome)
	})
}
