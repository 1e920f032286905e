// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto/aes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apiserver/pkg/storage/value"
	aestransformer "k8s.io/apiserver/pkg/storage/value/encrypt/aes"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/snapshot"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/snapshot/snapshottest"
)

const object = `{"kind":"Secret","data":{"password":"aHVudGVyMg=="}}`

// secretOf is what the key of a name is made of.
func secretOf(name string) []byte { return []byte((name + strings.Repeat(".", 32))[:32]) }

// under is the object as kube-apiserver stores it with a key of aesgcm.
func under(t testing.TB, key, path string) string {
	t.Helper()
	return sealed(t, key, path, object)
}

// sealed is an object as kube-apiserver stores it with a key of aesgcm.
func sealed(t testing.TB, key, path, object string) string {
	t.Helper()
	block, err := aes.NewCipher(secretOf(key))
	require.NoError(t, err)
	gcm, err := aestransformer.NewGCMTransformer(block)
	require.NoError(t, err)
	data, err := gcm.TransformToStorage(context.Background(), []byte(object), value.DefaultContext(path))
	require.NoError(t, err)
	return "k8s:enc:aesgcm:v1:" + key + ":" + string(data)
}

// configuration encrypts Secrets with the first key, reads the others and plaintext.
func configuration(resources string, names ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [%s]\n  providers:\n  - aesgcm:\n      keys:\n", resources)
	for _, n := range names {
		fmt.Fprintf(&b, "      - {name: %q, secret: %s}\n", n, base64.StdEncoding.EncodeToString(secretOf(n)))
	}
	b.WriteString("  - identity: {}\n")
	return b.String()
}

// cluster is an etcd with Secrets under two keys and in plaintext, and more.
func cluster(t testing.TB) map[string]string {
	t.Helper()
	values := map[string]string{
		"/registry/pods/ns/a":                               object,
		"/registry/pods/ns/b":                               object,
		"/registry/services/specs/ns/a":                     object,
		"/registry/example.com/widgets/ns/w":                object,
		"/registry/secrets/ns/plain":                        object,
		"/registry/ranges/serviceips":                       "not encrypted, whatever is configured",
		"compact_rev_key":                                   "1",
		"/elsewhere/secrets/ns/a":                           "not Kubernetes'",
		"/registry/apiregistration.k8s.io/apiservices/v1.x": object,
	}
	for i := range 5 {
		path := fmt.Sprintf("/registry/secrets/ns/new-%d", i)
		values[path] = under(t, "new", path)
	}
	for i := range 3 {
		path := fmt.Sprintf("/registry/secrets/ns/old-%d", i)
		values[path] = under(t, "old", path)
	}
	return values
}

// files writes a snapshot and a configuration.
func files(t testing.TB, values map[string]string, config string) Offline {
	t.Helper()
	dir := t.TempDir()
	o := Offline{File: filepath.Join(dir, "etcd.db"), Prefix: "/registry", Names: census.FirstNames}
	require.NoError(t, os.WriteFile(o.File, snapshottest.Snapshot(t, values), 0o600))
	if config != "" {
		o.Config = filepath.Join(dir, "config.yaml")
		require.NoError(t, os.WriteFile(o.Config, []byte(config), 0o600))
	}
	return o
}

func assessed(t testing.TB, o Offline) *v1alpha1.VerificationReport {
	t.Helper()
	r, err := o.Run(t.Context())
	require.NoError(t, err)
	assert.False(t, r.Source.Time.IsZero())
	return Assess(*r, v1alpha1.Cluster{})
}

func TestABackupWithoutAConfigurationTellsWhichKeysItNeeds(t *testing.T) {
	t.Parallel()
	report := assessed(t, files(t, cluster(t), ""))
	assert.Equal(t, "2 keys are needed: aesgcm/new (5), aesgcm/old (3); 6 objects are stored in plaintext", report.Verdict)
	assert.Equal(t, v1alpha1.Surveyed, report.Outcome)
	assert.Nil(t, report.Current, "nothing was judged")
	assert.Nil(t, report.Cluster)
	assert.Equal(t, []v1alpha1.NeededKey{
		{KeyRef: v1alpha1.KeyRef{Provider: "aesgcm", Name: "new"}, Objects: 5, Resources: []string{"secrets"}},
		{KeyRef: v1alpha1.KeyRef{Provider: "aesgcm", Name: "old"}, Objects: 3, Resources: []string{"secrets"}},
	}, report.Keys)
	assert.Equal(t, "Fits", report.Source.Hash)
	assert.Equal(t, []string{"--config FILE tells whether a configuration has these keys, and --decrypt whether they fit"}, report.Hints)
	var names []string
	for _, r := range report.Resources {
		names = append(names, r.Name)
		assert.True(t, r.Complete)
		assert.Nil(t, r.WriteKey)
	}
	assert.Equal(t, []string{"apiservices.apiregistration.k8s.io", "pods", "secrets", "services", "widgets.example.com"}, names)
}

