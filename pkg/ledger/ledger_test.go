// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
)

// start is when the first rotation of every test begins; the second one begins an hour later, and so on.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func key(name string) encconfig.Key { return encconfig.Key{Provider: encconfig.AESGCM, Name: name} }

// config is a configuration that is told from others by the names of its keys.
func config(keyNames ...string) encconfig.Description {
	rule := encconfig.Rule{Resources: []string{"secrets", "configmaps"}}
	for _, name := range keyNames {
		rule.Keys = append(rule.Keys, key(name))
	}
	return encconfig.Description{Digest: fmt.Sprintf("sha256:%v", keyNames), Rules: []encconfig.Rule{rule}}
}

// rotated is a finished rotation from one configuration to another, all resources migrated half an hour later.
func rotated(number int, from, to encconfig.Description) ledger.Rotation {
	began := start.Add(time.Duration(number) * time.Hour)
	ended := began.Add(30 * time.Minute)
	done := ledger.Migration{Baseline: "100", Complete: true, CompletionTime: &ended}
	return ledger.Rotation{
		ID: fmt.Sprint(number), To: to.Rules[0].Keys[0], StartTime: began, StartDigest: from.Digest, Config: &to,
		Migrations: map[string]ledger.Migration{"secrets": done, "configmaps": done}, CompletionTime: &ended,
	}
}

func aborted(number int, from encconfig.Description, taken string) ledger.Rotation {
	r := rotated(number, from, from)
	r.To, r.Aborted, r.Migrations = key(taken), true, nil
	return r
}

func TestTrusted(t *testing.T) {
	t.Parallel()
	one, two, three := config("1"), config("2", "1"), config("3", "2", "1")
	open := rotated(2, two, three)
	open.CompletionTime = nil
	unproven := open
	unproven.Config = nil
	openWithout := without(open)
	tests := map[string]struct {
		record []ledger.Rotation
		key    string
		digest string
		id     string // of the record that is trusted, empty for none
	}{
		"an empty record": {nil, "2", two.Digest, ""},
		"the last rotation's key under its configuration": {
			[]ledger.Rotation{rotated(1, one, two)}, "2", two.Digest, "1",
		},
		"another configuration is loaded: somebody has edited the files": {
			[]ledger.Rotation{rotated(1, one, two)}, "2", "sha256:edited", "",
		},
		"another key than the record's": {
			[]ledger.Rotation{rotated(1, one, two)}, "1", two.Digest, "",
		},
		"the key of the rotation before the last": {
			[]ledger.Rotation{rotated(1, one, two), rotated(2, two, three)}, "2", three.Digest, "",
		},
		"a rotation under way that is proven": {
			[]ledger.Rotation{rotated(1, one, two), open}, "3", three.Digest, "2",
		},
		"a rotation under way that has proven nothing hides what was before": {
			[]ledger.Rotation{rotated(1, one, two), unproven}, "2", two.Digest, "",
		},
		"an aborted rotation that went back to the same bytes does not hide what was before": {
			[]ledger.Rotation{rotated(1, one, two), aborted(2, two, "3")}, "2", two.Digest, "1",
		},
		"an aborted rotation is no record of its key": {
			[]ledger.Rotation{aborted(1, two, "2")}, "2", two.Digest, "",
		},
		"a rotation that has ended without a node": {
			[]ledger.Rotation{without(rotated(1, one, two))}, "2", two.Digest, "",
		},
		"a rotation under way without a node": {
			[]ledger.Rotation{rotated(1, one, two), openWithout}, "3", three.Digest, "2",
		},
		"the files were restored to those of two rotations ago": {
			[]ledger.Rotation{rotated(1, one, two), rotated(2, two, three)}, "2", two.Digest, "",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := ledger.Ledger{Rotations: tt.record}
			got := l.Trusted(key(tt.key), tt.digest)
			if tt.id == "" {
				assert.Nil(t, got)
				return
			}
			assert.Equal(t, tt.id, got.ID)
		})
	}
}

// without is a rotation that a node was left out of.
func without(r ledger.Rotation) ledger.Rotation {
	r.LeftOut = []string{"n3"}
	return r
}

