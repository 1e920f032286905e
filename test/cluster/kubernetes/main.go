// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubernetes is every binary of a control-plane node in one: called as
// kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kubeadm or
// etcd (by a link of that name, or with the name as first argument) it is that
// program. The dependencies that the six share are then built, stored and
// copied into the image once.
//
// The same source is built against every supported Kubernetes version: go.mod
// names the default one, each other version has a file VERSION.mod beside it.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // CronJobs name time zones, and the image holds no zone files.

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig/controller"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// reloadPollVariable sets how often kube-apiserver looks at its encryption
// configuration, as a Go duration. Unset, it is what Kubernetes ships: 1m.
const reloadPollVariable = "ENCRYPTION_CONFIG_RELOAD_POLL"

func main() {
	name := filepath.Base(os.Args[0])
	if !slices.Contains(programs(), name) && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	os.Exit(run(name))
}

func programs() []string {
	return []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubeadm", "etcd"}
}

func run(name string) int {
	switch name {
	case "kube-apiserver":
		if err := setReloadPoll(os.Getenv(reloadPollVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return cli.Run(apiserver.NewAPIServerCommand())
	case "kube-controller-manager":
		return cli.Run(controllermanager.NewControllerManagerCommand())
	case "kube-scheduler":
		return cli.Run(scheduler.NewSchedulerCommand())
	case "kubelet":
		return cli.Run(newKubelet(kubelet.NewKubeletCommand))
	case "kubeadm":
		// Kubernetes' own way of reporting it moved from version to version.
		if err := kubeadm.Run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	case "etcd":
		etcdmain.Main(os.Args)
		return 0
	}
	fmt.Fprintf(os.Stderr, "unknown program %q: call it as one of %s\n", name,
		strings.Join(programs(), ", "))
	return 2
}

// newKubelet calls the kubelet's constructor in either of its forms: with a
// context since Kubernetes 1.34, without one before.
func newKubelet(constructor any) *cobra.Command {
	switch construct := constructor.(type) {
	case func(context.Context) *cobra.Command:
		return construct(context.Background())
	case func() *cobra.Command:
		return construct()
	}
	panic(fmt.Sprintf("unknown form of the kubelet's constructor: %T", constructor))
}

func setReloadPoll(value string) error {
	if value == "" {
		return nil
	}
	poll, err := time.ParseDuration(value)
	if err != nil {
		return fmt.Errorf("read %s: %w", reloadPollVariable, err)
	}
	controller.EncryptionConfigFileChangePollDuration = poll
	return nil
}
