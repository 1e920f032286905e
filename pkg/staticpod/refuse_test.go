// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

type refusal struct {
	// replace are pairs of what is replaced in the small manifest, and by what.
	replace []string
	says    string
}

const port = "    - --secure-port=6443\n"

// What is not understood is neither read nor edited.
func TestRead_refuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]refusal{
		"a text that is empty":                      {[]string{small, ""}, "empty"},
		"a text of comments":                        {[]string{small, "# nothing\n"}, "empty"},
		"JSON":                                      {[]string{small, `{"apiVersion":"v1","kind":"Pod"}`}, "line 1: the text is JSON"},
		"a list":                                    {[]string{small, "- a\n"}, "line 1: the text is not a mapping"},
		"two documents":                             {[]string{"spec:", "---\nspec:"}, "more than one YAML document"},
		"a document after the last":                 {[]string{small, small + "---\na: b\n"}, "line 20: the text holds more than one"},
		"what is no YAML":                           {[]string{"kind: Pod", "kind: [Pod"}, "not one YAML document"},
		"bytes that are no UTF-8":                   {[]string{"kind: Pod", "kind: Pod # \xff"}, "not UTF-8"},
		"a byte order mark":                         {[]string{"apiVersion", "\ufeffapiVersion"}, "line 1: the text begins with a byte order mark"},
		"a MiB and more":                            {[]string{"kind: Pod", "kind: Pod #" + strings.Repeat("x", 1<<20)}, "at most 1048576 are read"},
		"CRLF on some lines alone":                  {[]string{"kind: Pod\n", "kind: Pod\r\n"}, "some lines end with LF"},
		"CR alone":                                  {[]string{"kind: Pod\n", "kind: Pod # \ra\n"}, "line 2: a line ends neither"},
		"a line break of Unicode":                   {[]string{"kind: Pod\n", "kind: Pod # \u2028\n"}, "line 2: a line ends neither"},
		"a tab that indents":                        {[]string{"  name: kube-apiserver\n  namespace", "  name: kube-apiserver\n\tnamespace"}, "line 5: is indented with a tab"},
		"a key given twice":                         {[]string{"kind: Pod", "kind: Pod\nkind: Pod"}, "line 3: a key is given twice"},
		"a key that is a list":                      {[]string{"kind: Pod", "kind: Pod\n? [a]\n: b"}, "line 3: a key is not a plain word"},
		"an anchor":                                 {[]string{"kind: Pod", "kind: &a Pod"}, "line 2: anchors"},
		"an alias":                                  {[]string{"kind: Pod", "kind: &a Pod\nx: *a"}, "anchors"},
		"a merge":                                   {[]string{"kind: Pod", "kind: Pod\n<<: {a: b}"}, "line 3: anchors"},
		"a tag":                                     {[]string{"kind: Pod", "kind: !!str Pod"}, "line 2: tags"},
		"another kind":                              {[]string{"kind: Pod", "kind: Job"}, "not a v1 Pod"},
		"another version":                           {[]string{"apiVersion: v1", "apiVersion: v2"}, "not a v1 Pod"},
		"a pod without a name":                      {[]string{"  name: kube-apiserver\n  namespace", "  namespace"}, "line 4: the pod has no name"},
		"a pod without metadata":                    {[]string{"metadata:\n  name: kube-apiserver\n  namespace: kube-system\n", ""}, "the pod has no name"},
		"a pod without a spec":                      {[]string{"spec:", "spic:"}, "line 1: the pod has no spec"},
		"a spec that is text":                       {[]string{small, "apiVersion: v1\nkind: Pod\nspec: text\n"}, "line 3: spec is not a mapping"},
		"no container of the name":                  {[]string{"    name: kube-apiserver", "    name: apiserver"}, "line 7: the pod has no container kube-apiserver"},
		"two containers of the name":                {[]string{"  hostNetwork", "  - name: kube-apiserver\n  hostNetwork"}, "line 15: a second container"},
		"a container that is text":                  {[]string{"  hostNetwork", "  - text\n  hostNetwork"}, "line 15: an item of containers is not a mapping"},
		"no command":                                {[]string{"command:\n    - kube-apiserver\n" + port, "image: x\n"}, "line 8: the container has no command"},
		"an empty command":                          {[]string{"command:\n    - kube-apiserver\n" + port, "command: []\n"}, "has no command"},
		"a shell":                                   {[]string{"    - kube-apiserver\n", "    - /bin/sh\n    - -c\n    - exec kube-apiserver\n"}, "line 9: the container does not run kube-apiserver directly"},
		"flags alone":                               {[]string{"    - kube-apiserver\n", ""}, "line 9: the container does not run kube-apiserver directly"},
		"args beside the command":                   {[]string{port, port + "    args:\n    - --v=2\n"}, "line 12: the container has args"},
		"args in place of the command":              {[]string{"command:", "args:"}, "line 9: the container has args"},
		"a word that is a number":                   {[]string{port, "    - --secure-port\n    - 6443\n"}, "line 11: a word of the command is not text"},
		"a word that is a list":                     {[]string{port, "    - [a]\n"}, "line 10: a word of the command is not text"},
		"a word that is no flag":                    {[]string{port, "    - --a=b\n    - c\n"}, "line 11: a word of the command is neither"},
		"a short flag that does not exist":          {[]string{port, "    - -encryption-provider-config=/a/b\n"}, "line 10: a word of the command is neither"},
		"the end of the flags":                      {[]string{port, "    - --\n" + port}, "line 10: a word of the command is neither"},
		"a flag given twice":                        {[]string{port, "    - --encryption-provider-config=/a/b\n    - --encryption-provider-config=/a/b\n"}, "line 11: the flag --encryption-provider-config is given twice"},
		"a flag given twice with underscores":       {[]string{port, "    - --encryption-provider-config=/a/b\n    - --encryption_provider-config=/a/b\n"}, "line 11: the flag --encryption-provider-config is given twice"},
		"a flag given twice as two words":           {[]string{port, "    - --encryption-provider-config=/a/b\n    - --encryption-provider-config\n    - /a/b\n"}, "line 11: the flag --encryption-provider-config is given twice"},
		"a port given twice":                        {[]string{port, port + port}, "line 11: the flag --secure-port is given twice"},
		"a flag without its value":                  {[]string{port, "    - --encryption-provider-config\n" + port}, "line 10: the flag --encryption-provider-config has no value"},
		"a flag from the environment":               {[]string{port, "    - --encryption-provider-config=$(CONFIG)\n"}, "line 10: the flag --encryption-provider-config takes its value from the environment"},
		"automatic reload that is neither":          {[]string{port, "    - --encryption-provider-config-automatic-reload=maybe\n"}, "line 10: the flag --encryption-provider-config-automatic-reload is neither"},
		"automatic reload with a word of its own":   {[]string{port, "    - --encryption-provider-config-automatic-reload\n    - \"true\"\n"}, "line 10: the flag --encryption-provider-config-automatic-reload is neither"},
		"a port that is no number":                  {[]string{"6443", "https"}, "line 10: the flag --secure-port is not a port"},
		"a port that is none":                       {[]string{"6443", "65536"}, "line 10: the flag --secure-port is not a port"},
		"mounts that are text":                      {[]string{"    volumeMounts:\n    - mountPath: /etc/kubernetes/pki\n      name: k8s-certs\n", "    volumeMounts: text\n"}, "line 12: volumeMounts is not a list"},
		"a mount without a name":                    {[]string{"pki\n      name: k8s-certs", "pki"}, "line 13: a mount has no name"},
		"a mount at a relative path":                {[]string{"mountPath: /etc", "mountPath: etc"}, "line 13: a mount has no name or no absolute path"},
		"a mount path that is a list":               {[]string{"mountPath: /etc/kubernetes/pki", "mountPath: [a]"}, "line 13: mountPath is not text"},
		"two volumes of the same name":              {[]string{"  volumes:\n", "  volumes:\n  - emptyDir: {}\n    name: k8s-certs\n"}, "line 19: two volumes have the same name"},
		"a volume without a name":                   {[]string{"pki\n    name: k8s-certs", "pki"}, "line 17: a volume has no name"},
		"a volume's path that is a number":          {[]string{"path: /etc/kubernetes/pki\n    name", "path: 5\n    name"}, "line 18: path is not text"},
		"a hostPath that is text":                   {[]string{"hostPath:\n      path: /etc/kubernetes/pki", "hostPath: /etc/kubernetes/pki"}, "line 17: hostPath is not a mapping"},
		"a user that is a name":                     {[]string{"  hostNetwork: true", "  securityContext: {runAsUser: joe}"}, "line 15: runAsUser is not a number"},
		"a security context that is text":           {[]string{"  hostNetwork: true", "  securityContext: text"}, "line 15: securityContext is not a mapping"},
		"a name that is a number":                   {[]string{"  name: kube-apiserver\n  namespace", "  name: 5\n  namespace"}, "line 4: name is not text"},
		"a container's name that is a list":         {[]string{"    name: kube-apiserver", "    name: [a]"}, "line 11: name is not text"},
		"metadata that is text":                     {[]string{"metadata:\n  name: kube-apiserver\n  namespace: kube-system\n", "metadata: text\n"}, "line 3: metadata is not a mapping"},
		"a namespace that is a mapping":             {[]string{"namespace: kube-system", "namespace: {}"}, "line 5: namespace is not text"},
		"containers that are a mapping":             {[]string{small, "apiVersion: v1\nkind: Pod\nspec:\n  containers: {}\n"}, "line 4: containers is not a list"},
		"a command that is text":                    {[]string{"command:\n    - kube-apiserver\n" + port, "command: kube-apiserver\n"}, "line 8: command is not a list"},
		"args that are text":                        {[]string{port, port + "    args: text\n"}, "line 11: args is not a list"},
		"volumes that are text":                     {[]string{"volumes:\n  - hostPath:\n      path: /etc/kubernetes/pki\n    name: k8s-certs\n", "volumes: text\n"}, "line 16: volumes is not a list"},
		"a volume's name that is a list":            {[]string{"pki\n    name: k8s-certs", "pki\n    name: []"}, "line 19: name is not text"},
		"a value of another flag, which stays here": {[]string{port, "    - S3CRET\n"}, "line 10: a word of the command is neither"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			manifest := []byte(strings.NewReplacer(row.replace...).Replace(small))
			_, err := staticpod.Read(manifest)
			requireRefusal(t, err, row.says)
			_, enableErr := staticpod.Enable(manifest, defaultFile)
			assert.Equal(t, err, enableErr)
			_, disableErr := staticpod.Disable(manifest)
			assert.Equal(t, err, disableErr)
		})
	}
}

