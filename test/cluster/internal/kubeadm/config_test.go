// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeadm

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/encryption"
)

// update is a flag of the test program.
var update = flag.Bool("update", false, "write the golden files")

func plain() Cluster {
	return Cluster{
		KubernetesVersion: "v1.37.1", ImageRepository: "images.invalid/kubernetes", Endpoint: "10.209.1.1:6443",
		CertSANs: []string{"127.0.0.1"}, Encryption: encryption.None, ReloadPoll: StockReloadPoll, Compaction: StockCompaction,
		Token: "abcdef.0123456789abcdef", CertificateKey: "00ff",
	}
}

func TestConfig_golden(t *testing.T) {
	t.Parallel()
	node := Node{Name: "n1", Address: "10.209.1.11", CgroupRoot: "/kenc-1/n1"}
	for name, row := range map[string]struct {
		change func(*Cluster)
		render func(Cluster, Node) ([]byte, error)
	}{
		"init-plain": {change: func(*Cluster) {}, render: Init},
		"init-encrypted": {change: func(c *Cluster) {
			c.Encryption, c.ReloadPoll, c.Audit, c.CgroupV1 = "aesgcm", 2*time.Second, true, true
		}, render: Init},
		"init-compacting": {change: func(c *Cluster) { c.Compaction = 3 * time.Second }, render: Init},
		"join":            {change: func(*Cluster) {}, render: Join},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := plain()
			row.change(&cluster)
			got, err := row.render(cluster, node)
			require.NoError(t, err)
			file := filepath.Join("testdata", name+".golden.yaml")
			if *update {
				require.NoError(t, os.WriteFile(file, got, 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(got))
		})
	}
}

func TestSecrets_haveTheFormThatKubeadmWants(t *testing.T) {
	t.Parallel()
	assert.Regexp(t, `^[a-z0-9]{6}\.[a-z0-9]{16}$`, NewToken())
	assert.Regexp(t, `^[0-9a-f]{64}$`, NewCertificateKey())
	first, second := NewToken(), NewToken()
	assert.NotEqual(t, first, second)
}
