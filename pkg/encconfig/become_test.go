// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

// TestDocument_Become_does_what_another_document_does: with the other's keys, a document becomes whatever that one is.
func TestDocument_Become_does_what_another_document_does(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, other := drawSample(t), drawSample(t)
		base, want := parsed(t, one.text), parsed(t, other.text)

		next, err := base.Become(want.Describe().Rules, want.Secret)

		require.Equal(t, one.text, string(base.Bytes()), "the document itself stays as it is")
		if want.Describe().Uses(encconfig.KMS) {
			if err != nil {
				require.ErrorIs(t, err, encconfig.ErrRefused)
				return
			}
		}
		require.NoError(t, err)
		require.True(t, next.Describe().SameContent(want.Describe()))
		require.Equal(t, encconfig.Digest(next.Bytes()), next.Describe().Digest)
		requireUpstreamAgrees(t, next)
		if base.Describe().SameContent(want.Describe()) {
			require.Equal(t, one.text, string(next.Bytes()), "what says so already stays as it is")
			return
		}
		requireBlockStyle(t, next)
	})
}

const twoEntries = `# ours
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  # what is most secret
  - resources: [secrets]
    providers:
      - aesgcm:
          keys:
            # the new one
            - {name: "2", secret: QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=}
      - identity: {}
  # the rest
  - resources: [configmaps, widgets.example.com]
    providers:
      - identity: {}
`

func TestDocument_Become_keeps_comments_and_order(t *testing.T) {
	t.Parallel()
	doc := parsed(t, twoEntries)
	two := doc.Describe().Rules[0].Keys[0]
	nine := encconfig.Key{Provider: encconfig.AESGCM, Name: "9", Fingerprint: secretOf('Z').Fingerprint("aesgcm", "9")}
	plain := encconfig.Key{Provider: encconfig.Identity}

	next, err := doc.Become([]encconfig.Rule{
		{Resources: []string{"secrets"}, Keys: []encconfig.Key{two, nine, plain}},
		{Resources: []string{"configmaps"}, Keys: []encconfig.Key{two, plain}},
		{Resources: []string{"widgets.example.com"}, Keys: []encconfig.Key{plain}},
	}, func(encconfig.Key) (keys.Secret, bool) { return secretOf('Z'), true })

	require.NoError(t, err)
	assert.Equal(t, `# ours
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  # what is most secret
  - resources:
      - secrets
    providers:
      - aesgcm:
          keys:
            # the new one
            - name: "2"
              secret: QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=
            - name: "9"
              secret: WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=
      - identity: {}
  # the rest
  - resources:
      - configmaps
    providers:
      - aesgcm:
          keys:
            - name: "2"
              secret: QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=
      - identity: {}
  - resources:
      - widgets.example.com
    providers:
      - identity: {}
`, string(next.Bytes()))
}

func TestDocument_Become_refuses(t *testing.T) {
	t.Parallel()
	doc := parsed(t, twoEntries)
	nine := encconfig.Key{Provider: encconfig.AESGCM, Name: "9", Fingerprint: secretOf('Z').Fingerprint("aesgcm", "9")}
	vault := encconfig.Key{Provider: encconfig.KMS, Name: "vault", Version: "v2"}
	tests := map[string]struct {
		key    encconfig.Key
		secret func(encconfig.Key) (keys.Secret, bool)
	}{
		"a key that is not there":        {nine, func(encconfig.Key) (keys.Secret, bool) { return keys.Secret{}, false }},
		"another key of the same name":   {nine, func(encconfig.Key) (keys.Secret, bool) { return secretOf('Y'), true }},
		"a plugin that it does not know": {vault, func(encconfig.Key) (keys.Secret, bool) { return secretOf('Z'), true }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := doc.Become([]encconfig.Rule{{Resources: []string{"secrets"}, Keys: []encconfig.Key{tt.key}}}, tt.secret)
			require.ErrorIs(t, err, encconfig.ErrRefused)
			assert.NotContains(t, err.Error(), secretOf('Z').Base64())
		})
	}
}

func TestDocument_Become_is_read_again(t *testing.T) {
	t.Parallel()
	doc := parsed(t, twoEntries)
	plain := []encconfig.Key{{Provider: encconfig.Identity}}
	_, err := doc.Become([]encconfig.Rule{{Resources: []string{"*.*"}, Keys: plain}, {Resources: []string{"secrets"}, Keys: plain}}, doc.Secret)
	assert.ErrorContains(t, err, `"secrets" is masked by "*.*"`)
}
