// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl is Kubernetes' own kubectl, of the version that go.mod names, so that the benchmark does not depend
// on the one that is installed. It is k8s.io/kubernetes cmd/kubectl/kubectl.go without its handling of -v.
package main

import (
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}
