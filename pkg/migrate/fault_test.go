// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

// onPatch answers the first n patches of an object by a fault, all of them if n is 0.
func onPatch(key string, n int, fault fakeFault) func(fakeRequest) *fakeFault {
	seen := 0
	return func(r fakeRequest) *fakeFault {
		if r.verb != "patch" || r.key != key {
			return nil
		}
		if seen++; n > 0 && seen > n {
			return nil
		}
		return &fault
	}
}

func TestRun_oneBadObject(t *testing.T) {
	invalid := statusFor(422, metav1.StatusReasonInvalid, `Secret "bad" is invalid: data[x]: Invalid value: "hunter2": no`)
	invalid.Details = &metav1.StatusDetails{Name: "bad", Causes: []metav1.StatusCause{
		{Type: metav1.CauseTypeFieldValueInvalid, Field: "data[x]", Message: `Invalid value: "hunter2": no`},
	}}
	noNamespace := statusFor(404, metav1.StatusReasonNotFound, `namespaces "ns" not found`)
	noNamespace.Details = &metav1.StatusDetails{Kind: "namespaces", Name: "ns"}
	quota := statusFor(409, metav1.StatusReasonConflict, "Operation cannot be fulfilled on resourcequotas")
	quota.Details = &metav1.StatusDetails{Kind: "resourcequotas", Name: "bad"}

	for name, tc := range map[string]struct {
		status  metav1.Status
		patches int
		want    Failure
	}{
		"a webhook denies => named": {
			status:  statusFor(400, "", `admission webhook "deny.example.com" denied the request: no`),
			patches: 1,
			want: Failure{
				Reason: ReasonDenied, Webhook: "deny.example.com",
				Message: `admission webhook "deny.example.com" denied the request: no`,
			},
		},
		"a webhook denies with 404 => not taken for gone": {
			status:  statusAbout(404, metav1.StatusReasonNotFound, "ns/bad", `admission webhook "w" denied the request`),
			patches: 1,
			want:    Failure{Reason: ReasonDenied, Webhook: "w", Message: `secrets "bad": admission webhook "w" denied the request`},
		},
		"a webhook denies with 503 => not repeated": {
			status:  statusFor(503, "", `admission webhook "w" denied the request`),
			patches: 1,
			want:    Failure{Reason: ReasonDenied, Webhook: "w", Message: `admission webhook "w" denied the request`},
		},
		"a webhook does not answer => repeated a few times, and named": {
			status:  statusFor(500, metav1.StatusReasonInternalError, `Internal error occurred: failed calling webhook "w": EOF`),
			patches: 1 + fewRetries,
			want: Failure{
				Reason: ReasonWebhookFailed, Webhook: "w", Message: `Internal error occurred: failed calling webhook "w": EOF`,
			},
		},
		"a policy denies => named": {
			status:  statusFor(422, metav1.StatusReasonInvalid, `secrets "bad" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`),
			patches: 1,
			want: Failure{
				Reason: ReasonDenied, Policy: "p",
				Message: `secrets "bad" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`,
			},
		},
		"a conversion webhook fails => repeated, but not by a merge patch": {
			status:  statusFor(500, "", "conversion webhook for example.com/v1, Kind=X failed: EOF"),
			patches: 1 + fewRetries,
			want:    Failure{Reason: ReasonWebhookFailed, Message: "conversion webhook for example.com/v1, Kind=X failed: EOF"},
		},
		"the stored object is invalid => reported without its values": {
			status: invalid, patches: 1,
			want: Failure{
				Reason:  ReasonInvalid,
				Message: "the stored object does not pass validation: data[x]: FieldValueInvalid",
			},
		},
		"forbidden => repeated, since a server that starts forbids everything": {
			status: statusFor(403, metav1.StatusReasonForbidden, "no"), patches: 1 + fewRetries,
			want: Failure{Reason: ReasonForbidden, Message: "no"},
		},
		"unauthorized => repeated, for fresh credentials": {
			status: statusFor(401, metav1.StatusReasonUnauthorized, "no"), patches: 1 + fewRetries,
			want: Failure{Reason: ReasonUnauthorized, Message: "no"},
		},
		"can't be decrypted => other patch, then a few more": {
			status:  statusFor(500, metav1.StatusReasonInternalError, "no matching prefix found"),
			patches: 2 + fewRetries,
			want:    Failure{Reason: ReasonInternalError, Message: "no matching prefix found"},
		},
		"too large for etcd => reported, never made to fit": {
			status: statusFor(500, "", "etcdserver: request is too large"), patches: 1,
			want: Failure{Reason: ReasonTooLarge, Message: "etcdserver: request is too large"},
		},
		"the kind of patch is not supported => the other kind, then reported": {
			status: statusFor(415, metav1.StatusReasonUnsupportedMediaType, "no"), patches: 2 + fewRetries,
			want: Failure{Reason: ReasonOther, Message: "no"},
		},
		"too large for the server => reported": {
			status: statusFor(413, metav1.StatusReasonRequestEntityTooLarge, "no"), patches: 1,
			want: Failure{Reason: ReasonTooLarge, Message: "no"},
		},
		"invalid, nobody says why => reported without the message": {
			status: statusFor(422, metav1.StatusReasonInvalid, `{"data":{"x":"hunter2"}}`), patches: 1,
			want: Failure{Reason: ReasonInvalid, Message: "the stored object does not pass validation"},
		},
		"bad request => reported": {
			status: statusFor(400, metav1.StatusReasonBadRequest, "no"), patches: 1,
			want: Failure{Reason: ReasonBadRequest, Message: "no"},
		},
		"404 about its namespace => not taken for gone": {
			status: noNamespace, patches: 1,
			want: Failure{Reason: ReasonOther, Message: `namespaces "ns" not found`},
		},
		"409 about something else => not taken for a conflict": {
			status: quota, patches: 1,
			want: Failure{Reason: ReasonOther, Message: "Operation cannot be fulfilled on resourcequotas"},
		},
		"a message without end => shortened": {
			status: statusFor(400, "", "x"+strings.Repeat("é", hint.MaxMessage)), patches: 1,
			want: Failure{Reason: ReasonBadRequest, Message: "x" + strings.Repeat("é", hint.MaxMessage/2-1) + "…"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newFakeAPI()
				for _, key := range []string{"ns/a", "ns/bad", "ns/c"} {
					a.createStale(key)
				}
				a.before = onPatch("ns/bad", 0, fakeFault{status: tc.status})
				report := run(t, a, Options{})
				tc.want.Namespace, tc.want.Name = "ns", "bad"
				assert.Equal(t, []Failure{tc.want}, report.Failures)
				assert.Equal(t, map[Reason]int64{tc.want.Reason: 1}, report.Reasons())
				assert.Equal(t, []int64{2, 1}, []int64{report.Migrated, report.Failed}, "the others are migrated")
				assert.Equal(t, tc.patches, len(a.patchTypes())-2)
				assert.False(t, report.Complete)
			})
		})
	}
}

