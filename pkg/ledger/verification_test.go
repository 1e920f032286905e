// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
)

// counted is a count at a time that has seen values under the keys.
func counted(at time.Time, names ...string) ledger.Verification {
	v := ledger.Verification{Time: at, Outcome: ledger.Clean}
	for _, name := range names {
		v.Keys = append(v.Keys, key(name))
	}
	return v
}

func TestTheLatestVerificationStaysOnRecord(t *testing.T) {
	t.Parallel()
	var l ledger.Ledger
	l.Note(counted(start.Add(time.Hour), "2"))
	l.Note(counted(start, "1")) // began earlier, ended later
	require.NotNil(t, l.Verification)
	assert.Equal(t, start.Add(time.Hour), l.Verification.Time)
	assert.Equal(t, []ledger.Sighting{{Key: key("2"), Time: start.Add(time.Hour)}, {Key: key("1"), Time: start}}, l.Sightings, "what was seen counts all the same")

	l.Note(counted(start.Add(2*time.Hour), "1"))
	assert.Equal(t, []ledger.Sighting{{Key: key("1"), Time: start.Add(2 * time.Hour)}, {Key: key("2"), Time: start.Add(time.Hour)}}, l.Sightings)
}

// A verification of Secrets alone knows nothing of a ConfigMap that nobody can read.
func TestAVerificationOfLessKeepsWhatWasFoundElsewhere(t *testing.T) {
	t.Parallel()
	lost := ledger.StoredResource{Name: "configmaps", WriteKey: key("2"), Objects: 9, Unreadable: 1}
	secrets := ledger.StoredResource{Name: "secrets", WriteKey: key("2"), Objects: 5}
	found := ledger.Verification{
		Time: start, Outcome: ledger.Found, Digest: "d", Whole: []string{"configmaps", "secrets"},
		Resources: []ledger.StoredResource{lost, {Name: "secrets", WriteKey: key("2"), Objects: 5, Unreadable: 2}}, Objects: 14, Off: 3,
	}
	less := ledger.Verification{
		Time: start.Add(time.Hour), Outcome: ledger.Clean, Digest: "d", Whole: []string{"secrets"}, Resources: []ledger.StoredResource{secrets}, Objects: 5,
	}
	again, other := less, less
	again.Time, other.Digest = less.Time.Add(time.Hour), "e"
	all := found
	all.Time, all.Outcome, all.Resources, all.Off = again.Time, ledger.Clean, []ledger.StoredResource{secrets}, 0

	l := ledger.Ledger{}
	for _, v := range []ledger.Verification{found, less, again} {
		l.Note(v)
	}
	assert.Equal(t, ledger.Found, l.Verification.Outcome)
	assert.Equal(t, []ledger.StoredResource{secrets, lost}, l.Verification.Resources)
	assert.EqualValues(t, 14, l.Verification.Objects)
	assert.EqualValues(t, 1, l.Verification.Off)
	assert.Equal(t, less.Whole, l.Verification.Whole)
	assert.Len(t, less.Resources, 1, "what was given is the caller's")

	l.Note(all)
	assert.Equal(t, all, *l.Verification, "they were counted anew")
	l = ledger.Ledger{Verification: &found}
	l.Note(other)
	assert.Equal(t, other, *l.Verification, "what is as it should be is told by another configuration")
	l = ledger.Ledger{Verification: &found, Rotations: []ledger.Rotation{rotated(2, config("1"), config("2", "1"))}}
	l.Note(less)
	assert.Equal(t, less, *l.Verification, "something was migrated since")
}

func TestAKeyThatAValueWasSeenUnderIsNeeded(t *testing.T) {
	t.Parallel()
	one, two, three := config("1"), config("2", "1"), config("3", "2", "1")
	migrated := start.Add(3*time.Hour + 30*time.Minute) // by rotation 3
	tests := map[string]struct {
		seen time.Time
		want []encconfig.Key
	}{
		"never":                                {time.Time{}, []encconfig.Key{key("2"), key("1")}},
		"before the migration away from it":    {migrated.Add(-time.Minute), []encconfig.Key{key("2"), key("1")}},
		"when the migration ended":             {migrated, []encconfig.Key{key("2")}},
		"since the migration, an hour ago":     {migrated.Add(time.Hour), []encconfig.Key{key("2")}},
		"just now, whenever the migration was": {start.Add(100 * time.Hour), []encconfig.Key{key("2")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := ledger.Ledger{Rotations: []ledger.Rotation{rotated(2, one, two), rotated(3, two, three)}}
			if !tt.seen.IsZero() {
				l.Note(counted(tt.seen, "1"))
			}
			assert.Equal(t, tt.want, l.Unneeded(three, []string{"secrets", "configmaps"}, start.Add(100*time.Hour), time.Hour))
		})
	}
}

