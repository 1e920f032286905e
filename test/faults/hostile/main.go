// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Command hostile takes the agent's place in a Job and says what no agent says, or what is not so. What it does is compiled in: the arguments and
// the environment of a Job are the plugin's.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// mode is set by the linker.
var mode string //nolint:gochecknoglobals // the linker sets no other

// terminal takes over a terminal that prints it: it clears the screen, sets the clipboard and the title, and writes backwards.
const terminal = "\x1b[2J\x1b]52;c;cm0gLXJmIC8=\x07\x1b]0;owned\x07\u202e\u009b31m\r"

func main() {
	if mode == "ends" {
		_ = os.WriteFile("/dev/termination-log", []byte(terminal+strings.Repeat("x", 1<<20)), 0o600)
		fmt.Fprintln(os.Stderr, terminal)
		os.Exit(1)
	}
	if mode == "lies" {
		if err := lie(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer(os.Stdout, lines.Bytes())
	}
}

// answer answers a request.
func answer(out io.Writer, request []byte) {
	switch mode {
	case "garbage":
		fmt.Fprintln(out, terminal+"this is not JSON")
	case "flood":
		const times, size = 100, 1 << 20
		for range times {
			fmt.Fprint(out, strings.Repeat("x", size))
		}
	case "error":
		var asked struct {
			Version int
			Op      string
		}
		_ = json.Unmarshal(request, &asked) // what it can't read it answers all the same
		_ = json.NewEncoder(out).Encode(map[string]any{
			"version": asked.Version, "op": asked.Op, "node": argument("--node="), "run": argument("--run="),
			"error": map[string]string{"code": terminal, "message": terminal + strings.Repeat("y", 1<<20)},
		})
	}
}

// argument is what a flag is set to.
func argument(flag string) string {
	for _, arg := range os.Args {
		if value, found := strings.CutPrefix(arg, flag); found {
			return value
		}
	}
	return ""
}
