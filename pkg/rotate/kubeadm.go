// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"bytes"
	"context"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kubeadm"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kubeadmconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

func (r *Run) kubeadm() kubeadm.Store { return kubeadm.Store{Client: r.Cluster.Typed.CoreV1()} }

// kubeadmStale tells whether kubeadm's configuration says otherwise of the flags than the goal does. Where there is
// none, the cluster is not kubeadm's to upgrade.
func (r *Run) kubeadmStale(ctx context.Context) (bool, error) {
	if r.goal.Flags == plan.KeepFlags {
		return false, nil
	}
	before, found, err := r.kubeadm().Load(ctx)
	if err != nil || !found {
		return false, err
	}
	after, err := r.kubeadmEdited(before)
	return !bytes.Equal(before, after), err
}

// kubeadmEdited is kubeadm's configuration as the goal has it.
func (r *Run) kubeadmEdited(before []byte) (after []byte, err error) {
	if r.goal.Flags == plan.RemoveFlags {
		after, err = kubeadmconfig.Disable(before)
	} else {
		after, err = kubeadmconfig.Enable(before, r.FileOn(r.View.ControlPlane.Instances[0]))
	}
	if err != nil {
		return nil, hint.Errorf("kubeadm would make the next manifest of it; bring it into order with: kubectl -n kube-system edit configmap "+kubeadm.ConfigMap,
			"ConfigMap kube-system/%s: %w", kubeadm.ConfigMap, err)
	}
	return after, nil
}

// editKubeadm makes kubeadm's configuration say what the goal says.
func (r *Run) editKubeadm(ctx context.Context) error { return r.kubeadm().Edit(ctx, r.kubeadmEdited) }