func TestABackupIsJudgedByAConfiguration(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		config    string
		decrypt   bool
		resources []string
		verdict   string
		outcome   string
		notes     []string
	}{
		"which reads all of it": {
			config:  configuration("secrets", "new", "old"),
			verdict: "4 of 9 objects of secrets are not stored under aesgcm/new: 1 in plaintext, 3 under aesgcm/old, kept for reading only",
			outcome: v1alpha1.Found,
			notes: []string{
				"the configuration has every key that the values name; --decrypt tells whether the keys fit",
				"5 objects of 4 other resources are in plaintext, as no rule of the configuration is about them",
			},
		},
		"which opens all of it": {
			config: configuration("secrets", "new", "old"), decrypt: true,
			verdict: "4 of 9 objects of secrets are not stored under aesgcm/new: 1 in plaintext, 3 under aesgcm/old, kept for reading only",
			outcome: v1alpha1.Found,
			notes: []string{
				"the configuration opens all that was counted: each value was tried",
				"5 objects of 4 other resources are in plaintext, as no rule of the configuration is about them",
			},
		},
		"which lacks a key": {
			config:  configuration("secrets", "new"),
			verdict: "4 of 9 objects of secrets are not stored under aesgcm/new: 3 under aesgcm/old, which the configuration lacks for them, 1 in plaintext",
			outcome: v1alpha1.Found,
			notes:   []string{"5 objects of 4 other resources are in plaintext, as no rule of the configuration is about them"},
		},
		"which has the keys for another resource": {
			config:  configuration("configmaps", "new", "old"),
			verdict: "8 of 9 objects of secrets are not stored in plaintext: 8 under 2 keys, which the configuration has for other resources only",
			outcome: v1alpha1.Found,
			notes:   []string{"5 objects of 4 other resources are in plaintext, as no rule of the configuration is about them"},
		},
		"for what was asked for": {
			config: configuration("secrets", "new"), resources: []string{"pods", "services"},
			verdict: "all 3 objects of 2 resources are stored in plaintext", outcome: v1alpha1.Clean,
			notes: []string{"the configuration has every key that the values name; --decrypt tells whether the keys fit"},
		},
		"for a wildcard": {
			config: configuration("'*.example.com'", "new"), resources: []string{"*.example.com"},
			verdict: "1 of 1 objects of widgets.example.com is not stored under aesgcm/new: 1 in plaintext", outcome: v1alpha1.Found,
			notes: []string{"the configuration has every key that the values name; --decrypt tells whether the keys fit"},
		},
		"for what it has nothing of": {
			config: configuration("secrets", "new"), resources: []string{"configmaps"},
			verdict: "no object of configmaps is stored; that this is all is not proven", outcome: v1alpha1.Unproven,
			notes: []string{"the file has no object of configmaps; kubectl api-resources lists what a cluster serves"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := files(t, cluster(t), tt.config)
			o.Decrypt, o.Resources = tt.decrypt, tt.resources
			report := assessed(t, o)
			assert.Equal(t, tt.verdict, report.Verdict)
			assert.Equal(t, tt.outcome, report.Outcome)
			assert.Equal(t, tt.notes, report.Notes)
			assert.NotEmpty(t, report.Digest)
		})
	}
}

func TestOpeningTellsWhatNamesDoNot(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"/registry/secrets/ns/good":  under(t, "new", "/registry/secrets/ns/good"),
		"/registry/secrets/ns/moved": under(t, "new", "/registry/secrets/ns/elsewhere"),
	}
	o := files(t, values, configuration("secrets", "new"))
	assert.Equal(t, v1alpha1.Clean, assessed(t, o).Outcome)
	o.Decrypt = true
	report := assessed(t, o)
	assert.Equal(t, "1 of 2 objects of secrets is not stored under aesgcm/new: 1 that aesgcm/new can't open", report.Verdict)
	assert.Equal(t, []string{"ns/moved"}, report.Resources[0].Groups[1].Names)
	assert.Empty(t, report.Notes)
}

