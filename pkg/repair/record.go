// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"slices"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/agreement"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

// ranAnother tells whether a kube-apiserver may have loaded anything but the file that its node has.
func ranAnother(o agreement.Observed) bool {
	return slices.ContainsFunc(o.Nodes, func(n agreement.Node) bool {
		if n.TellsLoaded {
			return n.Loaded != n.Digest
		}
		return !n.Proven
	})
}

// forgetProofs takes back what is on record of the data, before a file is changed: a kube-apiserver that has had another
// configuration may have written with another key, also after everything was migrated. Where each of them has had the
// agreed one, files alone were wrong, and nothing has to be forgotten.
func (r *Run) forgetProofs(ctx context.Context, step agreement.Step) error {
	o, err := r.toAgree(ctx, nil)
	if err != nil || hadAgreed(o, step) {
		return err
	}
	return r.takeProofsBack(ctx)
}

func (r *Run) takeProofsBack(ctx context.Context) error {
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return err
	}
	r.distrusted = true
	return r.Ledger().Update(ctx, func(l *ledger.Ledger) { distrust(l, r.Files, now) })
}

// hadAgreed tells whether each kube-apiserver has loaded the very file that the step gives to others.
func hadAgreed(o agreement.Observed, step agreement.Step) bool {
	agreed := step.Targets[0].Want.Digest
	return agreed != "" && !slices.ContainsFunc(o.Nodes, func(n agreement.Node) bool { return !n.TellsLoaded || n.Loaded != agreed })
}

// distrust makes no record one that can be relied on, and spends the names of all keys that the files have.
func distrust(l *ledger.Ledger, files map[string]agentapi.State, now time.Time) {
	for _, f := range files {
		l.HighestKey = max(l.HighestKey, f.HighestKey) // that of the file and of the history
	}
	l.Distrust(now)
}

// noteOvercome puts on record which reloads that failed are over, for status.
func (r *Run) noteOvercome(ctx context.Context) error {
	times := overcome(r.View.Evidence, r.Files)
	if len(times) == 0 {
		return nil
	}
	return r.Ledger().Update(ctx, func(l *ledger.Ledger) { l.Overcome = times })
}

// overcome are, by node, the times of reloads that failed before the node's file became what its kube-apiserver has loaded. Bytes that
// it has loaded already it does not load again (k8s.io/apiserver@v0.37.2 pkg/server/options/encryptionconfig/controller/controller.go,
// processEncryptionConfig), so its metrics tell of the failure until the next change.
func overcome(evidence map[string]reload.Evidence, files map[string]agentapi.State) map[string]time.Time {
	times := map[string]time.Time{}
	for node, e := range evidence {
		file := files[node]
		if e.Failed() && e.TellsHash && e.Hash == file.Digest && !file.ModTime.IsZero() && !e.FailedSince(file.ModTime) {
			times[node] = e.LastFailure
		}
	}
	return times
}
