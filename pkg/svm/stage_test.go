// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	svmv1 "k8s.io/api/storagemigration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

func TestStageOf(t *testing.T) {
	tests := map[string]struct {
		resourceVersion string
		running         metav1.ConditionStatus
		end             svmv1.MigrationConditionType
		want            stage
		released        bool
	}{
		"nothing said":                         {want: queued, released: true},
		"taken up":                             {running: "True", want: accepted},
		"taken up, and told how far":           {running: "True", resourceVersion: "7", want: begun},
		"succeeded, not yet let go of":         {running: "True", resourceVersion: "7", end: svmv1.MigrationSucceeded, want: succeeded},
		"succeeded and let go of":              {running: "False", resourceVersion: "7", end: svmv1.MigrationSucceeded, want: succeeded, released: true},
		"failed before it began":               {end: svmv1.MigrationFailed, want: failed, released: true},
		"failed after it began, not let go of": {running: "True", resourceVersion: "7", end: svmv1.MigrationFailed, want: failed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := &svmv1.StorageVersionMigration{}
			m.Status.ResourceVersion = tt.resourceVersion
			if tt.running != "" {
				m.Status.Conditions = append(m.Status.Conditions, metav1.Condition{Type: "Running", Status: tt.running})
			}
			if tt.end != "" {
				m.Status.Conditions = append(m.Status.Conditions, metav1.Condition{Type: string(tt.end), Status: "True"})
			}
			assert.Equal(t, tt.want, stageOf(m))
			assert.Equal(t, tt.released, released(m))
		})
	}
}

func TestQuotable(t *testing.T) {
	tests := map[string]struct {
		message string
		kept    bool
	}{
		"a webhook's denial":       {`admission webhook "guard.example.com" denied the request: no`, true},
		"a webhook without answer": {`Internal error occurred: failed calling webhook "x": timed out`, true},
		"a policy's denial":        {`secrets "s" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`, true},
		"a missing right":          {`secrets "s" is forbidden: User "system:serviceaccount:kube-system:x" cannot patch resource "secrets"`, true},
		"etcd without a leader":    {`etcdserver: leader changed`, true},
		"a broken connection":      {`Patch "https://127.0.0.1/api/v1/namespaces/ns/secrets/s": EOF`, true},
		"what can't be decrypted":  {`Internal error occurred: data from the storage is not transformable revision=0: no matching prefix found`, true},
		"and on a read": {
			"Internal error occurred: StorageError: corrupt object, Code: 7, Key: /secrets/ns/s, ResourceVersion: 0, " +
				"AdditionalErrorMsg: data from the storage is not transformable revision=0: no matching prefix found", true,
		},
		"what can't be decoded": {"Internal error occurred: StorageError: corrupt object, Code: 7, Key: /secrets/ns/s, " +
			"ResourceVersion: 0, AdditionalErrorMsg: data from the storage is not decodable: hunter2", false},
		"validation":     {`Secret "s" is invalid: data[password]: Invalid value: "hunter2": too short`, false},
		"a whole object": {` "" is invalid: patch: Invalid value: {"data":{"password":"hunter2"}}: no`, false},
		"anything else":  {`something about hunter2`, false},
		"nothing":        {``, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want := withheld
			if tt.kept {
				want = tt.message
			}
			assert.Equal(t, want, quotable(tt.message))
		})
	}
	t.Run("a long one is cut between characters", func(t *testing.T) {
		got := quotable("etcdserver: " + strings.Repeat("é", hint.MaxMessage))
		assert.LessOrEqual(t, len(got), hint.MaxMessage+len("…"))
		assert.True(t, strings.HasSuffix(got, "é…"))
	})
}

func TestFailure(t *testing.T) {
	tests := map[string]struct {
		message, want string
		ofObject      bool
	}{
		"an object's":         {"3/7 not yet migrated. migration encountered unhandled error: first\nsecond", "first\nsecond", true},
		"no object's":         {"migration encountered unhandled error: unable to obtain GVR from discovery", "migration encountered unhandled error: unable to obtain GVR from discovery", false},
		"before it had begun": {"resource does not exist in discovery", "resource does not exist in discovery", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := &svmv1.StorageVersionMigration{}
			m.Status.Conditions = []metav1.Condition{{Type: "Failed", Status: "True", Message: tt.message}}
			message, ofObject := failure(m)
			assert.Equal(t, tt.want, message)
			assert.Equal(t, tt.ofObject, ofObject)
		})
	}
}

func TestVigil(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var v vigil
		now := time.Unix(0, 0)
		moved := now
		at, stale := queued, int64(50)
		v.see(now, at, stale)
		for range rapid.IntRange(1, 40).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second)
			switch rapid.IntRange(0, 3).Draw(t, "what moves") {
			case 0:
				if stale > 0 {
					stale--
					moved = now
				}
			case 1:
				if at < begun {
					at++
					moved = now
				}
			}
			v.see(now, at, stale)
			assert.Equal(t, now.Sub(moved), v.quiet(now))
			limit := queuedLimit
			if at > queued {
				limit = stalledLimit + 50*stalledPerObject
			}
			err := v.verdict(now, 50, "")
			switch {
			case now.Sub(moved) < limit:
				assert.NoError(t, err)
			case at == queued:
				assert.ErrorIs(t, err, ErrNotRunning)
			default:
				assert.ErrorIs(t, err, ErrStalled)
			}
		}
	})
}

// Whatever was deleted or made meanwhile: each listed object is counted once.
func TestAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := func(name string) int64 { return rapid.Int64Range(0, 1000).Draw(t, name) }
		last := migrate.Report{
			Passes: 1, Skipped: count("skipped"), Migrated: count("migrated"), Unchanged: count("unchanged"), Failed: count("failed"),
		}
		last.Listed = last.Skipped + last.Migrated + last.Unchanged + last.Failed
		r := run{name: "x", before: count("before"), stale: count("stale")}
		got := r.add(last)
		assert.Equal(t, got.Listed, got.Skipped+got.Migrated+got.Unchanged+got.Failed)
		assert.GreaterOrEqual(t, got.Migrated, last.Migrated)
		assert.LessOrEqual(t, got.Migrated-last.Migrated, max(0, r.before-r.stale))
		assert.GreaterOrEqual(t, got.Skipped, int64(0))
		assert.Equal(t, 2, got.Passes)
	})
}
