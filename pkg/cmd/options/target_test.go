// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package options_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
)

func given(t *testing.T, args ...string) *genericclioptions.ConfigFlags {
	t.Helper()
	f := genericclioptions.NewConfigFlags(true)
	set := pflag.NewFlagSet("t", pflag.ContinueOnError)
	f.AddFlags(set)
	require.NoError(t, set.Parse(args))
	return f
}

func TestTargetOf(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want string
	}{
		"no flag":                               {nil, ""},
		"a context":                             {[]string{"--context", "prod"}, " --context prod"},
		"a file and a context":                  {[]string{"--context=prod", "--kubeconfig=/k/c"}, " --kubeconfig /k/c --context prod"},
		"somebody else":                         {[]string{"--as", "a", "--as-group", "g", "--as-group", "h"}, " --as a --as-group g --as-group h"},
		"a token, which is never repeated":      {[]string{"--server", "https://h:6443", "--token", "canary"}, " --server https://h:6443"},
		"what says nothing of the cluster":      {[]string{"--namespace", "n", "--request-timeout", "5s", "--cache-dir", "/c"}, ""},
		"a value that a shell would take apart": {[]string{"--context", "it's; rm -rf $HOME"}, ` --context 'it'\''s; rm -rf $HOME'`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := options.TargetOf(given(t, tt.args...))
			assert.Equal(t, tt.want, string(target))
			if tt.want == "" {
				return
			}
			words, err := exec.CommandContext(t.Context(), "sh", "-c", `printf '%s\n'`+string(target)).Output()
			require.NoError(t, err)
			again := given(t, strings.Split(strings.TrimSuffix(string(words), "\n"), "\n")...)
			assert.Equal(t, target, options.TargetOf(again), "a shell reads it as it was given")
		})
	}
	assert.Empty(t, options.TargetOf(nil))
}

func TestAim(t *testing.T) {
	t.Parallel()
	const target = options.Target(" --context a$1")
	tests := map[string]string{
		"go on with: kubectl encryption rotate --resume":                     "go on with: kubectl encryption --context a$1 rotate --resume",
		"see \"kubectl encryption verify\"; then kubectl encryption migrate": "see \"kubectl encryption --context a$1 verify\"; then kubectl encryption --context a$1 migrate",
		"kubectl delete node n3":                                             "kubectl --context a$1 delete node n3",
		"kubectl -n kube-system exec etcd-n1 -- etcdctl":                     "kubectl --context a$1 -n kube-system exec etcd-n1 -- etcdctl",
		"echo x | kubectl delete --raw /api -f -":                            "echo x | kubectl --context a$1 delete --raw /api -f -",
		"look in /etc/kubernetes/kubectl-encryption":                         "look in /etc/kubernetes/kubectl-encryption",
		"on the node: encryption-agent restore":                              "on the node: encryption-agent restore",
	}
	for text, want := range tests {
		assert.Equal(t, want, target.Aim(text))
		assert.Equal(t, text, options.Target("").Aim(text))
	}
}
