// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// env is an environment of these variables alone.
func env(variables map[string]string) LookupEnv {
	return func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

func TestIsTerminal_is_false_for_what_is_no_terminal(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, file.Close()) }()
	for name, stream := range map[string]any{"a buffer": &bytes.Buffer{}, "a file": file, "nothing": nil} {
		assert.False(t, IsTerminal(stream), name)
		assert.False(t, IsSmartTerminal(stream, env(map[string]string{"TERM": "xterm"})), name)
		assert.Equal(t, defaultWidth, Width(stream), name)
	}
}

func TestUnderstandsEscapes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		goos string
		env  map[string]string
		want bool
	}{
		"a terminal with a name":                    {"linux", map[string]string{"TERM": "xterm-256color"}, true},
		"a dumb terminal":                           {"linux", map[string]string{"TERM": "dumb"}, false},
		"a terminal without a name":                 {"linux", nil, false},
		"a terminal with an empty name":             {"darwin", map[string]string{"TERM": ""}, false},
		"NO_COLOR is about colours, not live lines": {"linux", map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, true},
		"an old Windows console":                    {"windows", nil, false},
		"the newer Windows Terminal":                {"windows", map[string]string{"WT_SESSION": "x"}, true},
		"a Unix shell on Windows":                   {"windows", map[string]string{"TERM": "xterm"}, true},
		"a dumb Unix shell on Windows":              {"windows", map[string]string{"TERM": "dumb", "WT_SESSION": "x"}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, understandsEscapes(test.goos, env(test.env)))
		})
	}
}

func TestUseColor(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		mode    ColorMode
		smart   bool
		noColor map[string]string
		want    bool
	}{
		"auto on a smart terminal":                   {ColorAuto, true, nil, true},
		"auto elsewhere":                             {ColorAuto, false, nil, false},
		"auto with NO_COLOR":                         {ColorAuto, true, map[string]string{"NO_COLOR": "1"}, false},
		"auto with NO_COLOR that is empty":           {ColorAuto, true, map[string]string{"NO_COLOR": ""}, true},
		"always, also into a file":                   {ColorAlways, false, nil, true},
		"always is asked for, so it beats NO_COLOR":  {ColorAlways, true, map[string]string{"NO_COLOR": "1"}, true},
		"never, also on a smart terminal":            {ColorNever, true, nil, false},
		"the mode that nobody has set is as auto is": {"", true, nil, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, useColor(test.mode, test.smart, env(test.noColor)))
		})
	}
	assert.False(t, UseColor(ColorAuto, &bytes.Buffer{}, env(map[string]string{"TERM": "xterm"})))
}

func TestParseColorMode(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"auto", "always", "never"} {
		mode, err := ParseColorMode(s)
		require.NoError(t, err)
		assert.Equal(t, ColorMode(s), mode)
	}
	for _, s := range []string{"", "Auto", "yes"} {
		_, err := ParseColorMode(s)
		require.ErrorContains(t, err, "unknown colour mode")
	}
}

func TestPaint(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "\x1b[32mok\x1b[0m", Paint(true, Good, "ok"))
	assert.Equal(t, "ok", Paint(false, Good, "ok"))
	assert.Empty(t, Paint(true, Good, ""))
}