func TestEnable_refuses(t *testing.T) {
	t.Parallel()
	mounts, volumes := "    volumeMounts:\n", "  volumes:\n"
	for name, row := range map[string]refusal{
		"another user for the container":             {[]string{"    volumeMounts:", "    securityContext: {runAsUser: 1}\n    volumeMounts:"}, "does not run as root"},
		"another user for the pod":                   {[]string{"  hostNetwork: true", "  securityContext: {runAsUser: 1}"}, "does not run as root"},
		"a command in flow style":                    {[]string{"command:\n    - kube-apiserver\n" + port, "command: [kube-apiserver]\n"}, "line 8: a list in flow style"},
		"mounts in flow style":                       {[]string{mounts + "    - mountPath: /etc/kubernetes/pki\n      name: k8s-certs\n", "    volumeMounts: [{mountPath: /a, name: k8s-certs}]\n"}, "line 12: a list in flow style"},
		"volumes in flow style":                      {[]string{volumes + "  - hostPath:\n      path: /etc/kubernetes/pki\n    name: k8s-certs\n", "  volumes: [{name: k8s-certs}]\n"}, "line 16: a list in flow style"},
		"no volumes, written as a list":              {[]string{volumes + "  - hostPath:\n      path: /etc/kubernetes/pki\n    name: k8s-certs\n", "  volumes: []\n"}, "line 16: an empty volumes is not edited"},
		"no volumes, but their key":                  {[]string{volumes + "  - hostPath:\n      path: /etc/kubernetes/pki\n    name: k8s-certs\n", volumes}, "an empty volumes is not edited"},
		"no mounts, written as a list":               {[]string{mounts + "    - mountPath: /etc/kubernetes/pki\n      name: k8s-certs\n", "    volumeMounts: []\n"}, "line 12: an empty volumeMounts is not edited"},
		"dashes on lines of their own":               {[]string{"    - kube-apiserver\n", "    -\n      kube-apiserver\n"}, "begins below its dash"},
		"another file than the one asked for":        {[]string{port, "    - --encryption-provider-config=/etc/kubernetes/pki/c\n"}, "line 10: --encryption-provider-config names another file"},
		"a configuration outside every mount":        {[]string{port, "    - --encryption-provider-config=" + defaultFile + "\n"}, "line 10: the file that --encryption-provider-config names is outside every mount"},
		"a mount of the file alone":                  {[]string{port, "    - --encryption-provider-config=/c\n", "mountPath: /etc/kubernetes/pki", "mountPath: /c", "path: /etc/kubernetes/pki", "path: " + defaultFile}, "line 10: the single file"},
		"a file mounted at the path":                 {[]string{"mountPath: /etc/kubernetes/pki", "mountPath: " + defaultFile}, "line 13: the configuration's path is mounted as a single file"},
		"another folder mounted at the path":         {[]string{"mountPath: /etc/kubernetes/pki", "mountPath: /etc/kubernetes/encryption"}, "line 13: something else is mounted where"},
		"another folder mounted above the path":      {[]string{"mountPath: /etc/kubernetes/pki", "mountPath: /etc"}, "line 13: something else is mounted where"},
		"a volume of another kind at the path":       {[]string{"mountPath: /etc/kubernetes/pki", "mountPath: /etc/kubernetes", "  - hostPath:\n      path: /etc/kubernetes/pki", "  - emptyDir: {}"}, "line 13: something else is mounted where"},
		"something mounted below the folder":         {[]string{"mountPath: /etc/kubernetes/pki", "mountPath: /etc/kubernetes/encryption/sub"}, "line 13: something else is mounted below"},
		"a volume of the name":                       {[]string{"k8s-certs", "encryption-provider-config"}, "there is a volume encryption-provider-config already"},
		"another flag into the folder":               {[]string{port, port + "    - --audit-policy-file=/etc/kubernetes/encryption/audit.yaml\n"}, "could not be taken back byte for byte"},
		"a flag into what the environment says":      {[]string{port, port + "    - --audit-policy-file=$(DIR)/audit.yaml\n"}, "could not be taken back byte for byte"},
		"a word that ends with blank lines it keeps": {[]string{port, "    - |+\n      --a=2\n\n"}, "line 9: nothing can be changed here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := staticpod.Enable([]byte(strings.NewReplacer(row.replace...).Replace(small)), defaultFile)
			requireRefusal(t, err, row.says)
		})
	}
}

