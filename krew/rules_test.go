// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package krew_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// manifest is a krew manifest.
type manifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Version          string     `json:"version"`
		Homepage         string     `json:"homepage"`
		ShortDescription string     `json:"shortDescription"`
		Description      string     `json:"description"`
		Caveats          string     `json:"caveats"`
		Platforms        []platform `json:"platforms"`
	} `json:"spec"`
}

// platform is one archive for one operating system and processor.
type platform struct {
	URI      string `json:"uri"`
	SHA256   string `json:"sha256"`
	Bin      string `json:"bin"`
	Selector struct {
		MatchLabels struct {
			OS   string `json:"os"`
			Arch string `json:"arch"`
		} `json:"matchLabels"`
	} `json:"selector"`
	// Files is left out here, so that everything in the archive is installed, the license too.
	Files *[]any `json:"files,omitempty"`
}

var (
	pluginName = regexp.MustCompile(`^[\w-]+$`)
	device     = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])$`)
	version    = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
	archive    = regexp.MustCompile(`^https://\S+\.(zip|tar\.gz)$`)
	checksum   = regexp.MustCompile(`^[a-f0-9]{64}$`)
)

// supported are the platforms that krew installs on.
func supported() []string {
	return []string{
		"darwin/386", "darwin/amd64", "darwin/arm64",
		"linux/386", "linux/amd64", "linux/arm", "linux/arm64", "linux/ppc64le",
		"windows/386", "windows/amd64", "windows/arm64",
	}
}

// check holds a manifest against the rules that krew and the reviewers of its index have, and lists what breaks them
// (krew v0.5.0 internal/index/validation/validate.go and cmd/validate-krew-manifest/main.go).
func check(file string, data []byte) (manifest, []string) {
	var m manifest
	if err := yaml.UnmarshalStrict(data, &m); err != nil {
		return m, []string{err.Error()}
	}
	problems := checkHead(file, m)
	var seen []string
	for _, p := range m.Spec.Platforms {
		name := p.Selector.MatchLabels.OS + "/" + p.Selector.MatchLabels.Arch
		if slices.Contains(seen, name) {
			problems = append(problems, "platform "+name+" is there twice")
		}
		seen = append(seen, name)
		problems = append(problems, checkPlatform(name, p)...)
	}
	if len(seen) == 0 {
		problems = append(problems, "no platform")
	}
	return m, problems
}

func checkHead(file string, m manifest) []string {
	var problems []string
	require := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	name, short := m.Metadata.Name, m.Spec.ShortDescription
	require(m.APIVersion == "krew.googlecontainertools.github.com/v1alpha2", "apiVersion %q", m.APIVersion)
	require(m.Kind == "Plugin", "kind %q", m.Kind)
	require(pluginName.MatchString(name), "name %q", name)
	require(!device.MatchString(name), "name %q is a device of Windows", name)
	require(name == strings.TrimSuffix(file, path.Ext(file)), "name %q is not the file's, %q", name, file)
	require(version.MatchString(m.Spec.Version), "version %q", m.Spec.Version)
	require(short != "" && len(short) <= 50 && !strings.Contains(short, "\n"), "shortDescription %q", short)
	require(m.Spec.Homepage != "" && m.Spec.Description != "", "homepage or description is missing")
	for line := range strings.SplitSeq(m.Spec.Description+m.Spec.Caveats, "\n") {
		require(len(line) <= 80, "more than 80 columns: %q", line)
	}
	return problems
}

func checkPlatform(name string, p platform) []string {
	var problems []string
	require := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, name+": "+fmt.Sprintf(format, args...))
		}
	}
	require(slices.Contains(supported(), name), "is no platform that krew knows")
	require(archive.MatchString(p.URI), "uri %q", p.URI)
	require(checksum.MatchString(p.SHA256), "sha256 %q", p.SHA256)
	require(p.Files == nil || len(*p.Files) > 0, "files is empty: leave it out")
	windows := strings.HasPrefix(name, "windows/")
	require(p.Bin != "" && windows == strings.HasSuffix(p.Bin, ".exe"), "bin %q", p.Bin)
	return problems
}