func TestRun_passingFault(t *testing.T) {
	throttled := statusFor(429, metav1.StatusReasonTooManyRequests, "slow down")
	serverTimeout := statusFor(500, metav1.StatusReasonServerTimeout, "try again")
	serverTimeout.Details = &metav1.StatusDetails{RetryAfterSeconds: 7}
	for name, tc := range map[string]struct {
		fault fakeFault
		times int
		least time.Duration
		most  time.Duration
	}{
		"429 with Retry-After => waits as long": {
			fault: fakeFault{status: throttled, retryAfter: "3"}, times: 2, least: 6 * time.Second, most: 6 * time.Second,
		},
		"429 without Retry-After => backs off": {
			fault: fakeFault{status: throttled}, times: 2, least: 300 * time.Millisecond, most: 450 * time.Millisecond,
		},
		"500 that names a delay => waits as long": {
			fault: fakeFault{status: serverTimeout}, times: 2, least: 14 * time.Second, most: 14 * time.Second,
		},
		"503 => backs off": {
			fault: fakeFault{status: statusFor(503, "", "away")}, times: 3, least: 700 * time.Millisecond, most: 1050 * time.Millisecond,
		},
		"504 => backs off": {
			fault: fakeFault{status: statusFor(504, metav1.StatusReasonTimeout, "slow")}, times: 1,
			least: 100 * time.Millisecond, most: 150 * time.Millisecond,
		},
		"etcd elects a leader => lasts longer than a few attempts": {
			fault: fakeFault{status: statusFor(500, "", "etcdserver: leader changed")}, times: 7,
			least: 12700 * time.Millisecond, most: 20 * time.Second,
		},
		"500 twice => other patch, then again": {
			fault: fakeFault{status: statusFor(500, metav1.StatusReasonInternalError, "oops")}, times: 2,
			least: 100 * time.Millisecond, most: 150 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newFakeAPI()
				a.createStale("ns/a")
				a.before = onPatch("ns/a", tc.times, tc.fault)
				start := time.Now()
				report := run(t, a, Options{})
				took := time.Since(start)
				assert.Equal(t, int64(1), report.Migrated)
				assert.True(t, report.Complete)
				assert.Len(t, a.patchTypes(), tc.times+1)
				assert.GreaterOrEqual(t, took, tc.least)
				assert.LessOrEqual(t, took, tc.most)
			})
		})
	}
}

