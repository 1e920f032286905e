// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package nodejob

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
)

// conversation is a session with an agent that answers each line as it is told to; without an answer it ends.
func conversation(t *testing.T, agent func(request string) (answer string, more bool)) *Session {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	s := &Session{node: "n1", run: "run1", stdin: inW, lines: make(chan line), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		requests := bufio.NewScanner(inR)
		for requests.Scan() {
			answer, more := agent(requests.Text())
			if !more {
				break
			}
			_, _ = io.WriteString(outW, answer)
		}
		_ = outW.CloseWithError(io.EOF)
		_ = inR.CloseWithError(io.ErrClosedPipe)
	}()
	go s.read(ctx, outR)
	context.AfterFunc(ctx, func() { _ = outR.Close() })
	return s
}

func answers(line string) func(string) (string, bool) {
	return func(string) (string, bool) { return line + "\n", true }
}

const good = `{"version":1,"op":"inspect","node":"n1","run":"run1","state":{"publicKey":"AQ==","digest":"sha256:x","highestKey":3}}`

func TestAskSendsOneLineAndTakesOneAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		s := conversation(t, func(request string) (string, bool) { asked = append(asked, request); return good + "\n", true })
		for range 2 {
			answer, err := s.Ask(t.Context(), agentapi.Request{Op: agentapi.Inspect})
			require.NoError(t, err)
			assert.Equal(t, uint64(3), answer.State.HighestKey)
		}
		s.Close()
		assert.Equal(t, []string{`{"version":1,"op":"inspect"}`, `{"version":1,"op":"inspect"}`}, asked)
	})
}

func TestAskRefusesAnswersToSomethingElse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ answer, message string }{
		"no JSON":                         {"Segmentation fault", "node n1: the agent's answer is not understood"},
		"another version":                 {strings.Replace(good, `"version":1`, `"version":2`, 1), "is not one to what was asked (version 2"},
		"another node":                    {strings.Replace(good, `"n1"`, `"n2"`, 1), "is not one to what was asked"},
		"another run":                     {strings.Replace(good, `"run1"`, `"run2"`, 1), "is not one to what was asked"},
		"no operation, and no reason why": {strings.Replace(good, `"inspect"`, `""`, 1), "is not one to what was asked"},
		"no operation, since it is no request to it": {
			`{"version":1,"op":"","node":"n1","run":"run1","error":{"code":"bad-request","message":"an edit of what?"}}`, "node n1: an edit of what?",
		},
		"another operation": {strings.Replace(good, `"inspect"`, `"install"`, 1), `is not one to what was asked (version 1, operation "install")`},
		"an error": {
			`{"version":1,"op":"inspect","node":"n1","run":"run1","error":{"code":"unreadable","message":"no such file"}}`, "node n1: no such file",
		},
		"a line that never ends": {strings.Repeat("x", agentapi.MaxLine+1), "the connection to the agent was lost: bufio.Scanner: token too long"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := conversation(t, answers(tt.answer))
				_, err := s.Ask(t.Context(), agentapi.Request{Op: agentapi.Inspect})
				require.ErrorContains(t, err, tt.message)
				assert.NotContains(t, err.Error(), "Segmentation", "what an agent prints is not repeated")
				s.cancel()
				s.Close()
			})
		})
	}
}

func TestAskRefusesConfigurationsThatThereCantBe(t *testing.T) {
	t.Parallel()
	const hollow = `{"digest":"sha256:x","rules":[{"resources":["secrets"]}]}`
	const nothing = `{"digest":"sha256:x","rules":[{"keys":[{"provider":"identity"}]}]}`
	const right = `{"digest":"sha256:x","rules":[{"resources":["secrets"],"keys":[{"provider":"identity"}]}]}`
	for rest, fine := range map[string]bool{
		`"state":{"digest":"sha256:x","config":` + right + `,"history":[{"config":` + right + `},{"config":{"digest":"sha256:garbage"}}]}`: true,
		`"state":{"digest":"sha256:x","config":` + hollow + `}`:                                                                            false,
		`"state":{"digest":"sha256:x","config":` + nothing + `}`:                                                                           false,
		`"state":{"digest":"sha256:y","config":` + right + `}`:                                                                             false,
		`"state":{"history":[{"config":` + hollow + `}]}`:                                                                                  false,
		`"proposed":{"config":` + hollow + `}`:                                                                                             false,
		`"composed":{"configs":{"n1":` + hollow + `}}`:                                                                                     false,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := conversation(t, answers(`{"version":1,"op":"inspect","node":"n1","run":"run1",`+rest+`}`))
			_, err := s.Ask(t.Context(), agentapi.Request{Op: agentapi.Inspect})
			if fine {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, "node n1: the agent's answer describes a configuration that there can't be")
			}
			s.cancel()
			s.Close()
		})
	}
}

func TestAskRepeatsNoMoreThanPeopleRead(t *testing.T) {
	t.Parallel()
	endless := strings.Repeat("x", 1<<20)
	for name, answer := range map[string]string{
		"a message":    `{"version":1,"op":"inspect","node":"n1","run":"run1","error":{"code":"unreadable","message":"` + endless + `"}}`,
		"an operation": strings.Replace(good, `"inspect"`, `"`+endless+`"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := conversation(t, answers(answer))
				_, err := s.Ask(t.Context(), agentapi.Request{Op: agentapi.Inspect})
				require.ErrorContains(t, err, "xxx…")
				assert.Less(t, len(err.Error()), 1<<10)
				s.Close()
			})
		})
	}
}

func TestAskKeepsTheAgentsCode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := conversation(t, answers(`{"version":1,"op":"install","node":"n1","run":"run1","error":{"code":"changed","message":"changed"}}`))
		_, err := s.Ask(t.Context(), agentapi.Request{Op: agentapi.Install})
		var known *agentapi.Error
		require.ErrorAs(t, err, &known)
		assert.Equal(t, agentapi.Changed, known.Code)
		s.Close()
	})
}

func TestAskTellsWhenTheConnectionBreaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := conversation(t, func(string) (string, bool) { return "", false })
		_, err := s.Ask(t.Context(), agentapi.Request{Op: agentapi.Inspect})
		require.ErrorIs(t, err, ErrLost)
		_, err = s.Ask(t.Context(), agentapi.Request{Op: agentapi.Inspect})
		require.ErrorIs(t, err, ErrLost, "and again, without waiting for the time to be over")
		s.Close()
	})
}

func TestAskEndsWithItsTimeOrItsContext(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]time.Duration{"its own time": time.Hour, "the caller's": time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := conversation(t, func(string) (string, bool) { <-t.Context().Done(); return "", false })
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				began := time.Now()
				_, err := s.Ask(ctx, agentapi.Request{Op: agentapi.Inspect})
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, min(limit, answerTimeout), time.Since(began))
				s.Close()
			})
		})
	}
}

func TestCloseCutsOffAnAgentThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cut := false
		s := &Session{cancel: func() { cut = true }, ended: make(chan struct{})}
		_, s.stdin = io.Pipe()
		began := time.Now()
		s.Close()
		assert.Equal(t, farewell, time.Since(began))
		assert.True(t, cut)
	})
}
