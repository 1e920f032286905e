// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package term

import (
	"runtime"

	"golang.org/x/term"
)

// LookupEnv looks up an environment variable, as os.LookupEnv does.
type LookupEnv func(name string) (string, bool)

// defaultWidth is assumed where a terminal does not tell its own.
const defaultWidth = 80

// descriptor is what a file has and a buffer has not.
type descriptor interface{ Fd() uintptr }

// IsTerminal tells whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(descriptor)
	return ok && term.IsTerminal(int(f.Fd()))
}

// IsSmartTerminal tells whether a stream is a terminal on which a line can be taken back and drawn again.
func IsSmartTerminal(stream any, lookupEnv LookupEnv) bool {
	return IsTerminal(stream) && understandsEscapes(runtime.GOOS, lookupEnv)
}

// understandsEscapes tells it from the environment. An old Windows console says nothing about itself, the newer
// Windows Terminal does.
func understandsEscapes(goos string, lookupEnv LookupEnv) bool {
	kind, named := lookupEnv("TERM")
	if goos == "windows" && !named {
		_, newer := lookupEnv("WT_SESSION")
		return newer
	}
	return kind != "" && kind != "dumb"
}

// Width is the number of columns of a terminal, 80 where it is not known.
func Width(stream any) int {
	f, ok := stream.(descriptor)
	if !ok {
		return defaultWidth
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return defaultWidth
	}
	return width
}