func TestRun_outage(t *testing.T) {
	away := &fakeFault{status: statusFor(503, metav1.StatusReasonServiceUnavailable, "away")}
	t.Run("one object never gets an answer, others do => it failed, after its time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newFakeAPI()
			a.createStale("ns/a")
			a.createStale("ns/bad")
			a.before = onPatch("ns/bad", 0, *away)
			start := time.Now()
			report := run(t, a, Options{ObjectTimeout: time.Minute})
			assert.Equal(t, time.Minute, time.Since(start))
			assert.Equal(t, map[Reason]int64{ReasonTimeout: 1}, report.Reasons())
			assert.Equal(t, "away", report.Failures[0].Message)
			assert.Equal(t, int64(1), report.Migrated)
		})
	})
	t.Run("a write hangs, the server answers otherwise => it failed, after its time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(1)
			client := &slowClient{Client: a.client(t), delay: time.Hour}
			start := time.Now()
			report, err := Run(t.Context(), client, secrets(), Options{ObjectTimeout: time.Minute})
			require.NoError(t, err)
			assert.Equal(t, time.Minute, time.Since(start))
			assert.Equal(t, map[Reason]int64{ReasonTimeout: 1}, report.Reasons())
			assert.Equal(t, "context deadline exceeded", report.Failures[0].Message)
		})
	})
	t.Run("the server is gone for good => the run ends, and no object is blamed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newFakeAPI()
			for i := range 40 {
				a.createStale(fmt.Sprintf("ns/%02d", i))
			}
			patches := 0
			a.before = func(r fakeRequest) *fakeFault {
				if r.verb == "patch" {
					patches++
				}
				if patches > 10 {
					return away
				}
				return nil
			}
			report, err := Run(t.Context(), a.client(t), secrets(), Options{})
			require.ErrorIs(t, err, ErrUnavailable)
			assert.Equal(t, int64(10), report.Migrated)
			assert.Zero(t, report.Failed)
			assert.False(t, report.Complete)

			a.before = nil
			rest := run(t, a, Options{Baseline: report.Baseline})
			assert.Equal(t, []int64{10, 30}, []int64{rest.Skipped, rest.Migrated}, "another run goes on from there")
			assert.True(t, rest.Complete)
		})
	})
	t.Run("etcd is out of space => the run ends at once", func(t *testing.T) {
		a := newFakeAPI()
		a.createStale("ns/a")
		a.before = onPatch("ns/a", 0, fakeFault{status: statusFor(500, "", "etcdserver: mvcc: database space exceeded")})
		_, err := Run(t.Context(), a.client(t), secrets(), Options{})
		require.ErrorIs(t, err, ErrNoSpace)
		assert.Len(t, a.patchTypes(), 1)
	})
}

func TestSteer_noAnswer(t *testing.T) {
	assert.Equal(t, courseRetry, steer(errors.New("EOF"), secrets(), "a"))
	assert.Equal(t, courseRetry, steerList(errors.New("EOF")))
}