func TestUnneeded(t *testing.T) {
	t.Parallel()
	one, two, three := config("1"), config("2", "1"), config("3", "2", "1")
	both := []string{"secrets", "configmaps"}
	late := start.Add(24 * time.Hour)
	const age = 10 * time.Minute
	failed := rotated(1, one, two)
	failed.Migrations = map[string]ledger.Migration{
		"secrets":    failed.Migrations["secrets"],
		"configmaps": {Baseline: "100", Failed: 1, CompletionTime: failed.CompletionTime},
	}
	unproven := rotated(2, two, three)
	unproven.Config, unproven.CompletionTime = nil, nil
	back := config("1", "2")
	tests := map[string]struct {
		record    []ledger.Rotation
		config    encconfig.Description
		resources []string
		now       time.Time
		want      []encconfig.Key
	}{
		"nothing is on record": {nil, two, both, late, nil},
		"everything was migrated away long ago": {
			[]ledger.Rotation{rotated(1, one, two)}, two, both, late, []encconfig.Key{key("1")},
		},
		"the migration ended just now": {
			[]ledger.Rotation{rotated(1, one, two)}, two, both, start.Add(95 * time.Minute), nil,
		},
		"the migration ended exactly the age ago": {
			[]ledger.Rotation{rotated(1, one, two)}, two, both, start.Add(100 * time.Minute), nil,
		},
		"the migration ended a moment more than the age ago": {
			[]ledger.Rotation{rotated(1, one, two)}, two, both, start.Add(100*time.Minute + 1), []encconfig.Key{key("1")},
		},
		"a clock that went back proves nothing": {
			[]ledger.Rotation{rotated(1, one, two)}, two, both, start, nil,
		},
		"an object failed": {[]ledger.Rotation{failed}, two, both, late, nil},
		"the configuration has a resource that was not migrated": {
			[]ledger.Rotation{rotated(1, one, two)}, two, []string{"secrets", "configmaps", "widgets.example.com"}, late, nil,
		},
		"somebody has edited the files since": {
			[]ledger.Rotation{rotated(1, one, two)}, config("2", "1", "0"), both, late, nil,
		},
		"each rotation began where the one before had ended": {
			[]ledger.Rotation{rotated(1, one, two), rotated(2, two, three)}, three, both, late, []encconfig.Key{key("2"), key("1")},
		},
		"the last migration is too young, the one before is not": {
			[]ledger.Rotation{rotated(1, one, two), rotated(2, two, three)}, three, both, start.Add(155 * time.Minute), []encconfig.Key{key("1")},
		},
		"somebody edited the files between two rotations, the last is too young": {
			[]ledger.Rotation{rotated(1, one, two), rotated(2, config("2", "1", "0"), three)}, three, both, start.Add(155 * time.Minute), nil,
		},
		"a gap before the migration that counts does no harm": {
			[]ledger.Rotation{rotated(2, config("2", "1", "0"), three)}, three, both, late, []encconfig.Key{key("2"), key("1")},
		},
		"a rotation was aborted since": {
			[]ledger.Rotation{rotated(1, one, two), aborted(2, two, "3")}, two, both, late, []encconfig.Key{key("1")},
		},
		"an aborted rotation migrated nothing": {
			[]ledger.Rotation{aborted(1, two, "3")}, two, both, late, nil,
		},
		"a rotation under way has proven nothing yet": {
			[]ledger.Rotation{rotated(1, one, two), unproven}, two, both, late, nil,
		},
		"a node was left out, and may have written with the key since": {
			[]ledger.Rotation{without(rotated(1, one, two))}, two, both, late, nil,
		},
		"a node was left out, and was there the time before": {
			[]ledger.Rotation{rotated(1, one, two), without(rotated(2, two, three))}, three, both, late, []encconfig.Key{key("1")},
		},
		"a node was left out, and was there the time after": {
			[]ledger.Rotation{without(rotated(1, one, two)), rotated(2, two, three)}, three, both, late, []encconfig.Key{key("2"), key("1")},
		},
		"a key that became the write key once more is needed": {
			[]ledger.Rotation{rotated(1, one, two), rotated(2, two, back)}, back, both, start.Add(155 * time.Minute), nil,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := ledger.Ledger{Rotations: tt.record}
			assert.Equal(t, tt.want, l.Unneeded(tt.config, tt.resources, tt.now, age))
		})
	}
}

func TestOpenIsTheLastRotationThatHasNotEnded(t *testing.T) {
	t.Parallel()
	one, two, three := config("1"), config("2", "1"), config("3", "2", "1")
	open := rotated(2, two, three)
	open.CompletionTime = nil
	l := &ledger.Ledger{}
	assert.Nil(t, l.Last())
	assert.Nil(t, l.Open())
	l.Begin(rotated(1, one, two))
	assert.Nil(t, l.Open())
	l.Begin(open)
	assert.Equal(t, "2", l.Open().ID)
	assert.Equal(t, "1", l.ByID("1").ID)
	assert.Nil(t, l.ByID("9"))
	migrated := rotated(3, three, three)
	l.Begin(migrated)
	assert.Equal(t, "2", l.Open().ID, "a migration on its own does not end it")
	l.Resume("9")
	assert.Equal(t, "3", l.Last().ID)
	l.Resume("2")
	assert.Equal(t, "2", l.Last().ID, "what is gone on with is the last one")
	assert.Len(t, l.Rotations, 3)
	l.ByID("2").CompletionTime = migrated.CompletionTime
	assert.Nil(t, l.Open())
}