func TestAKeyIsUnusedOnlyIfTheWholeFileSaysSo(t *testing.T) {
	t.Parallel()
	o := files(t, cluster(t), configuration("secrets", "new", "old", "older"))
	report := assessed(t, o)
	require.Len(t, report.UnusedKeys, 1)
	assert.Equal(t, "older", report.UnusedKeys[0].Name)
	o.Resources = []string{"pods"}
	report = assessed(t, o)
	assert.Empty(t, report.UnusedKeys)
	assert.Equal(t, "secrets was not counted to the end", report.UnusedKeysUnknown)
}

func TestWhatIsUnfamiliarProvesNothing(t *testing.T) {
	t.Parallel()
	values := cluster(t)
	for path := range values {
		if strings.Contains(path, "secrets") {
			delete(values, path)
		}
	}
	values["/registry/secrets/ns/a"] = under(t, "new", "/registry/secrets/ns/a")
	values["/registry/gadgets/ns/a"] = under(t, "old", "/registry/gadgets/ns/a")
	o := files(t, values, configuration("secrets, '*.apps'", "new", "old"))
	report := assessed(t, o)
	assert.Equal(t, "the one object of secrets that was counted is stored under aesgcm/new; 1 more can't be judged", report.Verdict)
	assert.Equal(t, v1alpha1.Unproven, report.Outcome)
	assert.Contains(t, report.Notes, "1 value is under keys of which it can't be told what resource they are of; --resources leaves them out")
	assert.Equal(t, "*.apps was not counted to the end", report.UnusedKeysUnknown)
	assert.Equal(t, Unfamiliar, report.Resources[0].Name)
	assert.Equal(t, []string{"/registry/gadgets/ns/a"}, report.Resources[0].StrayNames)

	o.Resources = []string{"secrets"}
	assert.Equal(t, v1alpha1.Clean, assessed(t, o).Outcome)
	o.Config, o.Resources = "", nil
	assert.Equal(t, "2 keys are needed: aesgcm/new (1), aesgcm/old (1); 5 objects are stored in plaintext", assessed(t, o).Verdict)
}

func TestHostileNamesCanBePrinted(t *testing.T) {
	t.Parallel()
	const prefix = "/registry/secrets/"
	long := strings.Repeat("x", 253)
	values := map[string]string{
		prefix + "ns/\x1b[2J\u202eevil\xff\\": object, prefix + "ns/" + long: object, prefix + "a/b/c": object, prefix + "\n": "k8s:enc:\x1b[31m:v1:x:",
		prefix + "ns/bell": "k8s:enc:aesgcm:v1:\a\u009b2J:" + strings.Repeat("\x00", 40),
	}
	report := assessed(t, files(t, values, configuration("secrets", "new")))
	out, err := json.Marshal(report)
	require.NoError(t, err)
	for _, r := range string(out) {
		assert.NotContains(t, "\x1b\a\u202e\u009b\uFFFD", string(r))
	}
	var names []string
	for _, g := range report.Resources[0].Groups {
		names = append(names, g.Names...)
	}
	assert.ElementsMatch(t, []string{`ns/\x1b[2J\u202eevil\xff\\`, "ns/" + long, "a/b/c", `\n`, "ns/bell"}, unbroken(names))
	assert.Contains(t, report.Notes, "secrets: 2 values are under keys that no object of it can have; kube-apiserver reads them all the same when it lists")
	assert.NotContains(t, strings.Join(report.Hints, "\n"), `\x1b`, "nobody should paste that")
}

// unbroken spells the one name of the test that is a line break as \n.
func unbroken(names []string) []string {
	for i := range names {
		if names[i] == `\x0a` {
			names[i] = `\n`
		}
	}
	return names
}

func TestNothingOfKeysOrValuesIsInAReport(t *testing.T) {
	t.Parallel()
	o := files(t, cluster(t), configuration("secrets", "new", "old"))
	o.Decrypt, o.Names = true, census.AllNames
	out, err := json.Marshal(assessed(t, o))
	require.NoError(t, err)
	for _, secret := range []string{"aHVudGVyMg", "password", base64.StdEncoding.EncodeToString(secretOf("new")), string(secretOf("new"))} {
		assert.NotContains(t, string(out), secret)
	}
}

