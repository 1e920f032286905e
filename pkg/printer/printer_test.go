// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package printer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/printer"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	clearLine = "\r\x1b[K"
	columns   = 100
)

// buffer may be written and read at the same time.
type buffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}

// shown is what a printer made of a list.
type shown struct {
	out, errOut string
	// moments are the live line as it stood before each event, with the time.
	moments []string
}

// show plays a list to a printer, with the clock of a synctest bubble. Events come between the ticks, so that
// their order is always the same.
func show(t *testing.T, format printer.Format, color bool, list []timed) shown {
	t.Helper()
	var s shown
	synctest.Test(t, func(t *testing.T) {
		var out, errOut buffer
		streams := genericiooptions.IOStreams{Out: &out, ErrOut: &errOut}
		p := printer.New(format, streams, printer.Options{Color: color, Width: func() int { return columns }})
		start := time.Now()
		<-time.After(50 * time.Millisecond)
		for _, entry := range list {
			<-time.After(entry.after)
			synctest.Wait()
			if line := lastLine(errOut.String()); line != "" {
				s.moments = append(s.moments, fmt.Sprintf("%7.2fs |%s", time.Since(start).Seconds(), line))
			}
			if entry.event != nil {
				p.Sink(entry.event)
			}
		}
		require.NoError(t, p.Close())
		require.NoError(t, p.Close(), "a second time")
		s.out, s.errOut = out.String(), errOut.String()
	})
	return s
}

// lastLine is what a terminal shows in the line of the cursor.
func lastLine(written string) string { return visible(written[strings.LastIndex(written, "\n")+1:]) }

// visible is what a terminal shows of a line on which other text stood before.
func visible(line string) string {
	if at := strings.LastIndex(line, clearLine); at >= 0 {
		return line[at+len(clearLine):]
	}
	return line
}

// screen is what a terminal shows in the end.
func screen(written string) string {
	lines := strings.Split(written, "\n")
	for i, line := range lines {
		lines[i] = visible(line)
	}
	return strings.Join(lines, "\n")
}

func TestPrinters_show_every_list(t *testing.T) {
	t.Parallel()
	for name, list := range lists() {
		for _, color := range []bool{false, true} {
			t.Run(fmt.Sprintf("live/%s/%t", name, color), func(t *testing.T) {
				t.Parallel()
				s := show(t, printer.Live, color, list)
				assert.Empty(t, s.out, "standard output is for results")
				moments := strings.Join(append(s.moments, ""), "\n")
				requireGolden(t, "live", name, color, "-- while it runs --\n"+moments+"-- in the end --\n"+screen(s.errOut))
			})
			t.Run(fmt.Sprintf("plain/%s/%t", name, color), func(t *testing.T) {
				t.Parallel()
				s := show(t, printer.Plain, color, list)
				assert.Empty(t, s.out, "standard output is for results")
				requireGolden(t, "plain", name, color, s.errOut)
			})
		}
		t.Run("json/"+name, func(t *testing.T) {
			t.Parallel()
			s := show(t, printer.JSON, true, list)
			assert.Empty(t, s.errOut)
			requireGolden(t, "json", name, false, s.out)
		})
	}
}

