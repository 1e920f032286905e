// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package catalogue

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../../.."

// named are the functions and the texts of the tests of a package.
func named(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	require.NoError(t, err)
	names := map[string]bool{}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				names[n.Name.Name] = true
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					names[text] = true
				}
			}
			return true
		})
	}
	return names
}

func TestEveryTestThatIsNamedExists(t *testing.T) {
	packages := map[string]map[string]bool{}
	for _, row := range Rows() {
		for _, test := range row.Tests {
			if packages[test.Package] == nil {
				packages[test.Package] = named(t, test.Package)
			}
			assert.True(t, packages[test.Package][test.Name], "row %d: %s has %q", row.Number, test.Package, test.Name)
		}
	}
}

func TestEveryCaseIsTriedWhereTheCatalogueSays(t *testing.T) {
	tests := map[Suite]map[string]bool{Bare: named(t, "test/integration"), Node: named(t, "test/e2e")}
	var names []string
	for _, c := range Cases() {
		assert.True(t, tests[c.Suite][c.Name], "%s tries %q", c.Suite, c.Name)
		assert.NotEmpty(t, c.Rows, c.Name)
		assert.NotContains(t, names, c.Name, "names are unique")
		names = append(names, c.Name)
	}
}

func TestEveryRowIsTriedOrSaysWhyNot(t *testing.T) {
	tried := map[int]bool{}
	for _, c := range Cases() {
		for _, number := range c.Rows {
			tried[number] = true
		}
	}
	for i, row := range Rows() {
		assert.Equal(t, i+1, row.Number, "rows have their numbers")
		assert.NotEmpty(t, row.Fault)
		assert.True(t, tried[row.Number] || len(row.Tests) > 0 || row.Open != "", "row %d, %s", row.Number, row.Fault)
		delete(tried, row.Number)
	}
	assert.Empty(t, tried, "rows that cases name and that are not there")
}

func TestTheShortSetIsAPartOfTheWhole(t *testing.T) {
	for _, s := range []Suite{Bare, Node} {
		short, full := Of(s, false), Of(s, true)
		assert.NotEmpty(t, short)
		assert.Greater(t, len(full), len(short))
		for _, c := range short {
			assert.True(t, Has(s, c.Name))
			assert.True(t, slices.ContainsFunc(full, func(f Case) bool { return f.Name == c.Name }))
		}
	}
	assert.False(t, Has(Bare, "nothing"))
}
