// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"regexp"
	"strings"

	svmv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

// stage is how far the controller is with a StorageVersionMigration.
type stage int

const (
	// queued: the controller has said nothing about it.
	queued stage = iota
	// accepted: it is the one of its resource that the controller works on.
	accepted
	// begun: the controller has taken the resourceVersion up to which it will ask.
	begun
	succeeded
	failed
)

func stageOf(m *svmv1.StorageVersionMigration) stage {
	switch {
	case holds(m, svmv1.MigrationSucceeded):
		return succeeded
	case holds(m, svmv1.MigrationFailed):
		return failed
	case m.Status.ResourceVersion != "":
		return begun
	case holds(m, svmv1.MigrationRunning):
		return accepted
	default:
		return queued
	}
}

func (s stage) ended() bool { return s == succeeded || s == failed }

// released tells that the controller will not touch an ended migration again.
func released(m *svmv1.StorageVersionMigration) bool { return !holds(m, svmv1.MigrationRunning) }

func holds(m *svmv1.StorageVersionMigration, condition svmv1.MigrationConditionType) bool {
	return meta.IsStatusConditionTrue(m.Status.Conditions, string(condition))
}

func messageOf(m *svmv1.StorageVersionMigration, condition svmv1.MigrationConditionType) string {
	if c := meta.FindStatusCondition(m.Status.Conditions, string(condition)); c != nil {
		return c.Message
	}
	return ""
}

// The controller's own words around an error: k8s.io/kubernetes@v1.37.1 pkg/controller/storageversionmigrator,
// failMigrationWithObjectsMigrated in storageversionmigrator.go and migrationRunningMessage in util.go.
var objectFailed = regexp.MustCompile(`(?s)^\d+/\d+ not yet migrated\. migration encountered unhandled error: (.*)$`)

const transient = "; transient error: "

// failure is why the controller gave up, and whether that was an object's doing. If so, the text is the server's
// answer about the object.
func failure(m *svmv1.StorageVersionMigration) (message string, ofObject bool) {
	message = messageOf(m, svmv1.MigrationFailed)
	if found := objectFailed.FindStringSubmatch(message); found != nil {
		return found[1], true
	}
	return message, false
}

// transientError is what the controller met last and tries again after, or nothing.
func transientError(m *svmv1.StorageVersionMigration) string {
	_, message, _ := strings.Cut(messageOf(m, svmv1.MigrationRunning), transient)
	return message
}

// harmless are answers about an object that say who refused or what broke, and do not quote the object: those of
// admission, of authorization, of etcd, of an overloaded server, of a broken connection, and that the object can't be
// decrypted (apiserver@v0.37.2 pkg/storage/errors.go and pkg/storage/etcd3/store.go).
var harmless = regexp.MustCompile(`^(?:admission webhook "|Internal error occurred: failed calling webhook "|` +
	`Internal error occurred: (?:StorageError: corrupt object, Code: \d+, Key: [^,]*, ResourceVersion: \d+, AdditionalErrorMsg: )?` +
	`data from the storage is not transformable|` +
	`[a-z0-9.-]+ "[^"]*" is forbidden: |etcdserver: |rpc error: code = |Patch "https?://|Timeout: |` +
	`the server (?:is currently unable|has received too many|was unable|rejected our request))`)

// withheld stands in for a message that may quote an object.
const withheld = "an answer that may quote the object and is not repeated here"

// quotable is a message about an object as it may be repeated.
func quotable(message string) string {
	if !harmless.MatchString(message) {
		return withheld
	}
	return hint.Shorten(message)
}