func TestEnable_refuses_to_put_the_file(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ file, says string }{
		"nowhere":                      {"", "must be an absolute path"},
		"at a relative path":           {"etc/enc/config.yaml", "must be an absolute path"},
		"in the root folder":           {"/config.yaml", "must be an absolute path"},
		"at a path with dots":          {"/etc/enc/../config.yaml", "must be an absolute path"},
		"at a path with two slashes":   {"/etc//config.yaml", "must be an absolute path"},
		"at a folder":                  {"/etc/enc/", "must be an absolute path"},
		"at a path with a blank":       {"/etc/enc/my config", "must be an absolute path"},
		"at a path with a line break":  {"/etc/enc/config\n", "must be an absolute path"},
		"at a path with a variable":    {"/etc/enc/$(X)", "must be an absolute path"},
		"at a path with a comment":     {"/etc/enc/a #b", "must be an absolute path"},
		"at a path that is too long":   {"/etc/" + strings.Repeat("x", 255), "must be an absolute path"},
		"among the static pods":        {"/etc/kubernetes/manifests/config.yaml", "the kubelet takes every file for a pod"},
		"below the static pods":        {"/etc/kubernetes/manifests/sub/config.yaml", "the kubelet takes every file for a pod"},
		"in /etc":                      {"/etc/config.yaml", "in a folder of its own"},
		"beside kubeadm's kubeconfigs": {"/etc/kubernetes/config.yaml", "in a folder of its own"},
		"in /usr":                      {"/usr/config.yaml", "in a folder of its own"},
		"in /proc":                     {"/proc/1/config.yaml", "in a folder of its own"},
		"in /dev":                      {"/dev/shm/config.yaml", "in a folder of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := staticpod.Enable([]byte(small), row.file)
			requireRefusal(t, err, row.says)
		})
	}
}

