// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

func TestDocument_Apply_does_to_the_file_what_Change_Apply_does_to_its_description(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawSample(t)
		doc := parsed(t, s.text)
		change := drawChange(t, s.keys)

		next, err := doc.Apply(change, secretOf('Z'))
		want, wantErr := withSecret(change).Apply(doc.Describe())

		require.Equal(t, s.text, string(doc.Bytes()), "the document itself stays as it is")
		if wantErr != nil {
			require.ErrorIs(t, wantErr, encconfig.ErrRefused)
			require.ErrorIs(t, err, encconfig.ErrRefused)
			require.NotContains(t, err.Error(), secretOf('Z').Base64())
			return
		}
		require.NoError(t, err)
		require.True(t, next.Describe().SameContent(want), "%v\nis not %v", words(next.Describe()), words(want))
		require.Equal(t, encconfig.Digest(next.Bytes()), next.Describe().Digest)
		requireUpstreamAgrees(t, next)
		if change.Kind != encconfig.KeepAll {
			requireBlockStyle(t, next)
		}
		requireComments(t, s, next, change.Resources)
	})
}

func TestDocument_Apply_removing_an_added_key_gives_the_same_content_again(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawSample(t)
		doc := parsed(t, s.text)
		fresh := []encconfig.Key{key(encconfig.AESGCM, "9")}

		added, err := doc.Apply(encconfig.Change{Kind: encconfig.AddReadKey, Keys: fresh}, secretOf('Z'))
		if len(doc.Describe().EncryptingRules()) == 0 {
			require.ErrorIs(t, err, encconfig.ErrRefused)
			return
		}
		require.NoError(t, err)
		require.True(t, added.Describe().Reads(fresh[0]))
		require.False(t, added.Describe().Writes(fresh[0]))

		back, err := added.Apply(encconfig.Change{Kind: encconfig.Remove, Keys: fresh}, secretOf('Z'))
		require.NoError(t, err)
		require.True(t, back.Describe().SameContent(doc.Describe()))
		require.NotContains(t, string(back.Bytes()), secretOf('Z').Base64())
		requireComments(t, s, back, nil)
	})
}

// withSecret is the change with the fingerprint of the key that is added, as the pure half needs it.
func withSecret(c encconfig.Change) encconfig.Change {
	adds := c.Kind == encconfig.AddReadKey || c.Kind == encconfig.AddWriteKey
	list := slices.Clone(c.Keys)
	for i, k := range list {
		if adds && k.Provider.Local() {
			list[i].Fingerprint = secretOf('Z').Fingerprint(string(k.Provider), k.Name)
		}
	}
	return encconfig.Change{Kind: c.Kind, Keys: list, Resources: c.Resources}
}

func requireBlockStyle(t *rapid.T, doc *encconfig.Document) {
	t.Helper()
	text := string(doc.Bytes())
	require.True(t, strings.HasSuffix(text, "\n") && !strings.HasSuffix(text, "\n\n"), "ends in one newline: %q", text)
	for line := range strings.SplitSeq(text, "\n") {
		content := strings.TrimSuffix(line, "identity: {}")
		content = strings.TrimSuffix(content, `"identity": {}`)
		require.False(t, strings.ContainsAny(content, "{}[]"), "not block style: %q", line)
	}
}

// requireComments wants every comment exactly once that the file had, but those of keys that are gone. Where a rule was
// split, they are in the part that the change does not apply to.
func requireComments(t *rapid.T, s sample, doc *encconfig.Document, scope []string) {
	t.Helper()
	expected := slices.Clone(s.lasting)
	for i, resources := range s.resources {
		heir := resources[0]
		for _, r := range resources {
			if len(scope) > 0 && !inScope(scope, r) {
				heir = r
			}
		}
		for k, notes := range s.ofKeys[i] {
			if doc.Describe().RuleFor(heir).Index(k) >= 0 {
				expected = append(expected, notes...)
			}
		}
	}
	for _, note := range expected {
		require.Equal(t, 1, strings.Count(string(doc.Bytes()), note), "%q in\n%s\nfrom\n%s", note, doc.Bytes(), s.text)
	}
}

// inScope tells whether one of the patterns stands for the resource.
func inScope(scope []string, resource string) bool {
	return encconfig.Rule{Resources: scope}.Covers(resource)
}

func TestChange_Apply_to_resources_changes_nothing_for_any_other(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before := parsed(t, drawSample(t).text).Describe()
		scope := rapid.SliceOfN(rapid.SampledFrom(scopes()[:len(scopes())-1]), 1, 3).Draw(t, "scope")
		fresh := key(encconfig.AESGCM, "9")

		after, err := encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{fresh}, Resources: scope}.Apply(before)
		if err != nil {
			require.ErrorContains(t, err, "KMS")
			return
		}
		for _, resource := range []string{"secrets", "configmaps", "deployments.apps", "widgets.awesome.example", "leases.coordination.k8s.io", "pods"} {
			old, now := before.RuleFor(resource), after.RuleFor(resource)
			if !inScope(scope, resource) {
				require.Equal(t, old == nil, now == nil, resource)
				if old != nil {
					require.Equal(t, old.Keys, now.Keys, resource)
				}
				continue
			}
			require.NotNil(t, now, resource)
			require.Positive(t, now.Index(fresh), "%s reads the key and does not write with it", resource)
			if old == nil {
				require.Equal(t, []encconfig.Key{key(encconfig.Identity, ""), fresh}, now.Keys, resource)
				continue
			}
			require.Equal(t, old.Keys, slices.DeleteFunc(slices.Clone(now.Keys), fresh.Is), "%s keeps its other keys", resource)
		}
	})
}
