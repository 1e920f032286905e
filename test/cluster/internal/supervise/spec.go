// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package supervise is process 1 of a node: it turns the fresh namespaces in
// which it was started into a machine, runs containerd and the kubelet there,
// and takes in the orphans. When it ends, so does every process of the node,
// and with the last of them go the namespaces, their mounts and their network.
package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/network"
)

// Spec is the node to become.
type Spec struct {
	Name string `json:"name"`
	// Root is the folder that becomes /.
	Root string `json:"root"`
	// Binary is the program that is kubelet, kubeadm and the others in one.
	Binary string `json:"binary"`
	// BackendsDirectory holds the file Backends with the addresses of all
	// kube-apiservers.
	BackendsDirectory string           `json:"backendsDirectory"`
	Network           network.Interior `json:"network"`
	// Hosts are further lines of /etc/hosts.
	Hosts []string `json:"hosts"`
}

// Backends is the name of the file that lists the kube-apiservers.
const Backends = "backends"

// The descriptors over which the harness and process 1 of a node talk.
const (
	// SpecDescriptor carries the Spec, once the node's network is plugged in.
	SpecDescriptor = 3
	// ReadyDescriptor carries nothing but its end: after "ready", or after
	// the reason why the node did not get there.
	ReadyDescriptor = 4
)

const ready = "ready"

// ReadSpec waits for the harness to send what the node is to be.
func ReadSpec(from io.Reader) (Spec, error) {
	raw, err := io.ReadAll(from)
	if err != nil {
		return Spec{}, fmt.Errorf("read node: %w", err)
	}
	if len(raw) == 0 {
		return Spec{}, errors.New("read node: the harness gave up")
	}
	var spec Spec
	if err := json.Unmarshal(raw, &spec); err != nil {
		return Spec{}, fmt.Errorf("read node: %w", err)
	}
	return spec, nil
}

// Send tells a process that waits in ReadSpec what to become.
func (s Spec) Send(to io.Writer) error {
	if err := json.NewEncoder(to).Encode(s); err != nil {
		return fmt.Errorf("describe node %s: %w", s.Name, err)
	}
	return nil
}

// AwaitReady returns as soon as the node's containerd answers, or with the
// reason why it does not.
func AwaitReady(from io.Reader) error {
	answer, err := io.ReadAll(from)
	if err != nil {
		return fmt.Errorf("wait for node: %w", err)
	}
	switch string(answer) {
	case ready:
		return nil
	case "":
		return errors.New("its first process died")
	}
	return errors.New(string(answer))
}
