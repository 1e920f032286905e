// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"regexp"
	"strconv"
	"strings"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Target are the flags by which the user has named the cluster and themselves, such as " --context prod", ready to stand in a
// command. It is empty where the kubeconfig alone says so: then it does so for the next command as well.
type Target string

// TargetOf is what the flags say. A token is never repeated: who gave one gives it again.
func TargetOf(f *genericclioptions.ConfigFlags) Target {
	if f == nil {
		return ""
	}
	var b strings.Builder
	add := func(flag string, value *string) {
		if value != nil && *value != "" {
			b.WriteString(" --" + flag + " " + quoted(*value))
		}
	}
	add("kubeconfig", f.KubeConfig)
	add("context", f.Context)
	add("cluster", f.ClusterName)
	add("user", f.AuthInfoName)
	add("server", f.APIServer)
	add("tls-server-name", f.TLSServerName)
	add("certificate-authority", f.CAFile)
	add("client-certificate", f.CertFile)
	add("client-key", f.KeyFile)
	add("as", f.Impersonate)
	add("as-uid", f.ImpersonateUID)
	for _, list := range []struct {
		flag   string
		values *[]string
	}{{"as-group", f.ImpersonateGroup}, {"as-user-extra", f.ImpersonateUserExtra}} {
		if list.values == nil {
			continue
		}
		for i := range *list.values {
			add(list.flag, &(*list.values)[i])
		}
	}
	if f.Insecure != nil && *f.Insecure {
		b.WriteString(" --insecure-skip-tls-verify=" + strconv.FormatBool(true))
	}
	return Target(b.String())
}

// plainWord is what a shell takes as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quoted is a value as a shell takes it.
func quoted(value string) string {
	if plainWord.MatchString(value) {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// command is where a command begins: kubectl, or the plugin, and the first word or flag behind it.
var command = regexp.MustCompile(`\bkubectl(?: ` + regexp.QuoteMeta(project.Plugin) + `)? [a-z-]`)

// Aim gives the commands in a text the flags that it takes for them to reach the same cluster.
func (t Target) Aim(text string) string {
	if t == "" {
		return text
	}
	return command.ReplaceAllStringFunc(text, func(found string) string {
		at := len(found) - len(" x")
		return found[:at] + string(t) + found[at:]
	})
}

// AimAll is Aim of each text, in a list of its own.
func (t Target) AimAll(texts []string) []string {
	var aimed []string
	for _, text := range texts {
		aimed = append(aimed, t.Aim(text))
	}
	return aimed
}
