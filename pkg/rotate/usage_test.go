// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
)

// usageAt is a count of everything at a time, which has seen values under the keys.
func usageAt(at time.Time, seen ...encconfig.Key) Usage {
	u := Usage{Config: *config(key("3"), key("2"), key("1"))}
	u.Verification = ledger.Verification{Time: at, Digest: u.Config.Digest, Whole: []string{"*.*"}, Keys: seen}
	for _, k := range seen {
		u.Needs = append(u.Needs, census.Need{Key: k, Objects: 7, Resources: []string{"secrets", "widgets.example.com"}})
	}
	return u
}

func TestJudge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	const age = 10 * time.Minute
	tests := map[string]struct {
		usage Usage
		key   encconfig.Key
		since time.Time
		want  string // empty if it may leave
	}{
		"nothing needs it, for long":                {usageAt(now), key("1"), now.Add(-age), ""},
		"nothing needs it since a minute":           {usageAt(now), key("1"), now.Add(-time.Minute), "compacted by 12:09:00 UTC, in 9m0s"},
		"values need it":                            {usageAt(now, key("1")), key("1"), now.Add(-age), "key aesgcm/1 is needed: 7 value(s) in etcd are stored with it, of secrets, widgets.example.com"},
		"values need another":                       {usageAt(now, key("2")), key("1"), now.Add(-age), ""},
		"values need a key of another name":         {usageAt(now, encconfig.Key{Provider: encconfig.Secretbox, Name: "1"}), key("1"), now.Add(-age), ""},
		"no configuration has it":                   {usageAt(now), key("9"), now, ""},
		"no configuration has it, a value needs it": {usageAt(now, key("9")), key("9"), now, "is needed: 7 value(s)"},
		"too many keys to tell apart": {
			Usage{Config: *config(key("2"), key("1")), Needs: []census.Need{{Key: key(""), Others: true, Objects: 5, Resources: []string{"secrets"}}}},
			key("1"), now.Add(-age), "is needed: 5 value(s)",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := tt.usage.judge([]encconfig.Key{tt.key}, func(encconfig.Key) time.Time { return tt.since }, age)[0]
			err := d.refusal(now, []string{"secrets"})
			if tt.want == "" {
				assert.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
			known, ok := err.(*hint.Error) //nolint:errorlint // as it is made
			require.True(t, ok)
			assert.NotEmpty(t, known.Hints)
		})
	}
}

func TestWhatNoMigrationReachesIsSaid(t *testing.T) {
	t.Parallel()
	served := []string{"secrets", "configmaps"}
	for name, tc := range map[string]struct {
		resources []string
		want      []string // a part of each hint
	}{
		"all are served":    {[]string{"secrets", "configmaps"}, []string{"migrate --resources secrets,configmaps"}},
		"one is not served": {[]string{"secrets", "widgets.example.com"}, []string{"migrate --resources secrets", "no migration reaches widgets.example.com"}},
		"none is served":    {[]string{"widgets.example.com"}, []string{"no migration reaches widgets.example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hints := storeAgain(tc.resources, served)
			require.Len(t, hints, len(tc.want))
			for i, part := range tc.want {
				assert.Contains(t, hints[i], part)
			}
			assert.NotContains(t, hints[0], "--resources secrets,widgets")
		})
	}
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	agreed := *config(key("4"), key("3"), key("2"), key("1"))
	known := []encconfig.Key{key("0"), {Provider: encconfig.Secretbox, Name: "2"}}
	tests := map[string]struct {
		names []string
		keep  int
		want  []encconfig.Key
		fail  string
	}{
		"what retention lets go":       {nil, 3, []encconfig.Key{key("1")}, ""},
		"nothing beyond retention":     {nil, 8, nil, ""},
		"a key by its name":            {[]string{"1"}, 8, []encconfig.Key{key("1")}, ""},
		"the one before the write key": {[]string{"aesgcm/3"}, 8, []encconfig.Key{key("3")}, ""},
		"one that a history alone has": {[]string{"0"}, 8, []encconfig.Key{key("0")}, ""},
		"twice":                        {[]string{"1", "aesgcm/1"}, 8, []encconfig.Key{key("1")}, ""},
		"one name that two keys have":  {[]string{"2"}, 8, nil, "key 2 is not one: aesgcm/2, secretbox/2"},
		"one of two keys of a name":    {[]string{"secretbox/2"}, 8, []encconfig.Key{{Provider: encconfig.Secretbox, Name: "2"}}, ""},
		"one that nobody has":          {[]string{"9"}, 8, nil, "no node has a key 9"},
		"the write key":                {[]string{"4"}, 8, nil, "key aesgcm/4 is the write key of secrets, configmaps"},
		"plaintext":                    {[]string{"identity"}, 8, nil, "no node has a key identity"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &Run{Options: Options{Keys: tt.names, Keep: tt.keep}}
			list, err := r.candidates(agreed, known)
			if tt.fail != "" {
				require.ErrorContains(t, err, tt.fail)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, len(tt.want), len(list)) //nolint:testifylint // one may be nil
			for i := range tt.want {
				assert.True(t, tt.want[i].Is(list[i]))
			}
		})
	}
}

func TestACountByWhichNothingIsProvenIsRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, Usage{}.told())
	require.ErrorContains(t, Usage{Unknown: "events was not counted to the end"}.told(), "whether a key is needed can't be told: events was not counted")
}
