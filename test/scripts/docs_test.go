// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package scripts_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

const (
	top    = "../.."
	readme = top + "/README.md"
)

func newRoot() *cobra.Command {
	return cmd.NewRoot(genericiooptions.NewTestIOStreamsDiscard(), func(string) (string, bool) { return "", false })
}

// TestTheReadmesFlagTablesAreTheCodes compares the tables of README.md with the flags; -update writes them anew.
func TestTheReadmesFlagTablesAreTheCodes(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(readme)
	require.NoError(t, err)
	text := string(data)
	for _, verb := range []string{"status", "enable", "rotate", "migrate", "verify", "disable", "repair", "history", "rollback", "prune", "join", "version"} {
		command, _, err := newRoot().Find([]string{verb})
		require.NoError(t, err)
		text = replaceBlock(t, text, verb, flagTable(command.LocalNonPersistentFlags()))
	}
	if *update {
		require.NoError(t, os.WriteFile(readme, []byte(text), 0o644))
		return
	}
	assert.Equal(t, text, string(data), "run: go test ./test/scripts -update")
}

// replaceBlock puts a table between its two marks.
func replaceBlock(t *testing.T, text, verb, table string) string {
	t.Helper()
	begin, end := "<!-- flags of "+verb+" -->\n", "<!-- end -->\n"
	before, rest, found := strings.Cut(text, begin)
	require.True(t, found, "README.md has no table of the flags of %s", verb)
	_, after, found := strings.Cut(rest, end)
	require.True(t, found, "README.md does not end the table of the flags of %s", verb)
	return before + begin + table + end + after
}

func flagTable(flags *pflag.FlagSet) string {
	var b strings.Builder
	b.WriteString("| flag | default | |\n|---|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, defaultOf(f), strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
	return b.String()
}

// defaultOf leaves out what says nothing: empty, and false.
func defaultOf(f *pflag.Flag) string {
	switch {
	case f.Name == "agent-image":
		return "compiled in" // by digest, another one in each build
	case slices.Contains([]string{"", "false", "[]"}, f.DefValue):
		return ""
	}
	return "`" + f.DefValue + "`"
}

// TestEveryCommandInTheDocumentsExists parses each line of the documents that calls the program.
func TestEveryCommandInTheDocumentsExists(t *testing.T) {
	t.Parallel()
	var found int
	for _, file := range documents(t) {
		for number, line := range strings.Split(read(t, file), "\n") {
			words := commandLine(line)
			if words == nil {
				continue
			}
			found++
			command, rest, err := newRoot().Find(words)
			require.NoError(t, err, "%s:%d", file, number+1)
			require.NoError(t, command.ParseFlags(rest), "%s:%d", file, number+1)
			assert.Empty(t, command.Flags().Args(), "%s:%d", file, number+1)
		}
	}
	assert.Greater(t, found, 20, "command lines in the documents")
}

// commandLine are the words behind the program's name, up to what belongs to the shell; nil if the line is no call.
func commandLine(line string) []string {
	rest, isCall := strings.CutPrefix(strings.TrimPrefix(strings.TrimSpace(line), "$ "), project.Command+" ")
	if !isCall {
		return nil
	}
	words := strings.Fields(rest)
	if end := slices.IndexFunc(words, func(w string) bool { return slices.Contains([]string{"|", ">", "<", "&&", "||", "#", ";", "2>&1"}, w) }); end >= 0 {
		words = words[:end]
	}
	return words
}

var (
	makeTarget = regexp.MustCompile("(?m)(?:`|^ *)make ([a-z][a-z0-9-]*)")
	mdLink     = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
)

// TestEveryMakeTargetInTheDocumentsExists looks for each target in the Makefile.
func TestEveryMakeTargetInTheDocumentsExists(t *testing.T) {
	t.Parallel()
	makefile := read(t, filepath.Join(top, "Makefile"))
	for _, file := range documents(t) {
		for _, m := range makeTarget.FindAllStringSubmatch(read(t, file), -1) {
			assert.Regexp(t, `(?m)^`+regexp.QuoteMeta(m[1])+`:`, makefile, "%s calls make %s", file, m[1])
		}
	}
}

// TestEveryLinkInTheDocumentsLeadsSomewhere follows the relative ones.
func TestEveryLinkInTheDocumentsLeadsSomewhere(t *testing.T) {
	t.Parallel()
	for _, file := range documents(t) {
		for _, m := range mdLink.FindAllStringSubmatch(read(t, file), -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(file), m[1]))
			assert.NotErrorIs(t, err, fs.ErrNotExist, "link in %s", file)
		}
	}
}

func documents(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "krew/*.md", "plugins/*.md", "test/*/*.md"} {
		some, err := filepath.Glob(filepath.Join(top, pattern))
		require.NoError(t, err)
		files = append(files, some...)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(data)
}