func TestDisable_keeps_a_mount_that(t *testing.T) {
	t.Parallel()
	enabled, err := staticpod.Enable([]byte(small), defaultFile)
	require.NoError(t, err)
	const dir = "/etc/kubernetes/encryption"
	for name, replace := range map[string][]string{
		"another flag points into":        {port, port + "    - --audit-policy-file=" + dir + "/audit.yaml\n"},
		"another flag points at":          {port, port + "    - --cert-dir=" + dir + "\n"},
		"a socket's address points into":  {port, port + "    - --x=unix://" + dir + "/s,y\n"},
		"the environment points into":     {"    name: kube-apiserver", "    env: [{name: D, value: " + dir + "}]\n    name: kube-apiserver"},
		"an init container uses":          {"  hostNetwork", "  initContainers:\n  - volumeMounts: [{name: encryption-provider-config, mountPath: /e}]\n  hostNetwork"},
		"the container uses twice":        {"    volumeMounts:\n", "    volumeMounts:\n    - mountPath: /twice\n      name: encryption-provider-config\n"},
		"holds the folder of the file":    {dir + "/config.yaml", dir + "/sub/config.yaml"},
		"has a variable pointing at it":   {port, port + "    - --x=$(DIR)/y\n"},
		"is no folder of the node's disk": {"hostPath:\n      path: " + dir + "\n      type: DirectoryOrCreate", "emptyDir: {}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.NewReplacer(replace...).Replace(string(enabled))
			require.NotEqual(t, string(enabled), changed)
			disabled, err := staticpod.Disable([]byte(changed))
			require.NoError(t, err)
			assert.Contains(t, string(disabled), "    - mountPath: "+dir+"\n")
			assert.NotContains(t, string(disabled), "--encryption")
		})
	}
}

