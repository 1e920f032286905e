// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

// Report is what a run did to one resource.
//
// Migrated, Gone, Conflicts and Altered add up over all passes, the other counts are those of the last pass. In a
// run of one pass, which is the rule, Listed is the sum of Skipped, Migrated, Unchanged, Gone, Conflicts and Failed,
// if it was not ended early. A canary counts as any other object: listed once and answered once, by its early answer.
type Report struct {
	Resource Resource
	// Baseline is the resourceVersion that the run took as its baseline.
	Baseline string
	// Passes that wrote.
	Passes int

	// Listed objects.
	Listed int64
	// Skipped objects are later than the baseline: they are current.
	Skipped int64
	// Migrated objects were stored again.
	Migrated int64
	// Unchanged objects were found to be current by the server.
	Unchanged int64
	// Gone objects were deleted between list and write.
	Gone int64
	// Conflicts are objects that somebody else wrote between list and write: with the write key, so they are done.
	Conflicts int64
	// Altered objects, among the migrated and unchanged ones, came back with other metadata than they had:
	// admission made a change of the no-op.
	Altered int64
	// Failed objects are stored as they were.
	Failed int64
	// Causes counts the failed objects by what stood in the way.
	Causes map[Cause]int64
	// Failures name the first 100 failed objects of each cause.
	Failures []Failure

	// Complete tells that every object is proven to be current.
	Complete bool
	// Note says in words why a run without error is not complete, other than by failures.
	Note string
}

// Reason tells failures apart.
type Reason string

// The reasons.
const (
	// ReasonDenied: a webhook or a ValidatingAdmissionPolicy denied the write.
	ReasonDenied Reason = "Denied"
	// ReasonWebhookFailed: a webhook that must be asked did not answer.
	ReasonWebhookFailed Reason = "WebhookFailed"
	// ReasonForbidden: the user may not patch the object.
	ReasonForbidden Reason = "Forbidden"
	// ReasonUnauthorized: the server does not know the user, also after fresh credentials were asked for.
	ReasonUnauthorized Reason = "Unauthorized"
	// ReasonInvalid: the object as it is stored does not pass today's validation.
	ReasonInvalid Reason = "Invalid"
	// ReasonBadRequest: the server did not understand the write.
	ReasonBadRequest Reason = "BadRequest"
	// ReasonInternalError: the server failed, several times. An object that it can't decrypt answers so.
	ReasonInternalError Reason = "InternalError"
	// ReasonTooLarge: the object is larger than etcd or the server takes.
	ReasonTooLarge Reason = "TooLarge"
	// ReasonTimeout: the server answered others but not this object within Options.ObjectTimeout.
	ReasonTimeout Reason = "Timeout"
	// ReasonBeingDeleted: any write would complete the object's deletion, so none was made.
	ReasonBeingDeleted Reason = "BeingDeleted"
	// ReasonOther is any other answer.
	ReasonOther Reason = "Other"
)

// Failure is an object that is not migrated. All its texts come from the cluster: escape them for a terminal.
type Failure struct {
	Namespace string
	Name      string
	Reason    Reason
	Message   string
	// Webhook is the name of the webhook that stood in the way.
	Webhook string
	// Policy is the name of the ValidatingAdmissionPolicy that stood in the way.
	Policy string
}

// Cause is what stands in the way of objects, without their names.
type Cause struct {
	Reason          Reason
	Webhook, Policy string
}

// Cause is the failure's.
func (f Failure) Cause() Cause { return Cause{Reason: f.Reason, Webhook: f.Webhook, Policy: f.Policy} }

// Object is the object's name, with its namespace if it has one.
func (f Failure) Object() string {
	if f.Namespace == "" {
		return f.Name
	}
	return f.Namespace + "/" + f.Name
}

// maxFailures is the number of failures of one cause that are kept by name.
const maxFailures = 100

// add adds an outcome to a report of one pass.
func (r *Report) add(o outcome) {
	switch o.answer {
	case answerSkipped:
		r.Skipped++
	case answerMigrated:
		r.Migrated++
	case answerUnchanged:
		r.Unchanged++
	case answerGone:
		r.Gone++
	case answerConflict:
		r.Conflicts++
	case answerFailed:
		r.fail(o.failure)
	}
	if o.altered {
		r.Altered++
	}
}

func (r *Report) fail(f Failure) {
	r.Failed++
	if r.Causes == nil {
		r.Causes = map[Cause]int64{}
	}
	r.Causes[f.Cause()]++
	if r.Causes[f.Cause()] <= maxFailures {
		r.Failures = append(r.Failures, f)
	}
}

// Reasons counts the failed objects by reason alone, nil if none failed.
func (r *Report) Reasons() map[Reason]int64 {
	var sum map[Reason]int64
	for cause, n := range r.Causes {
		if sum == nil {
			sum = map[Reason]int64{}
		}
		sum[cause.Reason] += n
	}
	return sum
}

// after gives the report of a run whose passes before are in earlier and whose last is r.
func (r Report) after(earlier Report) Report {
	r.Passes = earlier.Passes + 1
	r.Migrated += earlier.Migrated
	r.Gone += earlier.Gone
	r.Conflicts += earlier.Conflicts
	r.Altered += earlier.Altered
	return r
}
