// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version tells which build this is.
package version

import (
	"runtime/debug"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Set by the linker (-X), which sets variables only. Empty in a build by plain go build.
//
//nolint:gochecknoglobals // see above
var (
	version     string
	commit      string
	agentDigest string
)

// Info is what is known of a build.
type Info struct {
	// Version such as "v0.1.0"; "dev" if it is not known.
	Version string
	// Commit is the revision it was built from, if it is known.
	Commit string
	// AgentImage is the agent's image by digest; without a digest in a build that does not know it.
	AgentImage string
}

// Get tells what the linker was told, or else what the Go toolchain recorded.
func Get() Info {
	info := Info{Version: version, Commit: commit, AgentImage: project.AgentImage}
	if agentDigest != "" {
		info.AgentImage += "@" + agentDigest
	}
	build, ok := debug.ReadBuildInfo()
	if info.Version == "" && ok && build.Main.Version != "(devel)" {
		info.Version = build.Main.Version
	}
	if info.Version == "" {
		info.Version = "dev"
	}
	if info.Commit != "" || !ok {
		return info
	}
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" {
			info.Commit = s.Value
		}
	}
	return info
}