func TestSettledAndMigratedAskForEveryResource(t *testing.T) {
	t.Parallel()
	var none *ledger.Rotation
	assert.False(t, none.Settled(nil))
	assert.False(t, none.Migrated(nil))
	r := &ledger.Rotation{Migrations: map[string]ledger.Migration{
		"secrets": {Baseline: "1", Complete: true}, "configmaps": {Baseline: "1"}, "pods": {},
	}}
	assert.True(t, r.Settled([]string{"secrets", "configmaps"}))
	assert.False(t, r.Settled([]string{"secrets", "pods"}))
	assert.False(t, r.Settled([]string{"secrets", "services"}))
	assert.True(t, r.Migrated([]string{"secrets"}))
	assert.False(t, r.Migrated([]string{"secrets", "configmaps"}))
}

func TestBeginForgetsTheOldest(t *testing.T) {
	t.Parallel()
	l := &ledger.Ledger{}
	for i := range 25 {
		l.Begin(ledger.Rotation{ID: fmt.Sprint(i)})
	}
	assert.Len(t, l.Rotations, 20)
	assert.Equal(t, "5", l.Rotations[0].ID)
	assert.Equal(t, "24", l.Last().ID)
}

func TestBeginTwiceIsBegunOnce(t *testing.T) {
	t.Parallel()
	l := &ledger.Ledger{}
	l.Begin(ledger.Rotation{ID: "1", Stage: "plan"})
	l.Begin(ledger.Rotation{ID: "1", Stage: "await"})
	assert.Equal(t, []ledger.Rotation{{ID: "1", Stage: "await"}}, l.Rotations, "an answer was lost, and it was done again")
}

func TestBeginKeepsOfOlderRotationsWhatProofsNeed(t *testing.T) {
	t.Parallel()
	configs := []encconfig.Description{config("1"), config("2", "1"), config("3", "2", "1"), config("4", "3", "2", "1")}
	l := &ledger.Ledger{}
	for i := range 3 {
		r := rotated(i, configs[i], configs[i+1])
		m := r.Migrations["secrets"]
		m.Skipped = []string{"ns/name: Denied"}
		r.Migrations["secrets"] = m
		l.Begin(r)
	}
	oldest := l.Rotations[0]
	assert.Empty(t, oldest.Config.Rules)
	assert.Empty(t, oldest.Migrations["secrets"].Skipped)
	assert.Equal(t, configs[1].Digest, oldest.Config.Digest)
	assert.True(t, oldest.Migrations["secrets"].Complete)
	assert.NotEmpty(t, l.Rotations[1].Config.Rules)
	assert.NotEmpty(t, l.Rotations[2].Migrations["secrets"].Skipped)
	late := start.Add(24 * time.Hour)
	assert.Equal(t, []encconfig.Key{key("3"), key("2"), key("1")},
		l.Unneeded(configs[3], []string{"secrets"}, late, time.Hour), "a trimmed record still proves what it proved")
}

func TestBeginKeepsAllOfWhatHasNotEnded(t *testing.T) {
	t.Parallel()
	one, two := config("1"), config("2", "1")
	open := rotated(1, one, two)
	open.CompletionTime = nil
	l := &ledger.Ledger{}
	l.Begin(open)
	for i := range 3 {
		l.Begin(rotated(2+i, two, two)) // migrations on their own
	}
	l.Resume(open.ID)
	assert.Equal(t, &two, l.Last().Config, "status goes by it")
	assert.Empty(t, l.Rotations[0].Config.Rules)
}

// Where no resource is encrypted a migration of all of them is a migration of none.
func TestUnneeded_isNothingWhereNothingIsEncrypted(t *testing.T) {
	t.Parallel()
	d := encconfig.Description{Digest: "sha256:x", Rules: []encconfig.Rule{{
		Resources: []string{"secrets"}, Keys: []encconfig.Key{{Provider: encconfig.Identity}, {Provider: encconfig.AESGCM, Name: "1"}},
	}}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := &ledger.Ledger{Rotations: []ledger.Rotation{{ID: "a", To: encconfig.Key{Provider: encconfig.Identity}, Config: &d, CompletionTime: &now}}}
	assert.Empty(t, l.Unneeded(d, nil, now.Add(time.Hour), time.Minute))
}

// What may be stored with another key is told until everything was migrated.
func TestDistrusted_untilAllWasMigratedSince(t *testing.T) {
	t.Parallel()
	names := []string{"secrets", "configmaps"}
	done := func(at time.Time, of ...string) ledger.Rotation {
		r := ledger.Rotation{ID: at.String(), To: key("1"), Migrations: map[string]ledger.Migration{}, CompletionTime: &at}
		for _, name := range of {
			r.Migrations[name] = ledger.Migration{Baseline: "1", Complete: true, CompletionTime: &at}
		}
		return r
	}
	l := &ledger.Ledger{Rotations: []ledger.Rotation{done(start, names...)}}
	assert.False(t, l.Distrusted(names))
	l.Distrust(start.Add(time.Minute))
	assert.True(t, l.Distrusted(names), "what was migrated before does not count")
	l.Begin(done(start.Add(time.Hour), "secrets"))
	assert.True(t, l.Distrusted(names), "nor does a part")
	l.Begin(done(start.Add(2*time.Hour), names...))
	assert.False(t, l.Distrusted(names))
}
