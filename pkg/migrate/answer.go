// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Errors that end a run. What is migrated by then stays so, and the next run goes on from there.
var (
	// ErrUnavailable: the server does not answer, neither about an object nor about the resource.
	ErrUnavailable = errors.New("the API server is unavailable")
	// ErrNoSpace: etcd has reached its quota and refuses every write.
	ErrNoSpace = errors.New("etcd is out of space")
	// ErrTooManyFailures: as many objects have failed as Options.MaxFailures allows.
	ErrTooManyFailures = errors.New("too many objects failed")
	// ErrWentBack: the list is older than the baseline, as after a restore of etcd. The baseline is void then.
	ErrWentBack = errors.New("the resourceVersion is earlier than the baseline")
)

// answer is what became of one object.
type answer int

const (
	answerSkipped answer = iota
	answerMigrated
	answerUnchanged
	answerGone
	answerConflict
	answerFailed
)

type outcome struct {
	answer  answer
	altered bool
	failure Failure
}

// course is what to do after an error.
type course int

const (
	// courseDone: there was no error.
	courseDone course = iota
	// courseGone and courseConflict are answers: the object is done.
	courseGone
	courseConflict
	// courseFail is an answer too: no repetition will change it.
	courseFail
	// courseRetry repeats for as long as an object may take.
	courseRetry
	// courseRetryFew repeats a few times: a failure that looks passing and often is not.
	courseRetryFew
	// courseOtherPatch repeats with the other kind of patch, if that was not tried, and a few times if it was.
	courseOtherPatch
	// courseAgain repeats at once.
	courseAgain
	// courseStop ends the run.
	courseStop
	// courseBarred: no further attempt may be made, for a reason that has nothing to do with the object.
	courseBarred
)

// steer decides what to do after a write of an object of the given name has failed.
func steer(err error, r Resource, name string) course {
	status, ok := statusOf(err)
	if !ok {
		return courseRetry // No answer at all: the connection broke, or never was.
	}
	if denier(status) != (admission{}) {
		return steerAdmission(status)
	}
	switch status.Code {
	case http.StatusNotFound:
		return steerAbout(status, r, name, courseGone)
	case http.StatusConflict:
		if strings.Contains(status.Message, "uid mismatch") {
			return steerAbout(status, r, name, courseGone)
		}
		return steerAbout(status, r, name, courseConflict)
	case http.StatusUnauthorized:
		return courseRetryFew // client-go asks for fresh credentials after the first.
	case http.StatusForbidden:
		return courseRetryFew // A kube-apiserver that starts forbids what its caches will allow in a moment.
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return courseRetry
	case http.StatusInternalServerError:
		return steerInternal(status)
	case http.StatusUnsupportedMediaType:
		return courseOtherPatch
	default:
		return courseFail
	}
}

// steerAdmission is steer for what a webhook or policy has caused. A denial may carry any code, 404 and 409 included,
// and says nothing about the object's existence.
func steerAdmission(status metav1.Status) course {
	if denier(status).denied {
		return courseFail
	}
	return courseRetryFew
}

// steerAbout accepts a 404 or 409 as the answer about the object only if it is about the object, and not about
// something else that the request touched. A 404 without a name is about the whole resource; the list will tell. An
// apply of an object that is gone answers 409, "uid mismatch" (apiserver@v0.37.2 pkg/endpoints/handlers/patch.go).
func steerAbout(status metav1.Status, r Resource, name string, about course) course {
	d := status.Details
	whole := status.Code == http.StatusNotFound && (d == nil || d.Name == "")
	if whole || d != nil && d.Name == name && d.Kind == r.GVR.Resource {
		return about
	}
	return courseFail
}

// steerInternal is steer for code 500. An etcd without leader answers so, and a server that names a delay; an
// object that can't be applied to, or can't be decrypted, answers so as well.
func steerInternal(status metav1.Status) course {
	switch {
	case strings.Contains(status.Message, "database space exceeded"):
		return courseStop
	case tooLarge(status):
		return courseFail // A merge patch would have the server drop the managedFields to make it fit.
	case conversionFailed(status):
		return courseRetryFew // A merge patch would cost the managedFields on a server before 1.37.
	case status.Reason == metav1.StatusReasonServerTimeout, strings.Contains(status.Message, "etcdserver: "):
		return courseRetry
	default:
		return courseOtherPatch
	}
}

// steerList decides what to do after a list has failed.
func steerList(err error) course {
	status, ok := statusOf(err)
	if !ok {
		return courseRetry
	}
	switch status.Code {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return courseRetry
	case http.StatusInternalServerError:
		if c := steerInternal(status); c == courseRetry {
			return c
		}
		return courseRetryFew
	case http.StatusUnauthorized, http.StatusForbidden:
		return courseRetryFew
	default:
		return courseFail
	}
}

// tooLarge tells that a value does not fit into etcd: apiserver@v0.37.2 pkg/endpoints/handlers/rest.go,
// isTooLargeError.
func tooLarge(status metav1.Status) bool {
	return strings.Contains(status.Message, "request is too large") || strings.Contains(status.Message, "larger than max")
}

// conversionFailed tells that the webhook that converts a custom resource between versions failed.
func conversionFailed(status metav1.Status) bool {
	return strings.Contains(status.Message, "conversion webhook for")
}

// statusOf is the server's answer in an error, if there was one. A context that ended is none.
func statusOf(err error) (metav1.Status, bool) {
	var s apierrors.APIStatus
	if errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &s) {
		return metav1.Status{}, false
	}
	return s.Status(), true
}
