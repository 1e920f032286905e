// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package residue

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

func scope(t require.TestingT, resources ...string) Scope {
	layout, err := etcdkey.NewLayout("/registry", nil, nil)
	require.NoError(t, err)
	keys := []encconfig.Key{{Provider: encconfig.AESGCM, Name: "2"}, {Provider: encconfig.AESGCM, Name: "1"}, {Provider: encconfig.Identity}}
	return Scope{Layout: layout, Resources: resources, Config: encconfig.Description{Rules: []encconfig.Rule{{Resources: []string{"secrets", "*.example.com"}, Keys: keys}}}}
}

func under(key string) stored.Mark {
	return stored.Mark{Form: stored.Encrypted, Provider: encconfig.AESGCM, Version: "v1", Key: key}
}

var plain = stored.Mark{Form: stored.Plaintext, Provider: encconfig.Identity}

// old are the old copies of counts: place, resource, key and number.
func old(counts []Count) (list []string) {
	for _, c := range counts {
		for _, g := range c.Old() {
			list = append(list, fmt.Sprintf("%s %s %s %s %d", c.Place, c.Tally.Resource, g.State, g.NamedKey(), g.Objects))
		}
	}
	return list
}

func TestACopyIsOldIfItIsNotUnderTheWriteKey(t *testing.T) {
	t.Parallel()
	c := NewCounter(scope(t, "*.*"))
	add := func(p Place, key string, marks ...stored.Mark) {
		for _, m := range marks {
			c.Add(p, Record{Key: []byte(key), Mark: m})
		}
	}
	add(Logged, "/registry/secrets/ns/a", under("1"), under("1"), under("2"), plain)
	add(Superseded, "/registry/secrets/ns/a", under("2"), under("9"), stored.Mark{Form: stored.Unknown, Provider: "quantum"})
	add(Freed, "/registry/example.com/widgets/ns/a", plain)
	add(Freed, "/registry/pods/ns/a", plain, plain)
	add(Freed, "/registry/ranges/serviceips", plain)
	add(Freed, "/registry/newfangled/ns/a", plain)
	add(Freed, "/elsewhere/secrets/ns/a", plain)
	counts := c.Counts()
	assert.Equal(t, []string{
		"superseded secrets missing aesgcm/9 1", "superseded secrets unknown quantum 1",
		"free-pages widgets.example.com plaintext identity 1",
		"log secrets stale aesgcm/1 2", "log secrets plaintext identity 1",
	}, old(counts))
}

func TestOnlyWhatWasAskedForIsCounted(t *testing.T) {
	t.Parallel()
	c := NewCounter(scope(t, "configmaps", "*.example.com"))
	for _, key := range []string{"/registry/secrets/ns/a", "/registry/configmaps/ns/a", "/registry/example.com/widgets/ns/a"} {
		c.Add(Logged, Record{Key: []byte(key), Mark: under("1")})
	}
	counts := c.Counts()
	assert.Equal(t, []string{"log configmaps missing aesgcm/1 1", "log widgets.example.com stale aesgcm/1 1"}, old(counts))
}

// Whoever writes to etcd may make up resources and keys. All counters together have room for so many, no copy is left out, and an
// old one stays old.
func TestMadeUpResourcesAndKeysTakeNoMoreThanTheRoom(t *testing.T) {
	t.Parallel()
	const room, copies = 20_000, 400
	for name, flood := range map[string]func(i int) (Place, string, stored.Mark){
		"resources": func(i int) (Place, string, stored.Mark) {
			return Logged, fmt.Sprintf("/registry/example.com/w%d/ns/a", i), under("2")
		},
		"resources in every place": func(i int) (Place, string, stored.Mark) {
			return places()[i%len(places())], fmt.Sprintf("/registry/example.com/w%d/ns/a", i), under("2")
		},
		"keys": func(i int) (Place, string, stored.Mark) {
			return Logged, "/registry/secrets/ns/a", under(fmt.Sprint("made-up-", i))
		},
		"a few long keys": func(i int) (Place, string, stored.Mark) {
			return Logged, "/registry/secrets/ns/a", under(strings.Repeat("x", room+i))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCounter(scope(t, "*.*"), room)
			for i := range copies {
				p, key, mark := flood(i)
				c.Add(p, Record{Key: []byte(key), Mark: mark})
			}
			c.Add(Freed, Record{Key: []byte("/registry/secrets/ns/late"), Mark: plain})
			counts := c.Counts()
			assert.EqualValues(t, copies+1, total(counts), "no copy is left out")
			assert.LessOrEqual(t, taken(counts), room)
			assert.Contains(t, strings.Join(old(counts), "\n"), "free-pages", "the old copy is told, though not by its name")

			again := newCounter(scope(t, "*.*"), room)
			for i := range copies {
				p, key, mark := flood(copies + i)
				again.Add(p, Record{Key: []byte(key), Mark: mark})
			}
			merged, err := merge(room, counts, again.Counts())
			require.NoError(t, err)
			assert.EqualValues(t, 2*copies+1, total(merged))
			assert.LessOrEqual(t, taken(merged), room)
		})
	}
}

