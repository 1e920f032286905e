// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package bare

import (
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/encryption"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeadm"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
)

// reloadPollVariable is read by the kube-apiserver built here.
const reloadPollVariable = "ENCRYPTION_CONFIG_RELOAD_POLL"

func environment() []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent"}
}

func (h *Harness) apiServerEnvironment() []string {
	if h.state.ReloadPoll == kubeadm.StockReloadPoll.String() {
		return environment()
	}
	return append(environment(), reloadPollVariable+"="+h.state.ReloadPoll)
}

func (h *Harness) etcdArguments(etcd *state.Etcd) []string {
	return []string{
		"etcd",
		"--name=bare",
		"--data-dir=" + h.path(etcd.Name, "data"),
		"--listen-client-urls=" + etcd.Endpoint,
		"--advertise-client-urls=" + etcd.Endpoint,
		"--listen-peer-urls=" + etcd.Peer,
		"--initial-advertise-peer-urls=" + etcd.Peer,
		"--initial-cluster=bare=" + etcd.Peer,
	}
}

// storageArguments say where a kube-apiserver keeps what.
func (h *Harness) storageArguments() []string {
	arguments := []string{"--etcd-servers=" + h.state.Etcd.Endpoint}
	if h.state.EtcdPrefix != "" {
		arguments = append(arguments, "--etcd-prefix="+h.state.EtcdPrefix)
	}
	if h.state.SecondEtcd == nil {
		return arguments
	}
	var moved []string
	for resource := range strings.SplitSeq(h.state.EtcdOverrides, ",") {
		moved = append(moved, resource+"#"+h.state.SecondEtcd.Endpoint)
	}
	return append(arguments, "--etcd-servers-overrides="+strings.Join(moved, ","))
}

func (h *Harness) apiServerArguments(number int) []string {
	server := h.state.APIServers[number-1]
	host, port := split(server)
	arguments := []string{
		"kube-apiserver",
		"--bind-address=" + host,
		"--secure-port=" + port,
		"--advertise-address=" + advertised(number),
		"--authorization-mode=Node,RBAC",
		"--allow-privileged=true",
		"--client-ca-file=" + h.path("pki", "ca.crt"),
		"--tls-cert-file=" + h.path("pki", "apiserver.crt"),
		"--tls-private-key-file=" + h.path("pki", "apiserver.key"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + h.path("pki", "sa.pub"),
		"--service-account-signing-key-file=" + h.path("pki", "sa.key"),
		"--service-cluster-ip-range=10.96.0.0/16",
	}
	arguments = append(arguments, h.storageArguments()...)
	if server.AuditLog != "" {
		// What is acknowledged is in the log: the default mode writes an event before the answer goes out.
		arguments = append(arguments, "--audit-policy-file="+h.auditPolicy(), "--audit-log-path="+server.AuditLog,
			"--audit-log-maxsize=0") // never another file
	}
	if h.state.Encryption == encryption.None {
		return arguments
	}
	return append(arguments,
		"--encryption-provider-config="+server.EncryptionConfig,
		"--encryption-provider-config-automatic-reload=true",
	)
}

func split(server *state.APIServer) (host, port string) {
	// The address was joined here, so that it comes apart again.
	host, port, _ = net.SplitHostPort(server.Address)
	return host, port
}

func (h *Harness) controllerManagerArguments() []string {
	return []string{
		"kube-controller-manager",
		"--kubeconfig=" + h.path("pki", "controller-manager.kubeconfig"),
		"--leader-elect=false",
		"--secure-port=0",
		"--root-ca-file=" + h.path("pki", "ca.crt"),
		"--service-account-private-key-file=" + h.path("pki", "sa.key"),
		"--use-service-account-credentials=true",
	}
}

// ownHostName puts a process where it may have another host name than the
// machine. Who is not root needs a user namespace for that as well, in which
// to be root.
func ownHostName() *syscall.SysProcAttr {
	if os.Geteuid() == 0 {
		return &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUTS}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUTS | unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
}