func TestACountRefutesWhatWasMigratedBeforeIt(t *testing.T) {
	t.Parallel()
	one, two := config("1"), config("2", "1")
	after := start.Add(10 * time.Hour)
	stale := ledger.StoredResource{Name: "secrets", WriteKey: key("2"), Objects: 9, Stale: 1}
	plain := ledger.StoredResource{Name: "secrets", WriteKey: key("2"), Objects: 9, Plaintext: 1}
	unreadable := ledger.StoredResource{Name: "secrets", WriteKey: key("2"), Objects: 9, Unreadable: 1}
	under1 := ledger.StoredResource{Name: "secrets", WriteKey: key("1"), Objects: 9, Stale: 1}
	tests := map[string]struct {
		at    time.Time
		found ledger.StoredResource
		gone  []string
	}{
		"a value under an old key":                        {after, stale, []string{"secrets"}},
		"a value in plaintext":                            {after, plain, []string{"secrets"}},
		"a value that no migration can store again":       {after, unreadable, nil},
		"all as it should be":                             {after, ledger.StoredResource{Name: "secrets", WriteKey: key("2"), Objects: 9}, nil},
		"counted before the migration had ended":          {start.Add(2*time.Hour + 29*time.Minute), stale, nil},
		"by a configuration that writes with another key": {after, under1, nil},
		"of a resource that was not migrated":             {after, ledger.StoredResource{Name: "widgets.example.com", WriteKey: key("2"), Stale: 1}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := ledger.Ledger{Rotations: []ledger.Rotation{rotated(2, one, two)}}
			assert.Equal(t, tt.gone, l.Refute(ledger.Verification{Time: tt.at, Resources: []ledger.StoredResource{tt.found}}))
			assert.Equal(t, len(tt.gone) == 0, l.Rotations[0].Settled([]string{"secrets"}))
			assert.True(t, l.Rotations[0].Migrated([]string{"configmaps"}), "another resource is not touched")
		})
	}
	open := rotated(2, one, two)
	open.Migrations["secrets"] = ledger.Migration{Baseline: "100"}
	l := ledger.Ledger{Rotations: []ledger.Rotation{open}}
	assert.Empty(t, l.Refute(ledger.Verification{Time: after, Resources: []ledger.StoredResource{stale}}), "it is being migrated")
}

func TestSinceWhenAKeyIsUnused(t *testing.T) {
	t.Parallel()
	now, before := counted(start.Add(2*time.Hour), "3"), counted(start.Add(time.Hour), "3")
	another := before
	another.Digest = "sha256:another"
	later := counted(start.Add(3*time.Hour), "3")
	used := counted(start.Add(time.Hour), "3", "1")
	ended := func(name string, at time.Time) []ledger.Rotation {
		return []ledger.Rotation{{To: key(name), CompletionTime: &at}}
	}
	tests := map[string]struct {
		book ledger.Ledger
		want time.Time
	}{
		"no count before":                          {ledger.Ledger{}, now.Time},
		"a count before":                           {ledger.Ledger{Whole: &before}, before.Time},
		"a count before that saw values under it":  {ledger.Ledger{Whole: &used}, now.Time},
		"a count before, of another configuration": {ledger.Ledger{Whole: &another}, now.Time},
		"a count of later":                         {ledger.Ledger{Whole: &later}, now.Time},
		"a value was seen since":                   {ledger.Ledger{Whole: &before, Sightings: []ledger.Sighting{{Key: key("1"), Time: before.Time.Add(time.Minute)}}}, now.Time},
		"a value was seen before":                  {ledger.Ledger{Whole: &before, Sightings: []ledger.Sighting{{Key: key("1"), Time: start}}}, before.Time},
		"it has written since":                     {ledger.Ledger{Whole: &before, Rotations: ended("1", now.Time)}, now.Time},
		"it may write now":                         {ledger.Ledger{Whole: &before, Rotations: []ledger.Rotation{{To: key("1")}}}, now.Time},
		"it has written before":                    {ledger.Ledger{Whole: &before, Rotations: ended("1", start)}, before.Time},
		"another key has written since":            {ledger.Ledger{Whole: &before, Rotations: ended("2", now.Time)}, before.Time},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, tt.book.UnusedSince(key("1"), now))
			tt.book.NoteWhole(now, []encconfig.Key{key("1")})
			if tt.want.Equal(before.Time) {
				assert.Equal(t, &before, tt.book.Whole, "the time goes on")
			} else {
				assert.Equal(t, &now, tt.book.Whole, "the time begins")
			}
		})
	}
}

func TestAKeyThatIsNeededDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	var l ledger.Ledger
	list := []encconfig.Key{key("1"), key("2")}
	l.NoteWhole(counted(start, "3", "2"), list)
	again := counted(start.Add(time.Minute), "3", "2")
	assert.Equal(t, start, l.UnusedSince(key("1"), again))
	l.NoteWhole(again, list)
	later := counted(start.Add(2*time.Minute), "3", "2")
	assert.Equal(t, start, l.UnusedSince(key("1"), later))
	assert.Equal(t, later.Time, l.UnusedSince(key("2"), later))
	l.NoteWhole(counted(start.Add(3*time.Minute), "3"), list)
	assert.Equal(t, start.Add(3*time.Minute), l.Whole.Time, "from now on key 2 is unused as well")
}
