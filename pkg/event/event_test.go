// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package event_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
)

// The kinds and the names of the fields are a promise to programs that read them.
func TestTheNamesOfEventsAndTheirFields(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		event event.Event
		json  string
	}{
		"step-started":  {event.StepStarted{Number: 1, Total: 2, Stage: "s", Text: "t"}, `{"number":1,"total":2,"stage":"s","text":"t"}`},
		"step-progress": {event.StepProgress{Stage: "s", Done: 1, Total: 2, Unit: "u"}, `{"stage":"s","done":1,"total":2,"unit":"u"}`},
		"migration-progress": {
			event.MigrationProgress{Resource: "r", Done: 1, Total: 2, Migrated: 3, Failed: 4, Rate: 5, Left: 6, Workers: 7, Held: true},
			`{"resource":"r","done":1,"total":2,"migrated":3,"failed":4,"ratePerSecond":5,"secondsLeft":6,"workers":7,"held":true}`,
		},
		"step-done": {
			event.StepDone{Number: 1, Total: 2, Stage: "s", Text: "t", Elapsed: 3},
			`{"number":1,"total":2,"stage":"s","text":"t","elapsedNanoseconds":3}`,
		},
		"notice":   {event.Notice{Text: "t"}, `{"text":"t"}`},
		"warning":  {event.Warning{Text: "t"}, `{"text":"t"}`},
		"finished": {event.Finished{Text: "t", Elapsed: 1}, `{"text":"t","elapsedNanoseconds":1}`},
		"failed": {
			event.Failed{Error: "e", Stage: "s", Safe: "a", Hints: []string{"h"}}, `{"error":"e","stage":"s","safe":"a","hints":["h"]}`,
		},
		"migration-report": {event.MigrationReported{}, `{"report":null}`},
	}
	for kind, tt := range tests {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, kind, tt.event.Kind())
			data, err := json.Marshal(tt.event)
			require.NoError(t, err)
			assert.JSONEq(t, tt.json, string(data))
		})
	}
}
