// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/measure"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
)

// memory has ours migrate ever more objects of a server that has only metadata.
func (r *Runner) memory(ctx context.Context) error {
	for _, objects := range r.Scale.Memory {
		m, err := r.remember(ctx, objects)
		if err != nil {
			return err
		}
		r.Results.Memory = append(r.Results.Memory, m)
		r.say("  %9d objects: peak %.1f MiB, %.0f objects/s, %.0f µs of processor each",
			objects, float64(m.Peak)/(1<<20), float64(objects)/m.Wall, m.Client/float64(objects)*1e6)
	}
	return nil
}

func (r *Runner) remember(ctx context.Context, objects int) (result.Memory, error) {
	server, err := measure.StartListServer(ctx, r.Meter.Programs.Bench, objects)
	if err != nil {
		return result.Memory{}, err
	}
	defer server.Stop()
	kubeconfig := filepath.Join(r.Meter.Dir, "kubeconfig-listserver")
	if err := writeKubeconfig(kubeconfig, server.URL); err != nil {
		return result.Memory{}, err
	}
	defer func() { _ = os.Remove(kubeconfig) }()
	return measure.Memory(ctx, r.Meter.Programs.Bench, objects, peer.Job{Peer: peer.Ours, Kubeconfig: kubeconfig})
}

// writeKubeconfig writes how a server of this benchmark's own is reached. Its certificate is not looked at: it was
// made for a test and is nobody's.
func writeKubeconfig(file, url string) error {
	const name = "listserver"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: url, InsecureSkipTLSVerify: true}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}
