// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"net/http"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

// The texts by which admission names who stood in the way: apiserver@v0.37.2
// pkg/admission/plugin/webhook/errors/statuserror.go, pkg/util/webhook/error.go,
// pkg/admission/plugin/policy/validating/dispatcher.go.
var (
	webhookDenied = regexp.MustCompile(`admission webhook "([^"]+)" denied the request`)
	webhookFailed = regexp.MustCompile(`failed calling webhook "([^"]+)"`)
	policyDenied  = regexp.MustCompile(`ValidatingAdmissionPolicy '([^']+)' (?:with binding '[^']*' )?denied request`)
)

// admission is the webhook or policy that an answer names.
type admission struct {
	webhook, policy string
	denied          bool
}

func denier(status metav1.Status) admission {
	if m := webhookDenied.FindStringSubmatch(status.Message); m != nil {
		return admission{webhook: m[1], denied: true}
	}
	if m := policyDenied.FindStringSubmatch(status.Message); m != nil {
		return admission{policy: m[1], denied: true}
	}
	if m := webhookFailed.FindStringSubmatch(status.Message); m != nil {
		return admission{webhook: m[1]}
	}
	return admission{}
}

// failureOf describes why an object was not migrated.
func failureOf(o *metav1.PartialObjectMetadata, err error) Failure {
	f := Failure{Namespace: o.Namespace, Name: o.Name, Reason: ReasonTimeout}
	status, ok := statusOf(err)
	if !ok {
		f.Message = hint.Shorten(err.Error())
		return f
	}
	by := denier(status)
	f.Webhook, f.Policy = by.webhook, by.policy
	f.Reason = reasonOf(status, by)
	f.Message = hint.Shorten(messageOf(status, f.Reason))
	return f
}

func reasonOf(status metav1.Status, by admission) Reason {
	switch {
	case by.denied:
		return ReasonDenied
	case by.webhook != "":
		return ReasonWebhookFailed
	}
	switch status.Code {
	case http.StatusForbidden:
		return ReasonForbidden
	case http.StatusUnauthorized:
		return ReasonUnauthorized
	case http.StatusUnprocessableEntity:
		return ReasonInvalid
	case http.StatusBadRequest:
		return ReasonBadRequest
	case http.StatusRequestEntityTooLarge:
		return ReasonTooLarge
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return ReasonTimeout
	case http.StatusInternalServerError:
		return reasonOfInternal(status)
	default:
		return ReasonOther
	}
}

func reasonOfInternal(status metav1.Status) Reason {
	switch {
	case tooLarge(status):
		return ReasonTooLarge
	case conversionFailed(status):
		return ReasonWebhookFailed
	case status.Reason == metav1.StatusReasonServerTimeout:
		return ReasonTimeout
	default:
		return ReasonInternalError
	}
}

// messageOf is the server's message. Validation quotes the values that it refuses, a merge patch even the whole
// object (apiserver@v0.37.2 pkg/endpoints/handlers/patch.go, applyPatchToCurrentObject), so of those only the names
// of the fields are kept.
func messageOf(status metav1.Status, reason Reason) string {
	if reason != ReasonInvalid {
		return status.Message
	}
	var fields []string
	if status.Details != nil {
		for _, c := range status.Details.Causes {
			fields = append(fields, strings.TrimSuffix(c.Field+": "+string(c.Type), ": "))
		}
	}
	if len(fields) == 0 {
		return "the stored object does not pass validation"
	}
	return "the stored object does not pass validation: " + strings.Join(fields, ", ")
}
