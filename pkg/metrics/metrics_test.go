// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const text = `# HELP requests Of all kinds.
# TYPE requests counter
requests{code="200"} 7
requests{code="500"} 2
# TYPE requests_total counter
requests_total 9
# TYPE size gauge
size 2.5e+01
`

func TestPickKeepsWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	got, err := Pick(strings.NewReader(text), "requests", "size", "nothing")
	require.NoError(t, err)
	assert.Len(t, got, 2, "a series whose name begins with one that is asked for is another one")
	values := map[string]float64{}
	Each(got["requests"], func(l map[string]string, v float64) { values[l["code"]] = v })
	assert.Equal(t, map[string]float64{"200": 7, "500": 2}, values)
	Each(got["size"], func(l map[string]string, v float64) {
		assert.Empty(t, l)
		assert.InDelta(t, 25, v, 0)
	})
	Each(got["nothing"], func(map[string]string, float64) { t.Error("a family that is not there has no series") })
}

func TestPickRefusesWhatIsNoText(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]io.Reader{
		"an endless line":      strings.NewReader(text + strings.Repeat("x", longestLine+1)),
		"an answer cut short":  io.MultiReader(strings.NewReader(text), iotest.ErrReader(errors.New("broken"))),
		"a value that is none": strings.NewReader("size x\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Pick(body, "size")
			assert.Error(t, err)
		})
	}
}
