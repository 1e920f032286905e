// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

var (
	key1     = encconfig.Key{Provider: encconfig.AESGCM, Name: "1", Fingerprint: "f1"}
	key2     = encconfig.Key{Provider: encconfig.AESGCM, Name: "2", Fingerprint: "f2"}
	key3     = encconfig.Key{Provider: encconfig.Secretbox, Name: "2", Fingerprint: "f3"}
	plugin   = encconfig.Key{Provider: encconfig.KMS, Name: "vault", Version: "v1"}
	identity = encconfig.Key{Provider: encconfig.Identity}
)

// config encrypts secrets with key 2 and reads key 1 and plaintext; configmaps with a KMS, plaintext not read; what is in
// apps is being decrypted. Everything else is in plaintext.
var config = encconfig.Description{Digest: "sha256:c", Rules: []encconfig.Rule{
	{Resources: []string{"secrets"}, Keys: []encconfig.Key{key2, key1, identity}},
	{Resources: []string{"configmaps"}, Keys: []encconfig.Key{plugin, key3}},
	{Resources: []string{"*.apps"}, Keys: []encconfig.Key{identity, key1}},
}}

var (
	plaintext = stored.Mark{Form: stored.Plaintext, Provider: encconfig.Identity}
	garbage   = stored.Mark{Form: stored.Undecodable}
	foreign   = stored.Mark{Form: stored.Unknown, Provider: "rot13", Version: "v1", Key: "1"}
	forgotten = stored.Mark{Form: stored.Encrypted, Provider: encconfig.AESGCM, Version: "v1", Key: "old"}
)

func under(k encconfig.Key) stored.Mark {
	return stored.Mark{Form: stored.Encrypted, Provider: k.Provider, Version: "v1", Key: k.Name}
}

func damaged(k encconfig.Key) stored.Mark {
	m := under(k)
	m.Damaged = true
	return m
}

func TestEachValueHasTheStateThatTheConfigurationGivesIt(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		resource string
		mark     stored.Mark
		want     State
		readable bool
	}{
		"under the write key":                              {"secrets", under(key2), Current, true},
		"under a read key":                                 {"secrets", under(key1), Stale, true},
		"in plaintext that is read":                        {"secrets", plaintext, Plaintext, true},
		"in plaintext that is not read":                    {"configmaps", plaintext, Plaintext, false},
		"under a key that no rule has":                     {"secrets", forgotten, Missing, false},
		"under a key that another rule has":                {"secrets", under(key3), Missing, false},
		"under a key of the same name of another provider": {"configmaps", under(key2), Missing, false},
		"under the plugin that writes":                     {"configmaps", under(plugin), Current, true},
		"in plaintext where identity is first":             {"deployments.apps", plaintext, Current, true},
		"encrypted still where identity is first":          {"deployments.apps", under(key1), Stale, true},
		"in plaintext where there is no rule":              {"pods", plaintext, Current, true},
		"encrypted where there is no rule":                 {"pods", under(key2), Missing, false},
		"damaged under the write key":                      {"secrets", damaged(key2), Undecodable, false},
		"damaged plaintext where that is expected":         {"pods", stored.Mark{Form: stored.Plaintext, Provider: encconfig.Identity, Damaged: true}, Undecodable, false},
		"neither an object nor encrypted":                  {"secrets", garbage, Undecodable, false},
		"of an unknown provider with the name of the key":  {"secrets", foreign, Unknown, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, readable := expect(config, tt.resource).judge(tt.mark)
			assert.Equal(t, tt.want, state)
			assert.Equal(t, tt.readable, readable)
		})
	}
	state, _ := expect(encconfig.Description{}, "secrets").judge(plaintext)
	assert.Equal(t, Current, state, "without a configuration plaintext is all that there is")
}

func TestOpeningAValueDecides(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		mark stored.Mark
		came stored.Outcome
		want State
	}{
		"opened by the write key":               {under(key2), stored.OpenedCurrent, Current},
		"opened by a read key":                  {under(key1), stored.OpenedStale, Stale},
		"plaintext that is read":                {plaintext, stored.OpenedStale, Plaintext},
		"the key is not there":                  {forgotten, stored.NoSuchKey, Missing},
		"the write key does not fit":            {under(key2), stored.KeyDoesNotFit, Undecryptable},
		"opened, and no object is in it":        {under(key2), stored.NotAnObject, Undecryptable},
		"plaintext that is cut off":             {stored.Mark{Form: stored.Plaintext, Provider: encconfig.Identity, Damaged: true}, stored.NotAnObject, Undecodable},
		"what names no key and is no object":    {stored.Mark{Form: stored.Undecodable}, stored.NotAnObject, Undecodable},
		"damaged":                               {under(key2), stored.DamagedValue, Undecodable},
		"of a provider that nobody knows":       {foreign, stored.DamagedValue, Unknown},
		"a plugin's, which can't be asked here": {under(key2), stored.NotSupported, Current},
		// What the value says is read by its first ':' only; who opens it knows better.
		"damaged by its mark alone": {damaged(key2), stored.OpenedCurrent, Current},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, _ := expect(config, "secrets").judgeOpened(tt.mark, stored.Opening{Outcome: tt.came})
			assert.Equal(t, tt.want, state)
		})
	}
}