// taken is the room that counts take, but for what is a part of Rest.
func taken(counts []Count) (room int) {
	for _, c := range counts {
		if c.Tally.Resource != Rest {
			room += c.room()
		}
	}
	return room
}

func TestWhatThereIsNoRoomForIsToldByItsState(t *testing.T) {
	t.Parallel()
	c := newCounter(scope(t, "*.*"), 0)
	for _, m := range []stored.Mark{plain, plain, under("1"), under("2"), under("9")} {
		c.Add(Logged, Record{Key: []byte("/registry/secrets/ns/a"), Mark: m})
	}
	c.Add(Logged, Record{Key: []byte("/registry/pods/ns/a"), Mark: plain}) // as it should be
	assert.Equal(t, []string{
		"log <others> missing  1", "log <others> plaintext  2", "log <others> stale  1",
	}, slices.Sorted(slices.Values(old(c.Counts()))))
}

func TestPlaceOfARevision(t *testing.T) {
	t.Parallel()
	assert.Equal(t, Superseded, PlaceOf(8, 7))
	assert.Equal(t, Freed, PlaceOf(7, 7), "compaction takes away what was superseded at its revision")
}

func count(t *testing.T, p Place, resource string, marks map[stored.Mark]int) Count {
	t.Helper()
	c := census.NewCounter(scope(t).Config, resource, noNames)
	for m, n := range marks {
		for range n {
			c.Add(nil, m)
		}
	}
	return Count{p, c.Tally()}
}

func TestApartLeavesInFreePagesWhatIsNotHeld(t *testing.T) {
	t.Parallel()
	secrets := count(t, Freed, "secrets", map[stored.Mark]int{under("1"): 10, plain: 2, under("2"): 5})
	above := count(t, Superseded, "secrets", map[stored.Mark]int{under("1"): 1})
	widgets := count(t, Freed, "widgets.example.com", map[stored.Mark]int{under("1"): 4})
	log := count(t, Logged, "secrets", map[stored.Mark]int{under("1"): 3})
	held := count(t, Superseded, "secrets", map[stored.Mark]int{under("1"): 4, plain: 7}).Tally
	counts, err := Apart([]Count{secrets, above, widgets, log}, []census.Tally{held})
	require.NoError(t, err)
	assert.Equal(t, []string{
		"superseded secrets stale aesgcm/1 5", "superseded secrets plaintext identity 2",
		"free-pages secrets stale aesgcm/1 6", "free-pages widgets.example.com stale aesgcm/1 4", "log secrets stale aesgcm/1 3",
	}, old(counts), "of what is held no more than was found")
}

func total(counts []Count) (n int64) {
	for _, c := range counts {
		for _, g := range c.Tally.Groups {
			n += g.Objects
		}
	}
	return n
}

// Telling places apart and adding up parts neither loses a copy nor makes one.
func TestNoCopyIsLost(t *testing.T) {
	t.Parallel()
	marks := rapid.SampledFrom([]stored.Mark{under("1"), under("2"), under("3"), plain})
	keys := rapid.SampledFrom([]string{"/registry/secrets/ns/a", "/registry/example.com/widgets/ns/a"})
	rapid.Check(t, func(t *rapid.T) {
		var parts [][]Count
		n := 0
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			c := NewCounter(scope(t, "*.*"))
			for range rapid.IntRange(0, 30).Draw(t, "copies") {
				c.Add(rapid.SampledFrom(places()).Draw(t, "place"), Record{Key: []byte(keys.Draw(t, "key")), Mark: marks.Draw(t, "mark")})
				n++
			}
			parts = append(parts, c.Counts())
		}
		sum, err := Merge(parts...)
		require.NoError(t, err)
		require.EqualValues(t, n, total(sum))
		var held []census.Tally
		for _, c := range parts[0] {
			if c.Place == Logged {
				held = append(held, c.Tally)
			}
		}
		apart, err := Apart(sum, held)
		require.NoError(t, err)
		require.EqualValues(t, n, total(apart))
	})
}
