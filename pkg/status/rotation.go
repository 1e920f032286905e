// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

func rotationOf(st *v1alpha1.EncryptionStatus, book *ledger.Ledger) {
	last := book.Last()
	if last == nil {
		return
	}
	state := v1alpha1.InProgress
	switch {
	case last.Aborted:
		state = v1alpha1.Aborted
	case last.CompletionTime != nil:
		state = v1alpha1.Completed
	}
	st.Rotation = &v1alpha1.RotationStatus{
		ID: last.ID, Command: last.Command, Resources: last.Resources, RemoveFlags: last.RemoveFlags, LeftOut: last.LeftOut,
		State: state, Stage: last.Stage, By: last.By, To: keyRef(last.To),
		StartTime: metav1.Time{Time: last.StartTime}, CompletedAt: timeRef(last.CompletionTime),
	}
	for _, k := range last.From {
		st.Rotation.From = append(st.Rotation.From, keyRef(k))
	}
	if len(last.Migrations) > 0 {
		st.Migration = migrationStatus(last)
	}
}

func migrationStatus(r *ledger.Rotation) *v1alpha1.MigrationStatus {
	m := &v1alpha1.MigrationStatus{State: v1alpha1.Completed}
	if r.Config != nil {
		m.Revision = r.Config.Digest
	}
	var last *time.Time
	for name, one := range r.Migrations {
		m.Resources = append(m.Resources, name)
		switch {
		case one.Complete && (last == nil || one.CompletionTime != nil && one.CompletionTime.After(*last)):
			last = one.CompletionTime
		case one.Complete:
		case one.Failed > 0:
			m.State = v1alpha1.Incomplete
		case m.State == v1alpha1.Completed:
			m.State = v1alpha1.InProgress
		}
	}
	slices.Sort(m.Resources)
	if m.State == v1alpha1.Completed {
		m.CompletedAt = timeRef(last)
	}
	return m
}

func keyRef(k encconfig.Key) v1alpha1.KeyRef {
	return v1alpha1.KeyRef{Provider: string(k.Provider), Name: k.Name, Fingerprint: k.Fingerprint}
}

func timeRef(t *time.Time) *metav1.Time {
	if t == nil {
		return nil
	}
	return &metav1.Time{Time: *t}
}

// underWay says in one sentence what has begun and not ended.
func underWay(open *ledger.Rotation) string {
	const alone = "If nobody is at work on it, go on with: "
	if open.Command == "" {
		return fmt.Sprintf("A rotation to key %s has not ended (stage %s). %s%s", open.To, open.Stage, alone, resume(open))
	}
	return fmt.Sprintf("%s%s under way since %s (stage %s). %s%s", strings.ToUpper(open.Command[:1]), open.Command[1:],
		open.StartTime.UTC().Format("2006-01-02 15:04 MST"), open.Stage, alone, resume(open))
}

// resume is the command that goes on with it.
func resume(open *ledger.Rotation) string {
	if open.Command == "" {
		return project.Command + " rotate --resume"
	}
	return project.Command + " " + open.Command + " --resume"
}

// changesFlags tells whether a command is under way that sets flags node by node, or takes them out: that nodes differ
// in them is then as it should be.
func changesFlags(open *ledger.Rotation) bool {
	return open != nil && (open.Command == "enable" || open.Command == "disable")
}
