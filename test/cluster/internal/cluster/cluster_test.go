// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubernetes"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/network"
)

func valid() Options {
	return Options{Dir: "/d", Kubernetes: "v1.37.1", Nodes: 3, Encryption: "aesgcm", ReloadPoll: time.Minute, Compaction: time.Minute}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	require.NoError(t, valid().Validate())
	for name, row := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no node => refused":                  {func(o *Options) { o.Nodes = 0 }, "1 to 3 nodes"},
		"four nodes => refused":               {func(o *Options) { o.Nodes = 4 }, "1 to 3 nodes"},
		"an unknown provider => refused":      {func(o *Options) { o.Encryption = "rot13" }, "rot13"},
		"no time between polls => refused":    {func(o *Options) { o.ReloadPoll = 0 }, "reload poll"},
		"no time between compactions => so":   {func(o *Options) { o.Compaction = 0 }, "compaction interval"},
		"an image that is not there => so":    {func(o *Options) { o.Images = []string{"/nonexistent.tar"} }, "find image"},
		"a poll in the past => refused, also": {func(o *Options) { o.ReloadPoll = -time.Second }, "reload poll"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := valid()
			row.change(&options)
			assert.ErrorContains(t, options.Validate(), row.want)
		})
	}
}

func TestShape_isWhatMattersToATest(t *testing.T) {
	t.Parallel()
	more := valid()
	more.Images = []string{"/agent.tar"}
	assert.Equal(t, valid().shape(), more.shape(), "an image can be loaded later")
	more.ReloadPoll = time.Second
	assert.NotEqual(t, valid().shape(), more.shape())
}

func TestNewState_placesTheNodes(t *testing.T) {
	t.Parallel()
	cluster := newState("/d", valid(), kubernetes.Build{Binary: "/b"}, network.Subnet{Number: 5})
	require.Len(t, cluster.Nodes, 3)
	node := cluster.Nodes[1]
	assert.Equal(t, "n2", node.Name)
	assert.Equal(t, "/d/nodes/n2", node.Root)
	assert.Equal(t, "https://10.209.5.12:6443", node.APIServerURL)
	assert.Equal(t, "/d/kubeconfig-n2", node.Kubeconfig)
	assert.Equal(t, "kenc-5/n2", node.Cgroup)
	assert.Equal(t, "/d/nodes/n2/etc/kubernetes", path(node, "etc/kubernetes"))
}

func TestContainerdConfig(t *testing.T) {
	t.Parallel()
	got := string(containerdConfig{PauseImage: "images.invalid/pause:1", Snapshotter: "native", KeepOOMScore: true}.render())
	assert.Contains(t, got, `sandbox_image = "images.invalid/pause:1"`)
	assert.Contains(t, got, `snapshotter = "native"`)
	assert.Contains(t, got, "restrict_oom_score_adj = true")
}

func TestPodNetwork(t *testing.T) {
	t.Parallel()
	content, err := podNetwork("10.244.2.0/24")
	require.NoError(t, err)
	assert.True(t, json.Valid(content))
	assert.Contains(t, string(content), `"subnet": "10.244.2.0/24"`)
}

func TestPlace_closesTheFolderAndNotThoseAboveIt(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "etc", "encryption", "config.yaml")
	require.NoError(t, place(file, []byte("x"), 0o700))
	for path, want := range map[string]os.FileMode{
		file: 0o600, filepath.Dir(file): 0o700, filepath.Dir(filepath.Dir(file)): 0o755,
	} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, want, info.Mode().Perm(), path)
	}
}

func TestMountsBelow(t *testing.T) {
	t.Parallel()
	const table = `22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:26 / /d/nodes/n1/proc rw - proc none rw
31 22 0:26 / /d2 rw - tmpfs none rw
`
	assert.Equal(t, []string{"/d/nodes/n1/proc"}, mountsBelow(table, "/d"))
}

func TestTelling_linesExplain(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		`E1121 01:25:13.815883      67 kubelet.go:3596] "failed"`: true,
		`Error: failed to run Kubelet`:                            true,
		`I1121 01:25:13.815883      67 kubelet.go:3596] "fine"`:   false,
	} {
		assert.Equal(t, want, kubeletError.MatchString(line), line)
	}
	assert.True(t, containerdError.MatchString(`time="x" level=error msg="y"`))
	assert.False(t, containerdError.MatchString(`time="x" level=info msg="y"`))
}
