// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// StageAwait is the stage of waiting until every kube-apiserver has loaded its file.
const StageAwait = "await"

// Await waits until every instance has proven the configuration of its own node. It never takes time passed for a
// proof; when its own time is over it ends in "not yet", from which a run is resumed.
func (o *Operation) Await(ctx context.Context) error {
	deadline := time.Now().Add(o.ConvergeTimeout)
	total := len(o.Readers())
	for {
		lagging, refused := o.lagging(ctx)
		o.Emit(event.StepProgress{
			Stage: StageAwait, Done: total - len(lagging), Total: total, Unit: "kube-apiservers", Detail: strings.Join(lagging, "; "),
		})
		if len(lagging) == 0 {
			clear(o.Unproven)
			return nil
		}
		if gone, err := o.View.ControlPlane.Gone(ctx, o.Cluster.Typed); err == nil && len(gone) > 0 { // whoever can't be asked may be back soon
			return fmt.Errorf("meanwhile %s left the control plane: there is no kube-apiserver to be waited for", strings.Join(gone, ", "))
		}
		if time.Now().After(deadline) {
			return o.notYet(lagging, refused)
		}
		if err := Sleep(ctx, PollInterval); err != nil {
			return err
		}
	}
}

// notYet is the end of the waiting. Before 1.34 there is a case in which it would never end: a file that is written
// again with the bytes that are loaded already is no reload, so nothing proves it but a restart.
func (o *Operation) notYet(lagging []string, refused bool) error {
	e := &hint.Error{
		Err:  fmt.Errorf("not every kube-apiserver has loaded its file within %s: %s", o.ConvergeTimeout, strings.Join(lagging, "; ")),
		Exit: hint.ExitTimeout,
	}
	if refused {
		e.Hints = append(e.Hints, "don't restart a kube-apiserver whose reload failed: it goes on with what it has, and may not start with the file as it is. "+
			"Its log says what it refuses; "+project.Command+" repair gives the node another file")
	}
	for _, evidence := range o.View.Evidence {
		if !evidence.TellsHash {
			e.Hints = append(e.Hints, "before Kubernetes 1.34 a kube-apiserver may load a file without telling: restart the one that lags, then go on")
			break
		}
	}
	return e
}

// lagging says which instances have not proven their file yet, and why, and whether one of them has refused it.
func (o *Operation) lagging(ctx context.Context) (list []string, refused bool) {
	evidence, failed := o.Observer.Instances(ctx, o.View.ControlPlane)
	for _, in := range o.Readers() {
		file := o.Files[in.Node]
		e, ok := evidence[in.Node]
		switch verdict := e.Proves(file.Digest, file.ModTime); {
		case !ok:
			list = append(list, fmt.Sprintf("%s: %v", in.Node, failed[in.Node]))
		case !verdict.Loaded && e.FailedSince(file.ModTime):
			refused = true
			list = append(list, in.Node+": its last reload failed, see the log of its kube-apiserver")
		case !verdict.Loaded:
			list = append(list, in.Node+": "+verdict.Reason)
		}
	}
	slices.Sort(list)
	return list, refused
}
