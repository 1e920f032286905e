// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package bare

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/balancer"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/encryption"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeadm"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeconfig"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/pki"
)

// furnish writes every file that the processes read.
func (h *Harness) furnish() error {
	authority, err := pki.NewAuthority("bare")
	if err != nil {
		return err
	}
	if err := h.writeServerFiles(authority); err != nil {
		return err
	}
	if err := h.writeClientFiles(authority); err != nil {
		return err
	}
	if err := h.writeBackends(); err != nil {
		return err
	}
	if h.state.Audit {
		if err := write(h.auditPolicy(), kubeadm.AuditPolicyFile()); err != nil {
			return err
		}
	}
	if h.state.Encryption == encryption.None {
		return nil
	}
	config, err := encryption.NewConfig(h.state.Encryption)
	if err != nil {
		return err
	}
	for _, server := range h.state.APIServers {
		if err := write(server.EncryptionConfig, config); err != nil {
			return err
		}
	}
	return nil
}

func (h *Harness) writeServerFiles(authority *pki.Authority) error {
	subject := pki.Subject{
		CommonName: "kube-apiserver",
		Names:      []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		Addresses:  []net.IP{net.ParseIP(kubeadm.ServiceAddress)},
	}
	for number := range h.state.APIServers {
		subject.Addresses = append(subject.Addresses, net.ParseIP(loopback(number+1)))
	}
	serving, err := authority.Issue(subject)
	if err != nil {
		return err
	}
	private, public, err := pki.NewSigningKey()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"ca.crt": authority.Certificate, "apiserver.crt": serving.Certificate, "apiserver.key": serving.Key,
		"sa.key": private, "sa.pub": public,
	} {
		if err := write(h.path("pki", name), content); err != nil {
			return err
		}
	}
	return nil
}

// writeClientFiles writes the kubeconfigs of the administrator, one for all
// instances and one for each, and that of the kube-controller-manager.
func (h *Harness) writeClientFiles(authority *pki.Authority) error {
	admin, err := authority.Issue(pki.Subject{CommonName: "kubernetes-admin", Organization: "system:masters"})
	if err != nil {
		return err
	}
	controller, err := authority.Issue(pki.Subject{CommonName: "system:kube-controller-manager"})
	if err != nil {
		return err
	}
	server := h.state.APIServers[0].URL
	if h.state.Balancer != nil {
		server = "https://" + h.state.Balancer.Address
	}
	person := kubeconfig.Config{Server: server, CA: authority.Certificate, Certificate: admin.Certificate, Key: admin.Key}
	if err := person.Save(h.state.Kubeconfig); err != nil {
		return err
	}
	for _, instance := range h.state.APIServers {
		if err := person.WithServer(instance.URL).Save(instance.Kubeconfig); err != nil {
			return err
		}
	}
	machine := kubeconfig.Config{Server: server, CA: authority.Certificate, Certificate: controller.Certificate, Key: controller.Key}
	return machine.Save(h.path("pki", "controller-manager.kubeconfig"))
}

func (h *Harness) backendsFile() string {
	return h.path("balancer", "backends")
}

func (h *Harness) writeBackends() error {
	var backends []string
	for _, server := range h.state.APIServers {
		backends = append(backends, server.Address)
	}
	if err := os.MkdirAll(filepath.Dir(h.backendsFile()), 0o755); err != nil {
		return fmt.Errorf("make balancer's folder: %w", err)
	}
	return balancer.WriteBackends(h.backendsFile(), backends)
}

// auditPolicy is what the audit logs of all instances are to hold.
func (h *Harness) auditPolicy() string {
	return h.path("audit-policy.yaml")
}

// write writes a file for its owner alone.
func write(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return nil
}
