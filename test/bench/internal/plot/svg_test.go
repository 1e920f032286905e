// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plot_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/plot"
)

func TestSVG(t *testing.T) {
	picture := plot.SVG([]plot.Panel{{Title: "a & b", Unit: "objects/s", Bars: []plot.Bar{
		{Label: "fast", Value: 500, Low: 450, High: 800, Kind: plot.Ours},
		{Label: "<slow>", Value: 100, Low: 100, High: 100, Kind: plot.Other},
	}}, {Title: "empty"}})
	requireWellFormed(t, picture)
	assert.Contains(t, picture, `class="ours" x="230" y="52" width="250.0"`, "the highest end of an interval fills the width")
	assert.Contains(t, picture, `class="other" x="230" y="78" width="50.0"`, "all bars have one scale")
	assert.Contains(t, picture, "&lt;slow&gt;")
	assert.Contains(t, picture, "prefers-color-scheme: dark")
}

func requireWellFormed(t *testing.T, picture string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(picture))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}