func requireGolden(t *testing.T, format, name string, color bool, got string) {
	t.Helper()
	if color {
		name += ".color"
	}
	path := filepath.Join("testdata", name+"."+format+".golden")
	got = strings.ReplaceAll(got, "\x1b", "␛") // so that reading a golden file harms no terminal
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func TestPrinters_never_pass_on_what_takes_over_a_terminal(t *testing.T) {
	t.Parallel()
	for _, format := range []printer.Format{printer.Live, printer.Plain, printer.JSON} {
		s := show(t, format, false, hostile())
		text := strings.ReplaceAll(s.out+s.errOut, clearLine, "")
		for _, r := range strings.ReplaceAll(text, "\n", "") {
			require.True(t, unicode.IsPrint(r), "%s passes on %U", format, r)
		}
	}
}

func TestJSON_lines_hold_the_kind_the_time_and_every_field(t *testing.T) {
	t.Parallel()
	for name, list := range lists() {
		s := show(t, printer.JSON, false, list)
		lines := strings.Split(strings.TrimSuffix(s.out, "\n"), "\n")
		for i, entry := range list {
			if entry.event == nil {
				continue
			}
			var got map[string]any
			require.NoError(t, json.Unmarshal([]byte(lines[i]), &got), "%s: %s", name, lines[i])
			assert.Equal(t, entry.event.Kind(), got["event"])
			stamp, ok := got["time"].(string)
			require.True(t, ok)
			_, err := time.Parse(time.RFC3339Nano, stamp)
			require.NoError(t, err)
			assert.True(t, strings.HasSuffix(stamp, "Z"), "UTC")
		}
	}
}

func TestJSON_keeps_text_as_it_is(t *testing.T) {
	t.Parallel()
	const text = "a\x1b[2J\u202e\n\u009b<&>\U000e0041 日本"
	s := show(t, printer.JSON, false, []timed{{0, event.Notice{Text: text}}})
	var got event.Notice
	require.NoError(t, json.Unmarshal([]byte(s.out), &got))
	assert.Equal(t, text, got.Text)
}

func TestLive_draws_at_most_five_times_a_second_and_never_to_the_last_column(t *testing.T) {
	t.Parallel()
	for name, list := range lists() {
		var length time.Duration
		for _, entry := range list {
			length += entry.after
		}
		s := show(t, printer.Live, false, list)
		frames := strings.Split(s.errOut, clearLine)[1:]
		erased := strings.Count(s.errOut, "\n") + 1
		assert.LessOrEqual(t, len(frames), int(5*length.Seconds())+1+erased, name)
		for _, frame := range frames {
			line, _, _ := strings.Cut(frame, "\n")
			if strings.HasPrefix(line, " ✓") || strings.HasPrefix(line, " ✗") || strings.HasPrefix(line, " •") || strings.HasPrefix(line, " !") {
				continue // stays, and may be broken
			}
			assert.Less(t, len([]rune(line)), columns, "%s: %q", name, line)
		}
	}
}

func TestPlain_shows_a_sign_of_life_every_ten_seconds(t *testing.T) {
	t.Parallel()
	s := show(t, printer.Plain, false, []timed{{0, started(1, 1, "await", "wait")}, {61 * time.Second, nil}})
	assert.Equal(t, 6, strings.Count(s.errOut, "running: 1/1 wait"))
}

func TestPrinters_go_on_where_nothing_can_be_written(t *testing.T) {
	t.Parallel()
	for _, format := range []printer.Format{printer.Live, printer.Plain, printer.JSON} {
		synctest.Test(t, func(t *testing.T) {
			streams := genericiooptions.IOStreams{Out: closedPipe{}, ErrOut: closedPipe{}}
			p := printer.New(format, streams, printer.Options{})
			for _, entry := range rotation() {
				<-time.After(entry.after)
				p.Sink(entry.event)
			}
			require.ErrorIs(t, p.Close(), errClosed, format)
		})
	}
}

var errClosed = errors.New("closed")

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, errClosed }

func TestPrinter_asks_the_clock_that_it_is_given(t *testing.T) {
	t.Parallel()
	var out buffer
	now := func() time.Time { return time.Date(2026, 11, 20, 13, 0, 0, 0, time.FixedZone("CET", 3600)) }
	p := printer.New(printer.JSON, genericiooptions.IOStreams{Out: &out}, printer.Options{Now: now})
	p.Sink(event.Notice{Text: "a"})
	require.NoError(t, p.Close())
	assert.JSONEq(t, `{"event":"notice","time":"2026-11-20T12:00:00Z","text":"a"}`, out.String())
}

func TestPrinter_takes_events_from_several_goroutines(t *testing.T) {
	t.Parallel()
	for _, format := range []printer.Format{printer.Live, printer.Plain, printer.JSON} {
		var out, errOut buffer
		p := printer.New(format, genericiooptions.IOStreams{Out: &out, ErrOut: &errOut}, printer.Options{})
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 100 {
					p.Sink(event.Warning{Text: "whole"})
				}
			})
		}
		all.Wait()
		require.NoError(t, p.Close())
		assert.Equal(t, 800, strings.Count(out.String()+errOut.String(), "whole"))
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	env := func(string) (string, bool) { return "xterm", true }
	assert.Equal(t, printer.JSON, printer.Choose("json", &bytes.Buffer{}, env))
	assert.Equal(t, printer.Plain, printer.Choose("", &bytes.Buffer{}, env))
	assert.Equal(t, printer.Plain, printer.Choose("yaml", &bytes.Buffer{}, env))
}
