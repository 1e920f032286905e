// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package scripts_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const claimsFile = "../../SECURITY.md"

// claim is one row of the table of SECURITY.md.
type claim struct {
	text string
	// tests are named by the folder of their package and their function: pkg/seal.TestOpen.
	tests []string
}

var testName = regexp.MustCompile("`([a-z0-9/-]+)\\.([A-Za-z0-9_]+)`")

// claims reads the table below the heading "Claims and their tests".
func claims(t *testing.T) (list []claim) {
	t.Helper()
	data, err := os.ReadFile(claimsFile)
	require.NoError(t, err)
	_, section, found := strings.Cut(string(data), "\n## Claims and their tests\n")
	require.True(t, found, "%s has a table of claims", claimsFile)
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || strings.TrimSpace(cells[0]) == "claim" {
			continue
		}
		require.Len(t, cells, 2, line)
		c := claim{text: strings.TrimSpace(cells[0])}
		for _, name := range testName.FindAllStringSubmatch(cells[1], -1) {
			c.tests = append(c.tests, name[1]+"."+name[2])
		}
		list = append(list, c)
	}
	require.NotEmpty(t, list)
	return list
}

// TestEachClaimOfSecurityHasATest: a claim without a test is a hope, and a test that is gone proves nothing.
func TestEachClaimOfSecurityHasATest(t *testing.T) {
	t.Parallel()
	known, seen := map[string]map[string]bool{}, map[string]bool{}
	for _, c := range claims(t) {
		assert.NotEmpty(t, c.tests, "no test is named for the claim: %s", c.text)
		assert.False(t, seen[c.text], "the claim is made twice: %s", c.text)
		seen[c.text] = true
		for _, name := range c.tests {
			folder, function, _ := strings.Cut(name, ".")
			if known[folder] == nil {
				known[folder] = testFunctions(t, filepath.Join("../..", folder))
			}
			assert.True(t, known[folder][function], "there is no %s, named for the claim: %s", name, c.text)
		}
	}
}

// testFunctions are those of a folder's tests: tests, and what the end-to-end tests are made of, whatever their build
// tags are.
func testFunctions(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	functions := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declaration := range parsed.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok {
				functions[f.Name.Name] = true
			}
		}
	}
	return functions
}
