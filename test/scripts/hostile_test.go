// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package scripts_test

import (
	"strings"
	"testing"
)

// hostileValues are what somebody who can write to etcd may put there to deceive whoever reads a report: names of the greatest
// length and longer, names and prefixes that work a terminal, forge a line or turn the direction of writing, keys that no object
// can have, and damaged values. What they hold is CANARY, which nothing may show.
func hostileValues(t *testing.T) map[string]string {
	t.Helper()
	sound := storedValues(t)
	const secrets = "/registry/secrets/"
	plain, gcm, cbc := `{"kind":"Secret","data":{"v":"CANARY"}}`, sound[secrets+"default/aesgcm"], sound[secrets+"default/aescbc"]
	return map[string]string{
		secrets + "default/" + strings.Repeat("n", 253):           plain,
		secrets + "default/" + strings.Repeat("long", 500):        plain,
		secrets + "default/\x1b[31mred\x1b[0m":                    plain,
		secrets + "default/\x1b]0;title\x07":                      plain,
		secrets + "default/x\r\nerror: forged":                    plain,
		secrets + "default/\u009b31mcsi":                          plain,
		secrets + "default/\u202egnol\u200b":                      plain,
		secrets + "default/\xff\xfe\xc0\x80":                      plain,
		secrets + "de\x1b[2Jfault/in-a-namespace":                 plain,
		secrets + "default/back\\slash":                           plain,
		secrets + "no-namespace":                                  plain,
		secrets + "a/b/c":                                         plain,
		"/registry/some\x1b[7mthing/a/b":                          plain,
		"/registry/\xff.example.com/widgets/a/b":                  plain,
		secrets + "default/of-a-key-that-works-the-terminal":      "k8s:enc:aesgcm:v1:\x1b[5mblink\x1b[0m:" + strings.Repeat("CANARY", 9),
		secrets + "default/of-a-key-that-is-no-text":              "k8s:enc:aesgcm:v1:\xff\xfe:" + strings.Repeat("CANARY", 9),
		secrets + "default/of-a-provider-that-works-the-terminal": "k8s:enc:\x1b[31m:v1:1:CANARY",
		secrets + "default/of-a-provider-that-nobody-knows":       "k8s:enc:quantum:v1:1:CANARY",
		secrets + "default/aesgcm":                                gcm,
		secrets + "default/aesgcm-cut-off-in-its-prefix":          gcm[:len("k8s:enc:aesg")],
		secrets + "default/aesgcm-cut-off-in-its-nonce":           gcm[:len("k8s:enc:aesgcm:v1:1:")+5],
		secrets + "default/aesgcm-cut-off-in-its-ciphertext":      gcm[:len(gcm)-1],
		secrets + "default/aesgcm-altered":                        gcm[:len(gcm)-1] + string(gcm[len(gcm)-1]^1),
		secrets + "default/aescbc":                                cbc,
		secrets + "default/aescbc-of-which-16-bytes-are-left":     cbc[:len("k8s:enc:aescbc:v1:2026-11-21:")+16],
		secrets + "default/empty":                                 "",
		secrets + "default/says-nothing":                          "CANARY",
		secrets + "default/protobuf-cut-off":                      "k8s\x00\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x7fCANARY",
	}
}
