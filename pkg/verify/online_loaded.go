// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

// judge is the instance whose file is judged by: the first one that reads a file, or the first one.
func judge(view *observe.View) controlplane.Instance {
	for _, in := range view.ControlPlane.Instances {
		if in.Manifest.ConfigPath != "" {
			return in
		}
	}
	return view.ControlPlane.Instances[0]
}

// loadedElsewhere says which kube-apiservers run with something else than the file that was judged by, as far as they tell.
func loadedElsewhere(view *observe.View, node controlplane.Instance, config encconfig.Description) (doubts []string) {
	for _, in := range view.ControlPlane.Instances {
		e := view.Evidence[in.Node]
		switch {
		case in.Manifest.ConfigPath == "" && node.Manifest.ConfigPath != "":
			doubts = append(doubts, fmt.Sprintf("the kube-apiserver on node %s reads no configuration, and stores in plaintext; judged by the file of node %s", in.Node, node.Node))
		case e.TellsHash && in.Manifest.ConfigPath != "" && e.Hash != config.Digest:
			doubts = append(doubts, fmt.Sprintf("the kube-apiserver on node %s runs with another configuration than the file of node %s, which is judged by", in.Node, node.Node))
		}
	}
	return doubts
}

// untold are the instances that read a configuration and do not tell which they have loaded, as none does before 1.34.
func untold(view *observe.View) (list []controlplane.Instance) {
	for _, in := range view.ControlPlane.Instances {
		if in.Manifest.ConfigPath != "" && !view.Evidence[in.Node].TellsHash {
			list = append(list, in)
		}
	}
	return list
}

// notProven says which of the kube-apiservers that tell no hash are not proven to run with the file that was judged by: their
// node's file is another one, or was written since they last read theirs. Such a one may write with a key that nothing stored names
// yet. States are what agents found on the nodes after the evidence was taken; failed is why they could not be asked.
func notProven(view *observe.View, states map[string]*agentapi.State, failed error, node controlplane.Instance, config encconfig.Description) (doubts []string) {
	const limit = "the kube-apiserver on node %s does not tell which configuration it has loaded (before Kubernetes 1.34), and "
	for _, in := range untold(view) {
		s := states[in.Node]
		switch {
		case failed != nil:
			doubts = append(doubts, fmt.Sprintf(limit+"the files of the nodes could not be compared: %v; judged by the file of node %s", in.Node, failed, node.Node))
		case s == nil || s.Digest != config.Digest:
			doubts = append(doubts, fmt.Sprintf(limit+"its file is another one than that of node %s, which is judged by", in.Node, node.Node))
		default:
			if v := view.Evidence[in.Node].Proves(config.Digest, s.ModTime); !v.Loaded {
				doubts = append(doubts, fmt.Sprintf(limit+"%s; judged by the file of node %s", in.Node, v.Reason, node.Node))
			}
		}
	}
	return doubts
}

// changedSince doubts what was judged by a configuration that a kube-apiserver does not run any more: values that it has
// written since are under a key that counts as old. One that tells no hash may have loaded anything when it has reloaded or
// restarted, and one that does not answer any more may have too.
func changedSince(before map[string]reload.Evidence, now *observe.View, node controlplane.Instance, config encconfig.Description) []string {
	if len(loadedElsewhere(now, node, config)) > 0 {
		return []string{"the configuration was changed while the files were searched, so values under the new key may be among the copies"}
	}
	if slices.ContainsFunc(untold(now), func(in controlplane.Instance) bool {
		was, is := before[in.Node], now.Evidence[in.Node]
		return !is.LastSuccess.Equal(was.LastSuccess) || !is.Started.Equal(was.Started)
	}) {
		return []string{"a kube-apiserver may have loaded another configuration while the files were searched, so values under a new key may be among the copies"}
	}
	return nil
}
