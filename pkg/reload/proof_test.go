// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package reload_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

const digest = "sha256:aaaa"

func TestProves(t *testing.T) {
	t.Parallel()
	written := time.Unix(1_800_000_000, 0)
	never := time.Time{}
	tests := map[string]struct {
		evidence reload.Evidence
		written  time.Time
		loaded   bool
		reason   string
	}{
		"the hash that is reported is the file's": {
			reload.Evidence{TellsHash: true, Hash: digest}, written, true, "it reports the file's hash",
		},
		"the hash counts without any time": {
			reload.Evidence{TellsHash: true, Hash: digest}, never, true, "it reports the file's hash",
		},
		"another hash is reported": {
			reload.Evidence{TellsHash: true, Hash: "sha256:bbbb"}, written, false, "it still runs another configuration",
		},
		"another hash is reported and it started later than the file": {
			reload.Evidence{TellsHash: true, Hash: "sha256:bbbb", Started: written.Add(time.Hour)}, written, false, "it still runs another configuration",
		},
		"another hash is reported and it has reloaded since": {
			reload.Evidence{TellsHash: true, Hash: "sha256:bbbb", LastSuccess: written.Add(time.Hour)}, written, false, "it still runs another configuration",
		},
		"no hash is reported where one should be": {
			reload.Evidence{TellsHash: true, Started: written.Add(time.Hour)}, written, false, "it runs without an encryption configuration",
		},
		"an old server started well after the file was written": {
			reload.Evidence{Started: written.Add(3 * time.Second)}, written, true, "it started after the file was written",
		},
		"an old server started within the margin": {
			reload.Evidence{Started: written.Add(2 * time.Second)}, written, false, "it has not reloaded since the file was written",
		},
		"an old server has reloaded since": {
			reload.Evidence{Started: written.Add(-time.Hour), LastSuccess: written.Add(time.Millisecond)},
			written, true,
			"it has reloaded since the file was written",
		},
		"an old server reloaded in the same instant": {
			reload.Evidence{Started: written.Add(-time.Hour), LastSuccess: written}, written, false, "it has not reloaded since the file was written",
		},
		"an old server has only failed since": {
			reload.Evidence{Started: written.Add(-time.Hour), LastFailure: written.Add(time.Minute)},
			written, false,
			"it has not reloaded since the file was written",
		},
		"the file's time is not known": {
			reload.Evidence{Started: written, LastSuccess: written},
			never, false,
			"it does not report a hash (before 1.34), and the time of the file is not known",
		},
		"nothing is known": {
			reload.Evidence{}, written, false, "it has not reloaded since the file was written",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, reload.Verdict{Loaded: tt.loaded, Reason: tt.reason}, tt.evidence.Proves(digest, tt.written))
		})
	}
}

func TestProvesByWhatRealServersAnswer(t *testing.T) {
	t.Parallel()
	before := sample(t, "v1.33.13-started").Started.Add(-time.Minute)
	between := sample(t, "v1.33.13-reloaded").LastSuccess.Add(-time.Second)
	after := sample(t, "v1.33.13-reloaded").LastSuccess.Add(time.Second)
	tests := map[string]struct {
		sample, digest string
		written        time.Time
		loaded         bool
	}{
		"1.37 tells the hash it started with":            {"v1.37.1-started", startedHash, after, true},
		"1.37 has not loaded the later file":             {"v1.37.1-started", laterHash, before, false},
		"1.37 has loaded the later file":                 {"v1.37.1-reloaded", laterHash, before, true},
		"1.37 has left the first file":                   {"v1.37.1-reloaded", startedHash, before, false},
		"1.37 keeps the good file after a failure":       {"v1.37.1-failed", laterHash, before, true},
		"1.37 without configuration proves nothing":      {"v1.37.1-unencrypted", startedHash, before, false},
		"1.33 started after the file":                    {"v1.33.13-started", laterHash, before, true},
		"1.33 started before the file":                   {"v1.33.13-started", laterHash, between, false},
		"1.33 has reloaded since the file":               {"v1.33.13-reloaded", laterHash, between, true},
		"1.33 has not reloaded since a file still later": {"v1.33.13-reloaded", laterHash, after, false},
		"1.33 has failed since the file":                 {"v1.33.13-failed", laterHash, after, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.loaded, sample(t, tt.sample).Proves(tt.digest, tt.written).Loaded)
		})
	}
}

func TestFailedSince(t *testing.T) {
	t.Parallel()
	written := time.Unix(1_800_000_000, 0)
	tests := map[string]struct {
		success, failure time.Time
		failed           bool
	}{
		"never reloaded":                           {time.Time{}, time.Time{}, false},
		"failed after the file was written":        {time.Time{}, written.Add(1), true},
		"failed before the file was written":       {time.Time{}, written.Add(-1), false},
		"failed, and then succeeded":               {written.Add(2), written.Add(1), false},
		"succeeded, and then failed":               {written.Add(1), written.Add(2), true},
		"failed with the file before, not with it": {written.Add(-2), written.Add(-1), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := reload.Evidence{LastSuccess: tt.success, LastFailure: tt.failure}
			assert.Equal(t, tt.failed, e.FailedSince(written))
		})
	}
}

// Whatever else a server tells, one that tells a hash has proven a file exactly if it is the file's.
func TestAServerThatTellsAHashNeverProvesAnotherFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		written := drawTime(t, "written")
		e := reload.Evidence{
			TellsHash: true, Hash: rapid.SampledFrom([]string{"", digest, "sha256:bbbb", "sha256:AAAA", digest + "a"}).Draw(t, "hash"),
			Started: drawTime(t, "started"), LastSuccess: drawTime(t, "success"), LastFailure: drawTime(t, "failure"),
		}
		assert.Equal(t, e.Hash == digest, e.Proves(digest, written).Loaded)
	})
}

// Before 1.34 a file is only proven by something that is later than the file.
func TestAServerThatTellsNoHashProvesNothingOlderThanTheFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		written := drawTime(t, "written")
		e := reload.Evidence{Started: drawTime(t, "started"), LastSuccess: drawTime(t, "success"), LastFailure: drawTime(t, "failure")}
		if e.Proves(digest, written).Loaded {
			assert.False(t, written.IsZero())
			assert.True(t, e.Started.After(written) || e.LastSuccess.After(written))
		}
	})
}

func drawTime(t *rapid.T, label string) time.Time {
	offset := rapid.Int64Range(-5000, 5000).Draw(t, label)
	if rapid.IntRange(0, 9).Draw(t, label+" is not known") == 0 {
		return time.Time{}
	}
	return time.Unix(1_800_000_000, 0).Add(time.Duration(offset) * time.Millisecond)
}
