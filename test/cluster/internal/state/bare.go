// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"path/filepath"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/process"
)

// BareFile is the name of a bare control plane's state in its folder.
const BareFile = "bare.json"

// Bare is a control plane of plain processes.
type Bare struct {
	Shape

	Dir        string `json:"dir"`
	Ready      bool   `json:"ready"`
	Kubeconfig string `json:"kubeconfig"`
	Binary     string `json:"binary"`
	Etcd       Etcd   `json:"etcd"`
	// SecondEtcd is the one that EtcdOverrides are kept in, if there are any.
	SecondEtcd        *Etcd        `json:"secondEtcd,omitempty"`
	APIServers        []*APIServer `json:"apiservers"`
	ControllerManager *Process     `json:"controllerManager,omitempty"`
	Balancer          *Balancer    `json:"balancer,omitempty"`
}

// Etcd is the etcd of a bare control plane.
type Etcd struct {
	// Name is also that of its folder.
	Name     string   `json:"name"`
	Endpoint string   `json:"endpoint"`
	Peer     string   `json:"peer"`
	Process  *Process `json:"process,omitempty"`
}

// APIServer is one kube-apiserver of a bare control plane.
type APIServer struct {
	Name             string `json:"name"`
	URL              string `json:"url"`
	Address          string `json:"address"`
	Kubeconfig       string `json:"kubeconfig"`
	EncryptionConfig string `json:"encryptionConfig"`
	Log              string `json:"log"`
	// AuditLog is empty where none is written.
	AuditLog string   `json:"auditLog,omitempty"`
	PID      int      `json:"pid"`
	Process  *Process `json:"process,omitempty"`
}

// Process is a process of a bare control plane.
type Process = process.Identity

// LoadBare reads the state of the bare control plane in dir.
func LoadBare(dir string) (*Bare, error) {
	var bare Bare
	if err := load(filepath.Join(dir, BareFile), &bare); err != nil {
		return nil, err
	}
	return &bare, nil
}

// Save writes the state to the control plane's folder.
func (b *Bare) Save() error {
	return save(filepath.Join(b.Dir, BareFile), b)
}

// Etcds lists the one etcd, or the two.
func (b *Bare) Etcds() []*Etcd {
	if b.SecondEtcd == nil {
		return []*Etcd{&b.Etcd}
	}
	return []*Etcd{&b.Etcd, b.SecondEtcd}
}

// APIServer returns the kube-apiserver with this number, counted from 1.
func (b *Bare) APIServer(number int) (*APIServer, error) {
	if number < 1 || number > len(b.APIServers) {
		return nil, fmt.Errorf("no kube-apiserver %d in the control plane of %s: it has %d", number, b.Dir, len(b.APIServers))
	}
	return b.APIServers[number-1], nil
}

// Processes lists what was started, in the order in which to end it.
func (b *Bare) Processes() []process.Identity {
	var all []process.Identity
	if b.Balancer != nil {
		all = append(all, b.Balancer.Process)
	}
	if b.ControllerManager != nil {
		all = append(all, *b.ControllerManager)
	}
	for _, server := range b.APIServers {
		if server.Process != nil {
			all = append(all, *server.Process)
		}
	}
	for _, etcd := range b.Etcds() {
		if etcd.Process != nil {
			all = append(all, *etcd.Process)
		}
	}
	return all
}

// Alive reports whether anything of the control plane still runs.
func (b *Bare) Alive() bool {
	for _, p := range b.Processes() {
		if p.Alive() {
			return true
		}
	}
	return false
}