func TestACounterCountsByKeyAndNamesStragglers(t *testing.T) {
	t.Parallel()
	c := NewCounter(config, "secrets", 2)
	for i := range 1000 {
		c.Add(fmt.Appendf(nil, "ns/%03d", i), under(key2))
	}
	for _, name := range []string{"z/1", "a/2", "m/3"} {
		c.Add([]byte(name), forgotten)
	}
	c.Add([]byte("ns/opened"), under(key1))
	c.AddOpened([]byte("ns/altered"), under(key2), stored.Opening{Outcome: stored.KeyDoesNotFit, Key: key2})
	c.Stray([]byte("ns/altered"))
	assert.Equal(t, Tally{
		Resource: "secrets", WriteKey: key2, Objects: 1005,
		Groups: []Group{
			{State: Current, Readable: true, Provider: "aesgcm", Version: "v1", Key: "2", Objects: 1000},
			{State: Stale, Readable: true, Provider: "aesgcm", Version: "v1", Key: "1", Objects: 1, Names: []string{"ns/opened"}},
			{State: Missing, Provider: "aesgcm", Version: "v1", Key: "old", Objects: 3, Names: []string{"a/2", "m/3"}},
			{State: Undecryptable, Provider: "aesgcm", Version: "v1", Key: "2", Objects: 1, Names: []string{"ns/altered"}},
		},
		Strays: 1, StrayNames: []string{"ns/altered"},
	}, c.Tally())
}

func TestATallyIsNotChangedByWhatIsCountedAfterIt(t *testing.T) {
	t.Parallel()
	c := NewCounter(config, "secrets", AllNames)
	c.Add([]byte("b"), plaintext)
	c.Add([]byte("d"), plaintext)
	before := c.Tally()
	c.Add([]byte("a"), plaintext)
	assert.Equal(t, []string{"b", "d"}, before.Groups[0].Names)
	assert.Equal(t, []string{"a", "b", "d"}, c.Tally().Groups[0].Names)
}

func TestHostileNamesAreKeptShortAndSurviveJSON(t *testing.T) {
	t.Parallel()
	c := NewCounter(config, "secrets", AllNames)
	long := strings.Repeat("n", 253)
	for _, name := range []string{"ns/" + long, "ns/\xff\x1b[2J", `ns/a\b`, strings.Repeat("\xfe", 1<<20)} {
		c.Add([]byte(name), plaintext)
	}
	c.Add([]byte("ns/key"), stored.Mark{Form: stored.Encrypted, Provider: "aesgcm", Version: "v1", Key: "\xff"})
	tally := c.Tally()
	assert.Equal(t, []string{
		strings.Repeat(`\xfe`, 512) + "…", `ns/\xff\x1b[2J`, `ns/a\\b`, "ns/" + long,
	}, tally.Groups[0].Names)
	assert.Equal(t, `\xff`, tally.Groups[1].Key)
	data, err := json.Marshal(Of(config, nil, tally))
	require.NoError(t, err)
	var back Census
	require.NoError(t, json.Unmarshal(data, &back))
	assert.Equal(t, Of(config, nil, tally), back)
}

func TestTheFirstNamesAreThoseAsTheyAreKept(t *testing.T) {
	t.Parallel()
	c := NewCounter(config, "secrets", 1)
	for _, name := range []string{"ns/b", "ns/c", "\xff"} { // the last one as bytes, the first one as it is spelled
		c.Add([]byte(name), plaintext)
	}
	assert.Equal(t, []string{`\xff`}, c.Tally().Groups[0].Names)
	none := NewCounter(config, "secrets", 0)
	none.Add([]byte("ns/b"), plaintext)
	assert.Empty(t, none.Tally().Groups[0].Names)
}

func TestMemoryIsBoundedWhateverIsStored(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]func(i int) int{
		"keys in order":    func(i int) int { return i },
		"keys in reverse":  func(i int) int { return 9999 - i },
		"keys in no order": func(i int) int { return i * 7919 % 10_000 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := NewCounter(config, "secrets", FirstNames)
			for i := range 10_000 {
				mark := forgotten
				mark.Key = fmt.Sprintf("k%04d", order(i))
				c.Add(fmt.Appendf(nil, "ns/%04d", order(i)), mark)
			}
			c.Add([]byte("ns/good"), under(key2))
			groups := c.Tally().Groups
			require.Len(t, groups, MaxGroups+1)
			assert.Equal(t, Current, groups[0].State)
			assert.Equal(t, "k0000", groups[1].Key)
			last := groups[MaxGroups]
			assert.True(t, last.Others)
			assert.Equal(t, Missing, last.State)
			assert.EqualValues(t, 10_000-MaxGroups+1, last.Objects)
			require.Len(t, last.Names, FirstNames)
			assert.Equal(t, "ns/0255", last.Names[0])
		})
	}
}

func TestWhatTwoConfigurationsCountedIsNotAddedUp(t *testing.T) {
	t.Parallel()
	_, err := Merge(FirstNames, Census{Config: "sha256:a"}, Census{Config: "sha256:b"})
	require.ErrorContains(t, err, "two different configurations")
	sum, err := Merge(FirstNames)
	require.NoError(t, err)
	assert.Equal(t, Census{}, sum)
}

func BenchmarkCounter(b *testing.B) {
	c := NewCounter(config, "secrets", FirstNames)
	name, marks := []byte("default/default-token-x7k2p"), []stored.Mark{under(key2), under(key1), plaintext}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Add(name, marks[i%3])
	}
}
