// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rig is the control plane that everything is measured on: one kube-apiserver, one etcd and a
// kube-controller-manager as plain processes of this machine, with encryption at rest on.
//
// It is what makes a slice honest: the write key is changed before and proven to be loaded, all objects are seen to
// have a new resourceVersion after, and etcd is read to see that no value is left that is stored with the other key.
package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Provider encrypts what is stored. Which one it is does not matter for the speed of a migration: all take
// microseconds of the milliseconds that storing an object takes.
const Provider = "secretbox"

// reloadPoll is how often kube-apiserver looks at its configuration; a minute in the field.
const reloadPoll = 500 * time.Millisecond

// etcdTimeout is how long one request to etcd may take; a defragmentation is one.
const etcdTimeout = time.Minute

// Rig is a control plane that runs.
type Rig struct {
	// Kubeconfig is the administrator's: system:masters, to whom priority and fairness does not apply.
	Kubeconfig string
	// Endpoint is etcd's, without TLS.
	Endpoint string
	// PIDs are its processes.
	PIDs PIDs

	dir      string
	programs Programs
	config   string
	keys     keyPair
	typed    *kubernetes.Clientset
	meta     metadata.Interface
	etcd     *clientv3.Client
}

// PIDs are the processes of a control plane.
type PIDs struct{ APIServer, Etcd, ControllerManager int }

// state is what the test cluster tells of itself in bare.json.
type state struct {
	Kubeconfig string `json:"kubeconfig"`
	Etcd       struct {
		Endpoint string  `json:"endpoint"`
		Process  process `json:"process"`
	} `json:"etcd"`
	APIServers []struct {
		EncryptionConfig string  `json:"encryptionConfig"`
		Process          process `json:"process"`
	} `json:"apiservers"`
	ControllerManager process `json:"controllerManager"`
}

type process struct {
	PID int `json:"pid"`
}

// Start starts a control plane in a folder. What it says goes to log.
func Start(ctx context.Context, programs Programs, dir string, log io.Writer) (*Rig, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find folder: %w", err)
	}
	r := &Rig{dir: dir, programs: programs}
	// What a run that was killed has left: it has keys that are not known here.
	if err := r.cluster(ctx, io.Discard, "down", "--dir", dir); err != nil {
		return nil, err
	}
	err = r.cluster(ctx, log, "up", "--dir", dir, "--encryption", Provider, "--reload-poll", reloadPoll.String())
	if err != nil {
		return nil, err
	}
	if err := r.connect(); err != nil {
		r.Stop(ctx, log)
		return nil, err
	}
	return r, nil
}

// Stop takes the control plane down.
func (r *Rig) Stop(ctx context.Context, log io.Writer) {
	if r.etcd != nil {
		_ = r.etcd.Close()
	}
	if err := r.cluster(context.WithoutCancel(ctx), log, "down", "--dir", r.dir); err != nil {
		_, _ = fmt.Fprintln(log, err)
	}
}

func (r *Rig) cluster(ctx context.Context, log io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, r.programs.Cluster, append([]string{"bare"}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.programs.Root, log, log
	// It takes away what it began when it is interrupted, and only then.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cluster bare %s: %w", args[0], err)
	}
	return nil
}

func (r *Rig) connect() error {
	data, err := os.ReadFile(filepath.Join(r.dir, "bare.json"))
	if err != nil {
		return fmt.Errorf("read the control plane's state: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("read the control plane's state: %w", err)
	}
	if len(s.APIServers) != 1 {
		return fmt.Errorf("read the control plane's state: there are %d kube-apiservers", len(s.APIServers))
	}
	r.Kubeconfig, r.Endpoint, r.config = s.Kubeconfig, s.Etcd.Endpoint, s.APIServers[0].EncryptionConfig
	r.PIDs = PIDs{s.APIServers[0].Process.PID, s.Etcd.Process.PID, s.ControllerManager.PID}
	config, err := Load(r.Kubeconfig)
	if err != nil {
		return err
	}
	if r.typed, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if r.meta, err = metadata.NewForConfig(config); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if r.etcd, err = NewEtcd(r.Endpoint); err != nil {
		return err
	}
	r.keys, err = readKeys(r.config)
	return err
}

// Load reads a kubeconfig and switches client-go's own rate limit off.
func Load(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("load kubeconfig: %w", err)
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}

// NewEtcd connects to etcd.
func NewEtcd(endpoint string) (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: etcdTimeout, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd: %w", err)
	}
	return client, nil
}

// Version is the kube-apiserver's.
func (r *Rig) Version() (string, error) {
	version, err := r.typed.Discovery().ServerVersion()
	if err != nil {
		return "", fmt.Errorf("ask for the version: %w", err)
	}
	return version.GitVersion, nil
}