func TestWhatCanNotBeVerifiedIsAnError(t *testing.T) {
	t.Parallel()
	good := configuration("secrets", "new")
	tests := map[string]struct {
		change  func(t *testing.T, o *Offline)
		message string
		hint    string
	}{
		"no such file":       {func(_ *testing.T, o *Offline) { o.File += "x" }, "no such file or directory", ""},
		"no such config":     {func(_ *testing.T, o *Offline) { o.Config += "x" }, "no such file or directory", ""},
		"another prefix":     {func(_ *testing.T, o *Offline) { o.Prefix = "/kubernetes.io" }, "has no key under /kubernetes.io/", "--etcd-prefix names"},
		"keys are lacking":   {func(_ *testing.T, o *Offline) { o.Config, o.Decrypt = "", true }, "to open values, the keys are needed: --config", ""},
		"an odd resource":    {func(_ *testing.T, o *Offline) { o.Resources = []string{"Secrets!"} }, "is not the name of a resource", ""},
		"an odd wildcard":    {func(_ *testing.T, o *Offline) { o.Resources = []string{"*"} }, `resource "*"`, ""},
		"an altered file":    {flip, snapshot.ErrAltered.Error(), "--accept-altered reads it"},
		"something else":     {func(t *testing.T, o *Offline) { write(t, o.File, strings.Repeat("x", 8192)) }, snapshot.ErrForeign.Error(), "etcdctl snapshot save"},
		"a config that lies": {func(t *testing.T, o *Offline) { write(t, o.Config, strings.Replace(good, "secret: ", "secret: !", 1)) }, "see line 8", ""},
		"a large config":     {func(t *testing.T, o *Offline) { write(t, o.Config, strings.Repeat("#", 2<<20)) }, "at most 1048576 are read", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := files(t, cluster(t), good)
			tt.change(t, &o)
			_, err := o.Run(t.Context())
			require.ErrorContains(t, err, tt.message)
			assert.NotContains(t, err.Error(), base64.StdEncoding.EncodeToString(secretOf("new")))
			assert.Contains(t, hint.Render(err), tt.hint)
		})
	}
}

func TestAnAlteredFileIsReadIfThatIsWanted(t *testing.T) {
	t.Parallel()
	o := files(t, cluster(t), "")
	flip(t, &o)
	o.AcceptAltered = true
	report := assessed(t, o)
	assert.Equal(t, "Altered", report.Source.Hash)
	assert.Contains(t, report.Notes[0], "the hash at the end of the file does not fit")
}

func TestADatabaseFileHasNoHash(t *testing.T) {
	t.Parallel()
	o := files(t, nil, "")
	require.NoError(t, os.WriteFile(o.File, snapshottest.Database(t, cluster(t)), 0o600))
	report := assessed(t, o)
	assert.Equal(t, "Absent", report.Source.Hash)
	assert.Contains(t, report.Notes[0], "the file has no hash")
}

func TestAnInterruptEndsIt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := files(t, cluster(t), "").Run(ctx)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestAFileOfTooManyResourcesIsRefused(t *testing.T) {
	t.Parallel()
	values := map[string]string{}
	for i := range maxResources + 1 {
		values[fmt.Sprintf("/registry/example.com/w%d/ns/a", i)] = object
	}
	o := files(t, values, "")
	_, err := o.Run(t.Context())
	require.ErrorContains(t, err, "the file has objects of more than 4096 resources")
	o.Resources = []string{"w1.example.com"}
	assert.Equal(t, int64(1), assessed(t, o).Objects)
}

// flip changes one byte of the hash.
func flip(t *testing.T, o *Offline) {
	t.Helper()
	data, err := os.ReadFile(o.File)
	require.NoError(t, err)
	data[len(data)-1] ^= 1
	write(t, o.File, string(data))
}

func write(t *testing.T, path, data string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(data), 0o600))
}

// Values of 1 KiB, counted and opened, as one would see with a backup.
func BenchmarkOffline(b *testing.B) {
	const count = 20_000
	values := map[string]string{}
	for i := range count {
		path := fmt.Sprintf("/registry/secrets/ns-%d/name-%d", i%100, i)
		values[path] = sealed(b, "new", path, object[:len(object)-1]+strings.Repeat(" ", 1000)+"}")
	}
	counted := files(b, values, configuration("secrets", "new"))
	opened := counted
	opened.Decrypt = true
	for name, o := range map[string]Offline{"counted": counted, "opened": opened} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := o.Run(b.Context())
				require.NoError(b, err)
				require.Equal(b, int64(count), r.Census.Tallies[0].Groups[0].Objects)
			}
			b.ReportMetric(float64(count)*float64(b.N)/b.Elapsed().Seconds(), "values/s")
		})
	}
}