func TestDisable_takes_a_mount_of_the_file_alone(t *testing.T) {
	t.Parallel()
	enabled, err := staticpod.Enable([]byte(small), defaultFile)
	require.NoError(t, err)
	single := strings.NewReplacer("mountPath: /etc/kubernetes/encryption", "mountPath: "+defaultFile,
		"path: /etc/kubernetes/encryption", "path: "+defaultFile).Replace(string(enabled))
	disabled, err := staticpod.Disable([]byte(single))
	require.NoError(t, err)
	assert.Equal(t, small, string(disabled))
}

func TestDisable_refuses_what_shares_its_line(t *testing.T) {
	t.Parallel()
	const top = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n"
	for name, manifest := range map[string]string{
		"a flag in flow style": top + "  - command: [kube-apiserver, --encryption-provider-config=/a/b]\n    name: kube-apiserver\n",
		"the only mount":       top + "  - volumeMounts:\n    - {mountPath: /a, name: a}\n    command:\n    - kube-apiserver\n    - --encryption-provider-config=/a/b\n    name: kube-apiserver\n  volumes: [{name: a, hostPath: {path: /a}}, {name: b}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := staticpod.Disable([]byte(manifest))
			require.ErrorIs(t, err, staticpod.ErrRefused)
		})
	}
}

func requireRefusal(t *testing.T, err error, says string) {
	t.Helper()
	require.ErrorIs(t, err, staticpod.ErrRefused)
	assert.ErrorContains(t, err, says)
	assert.NotContains(t, err.Error(), "S3CRET")
}
