// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plot draws bars as SVG. It is pure. The picture has no background, and its colours follow the reader's
// choice of light or dark.
package plot

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// Kind of a bar, by which it is coloured.
type Kind string

// The kinds.
const (
	// Ours is what the picture is about.
	Ours Kind = "ours"
	// Other is what it is compared with.
	Other Kind = "other"
	// Bound is what nothing can be better than.
	Bound Kind = "bound"
)

// Bar is one number with the interval that it may be in.
type Bar struct {
	Label            string
	Value, Low, High float64
	Kind             Kind
}

// Panel is a number of bars with one scale.
type Panel struct {
	Title string
	Unit  string
	Bars  []Bar
}

// The picture's measures, in pixels.
const (
	labelWidth = 230
	barWidth   = 400
	valueWidth = 110
	rowHeight  = 26
	barHeight  = 16
	headHeight = 40
	margin     = 12
	width      = labelWidth + barWidth + valueWidth
)

const style = `<style>
text { font: 13px -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 14px }
.value { font-variant-numeric: tabular-nums }
.ours { fill: #0969da } .other { fill: #8c959f } .bound { fill: #d0d7de }
.interval { stroke: #1f2328; stroke-width: 1.2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.ours { fill: #2f81f7 } .other { fill: #6e7681 } .bound { fill: #30363d }
.interval { stroke: #e6edf3 }
}
</style>
`

// SVG draws panels below each other.
func SVG(panels []Panel) string {
	height := margin
	var body strings.Builder
	for _, p := range panels {
		height += p.draw(&body, height)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n",
		width, height, width, height) + style + body.String() + "</svg>\n"
}

// draw draws a panel from a height on, and returns its own.
func (p Panel) draw(b *strings.Builder, top int) int {
	fmt.Fprintf(b, `<text class="title" x="%d" y="%d">%s</text>`+"\n", margin, top+headHeight/2, escape(p.Title+", "+p.Unit))
	scale := p.scale()
	for i, bar := range p.Bars {
		bar.draw(b, top+headHeight+i*rowHeight, scale)
	}
	return headHeight + len(p.Bars)*rowHeight + margin
}

// scale is pixels for each unit, so that the longest bar and the highest interval have room.
func (p Panel) scale() float64 {
	most := 0.0
	for _, bar := range p.Bars {
		most = max(most, bar.Value, bar.High)
	}
	if most == 0 {
		return 0
	}
	return barWidth / most
}

func (bar Bar) draw(b *strings.Builder, top int, scale float64) {
	middle := top + barHeight/2
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, labelWidth-10, middle+5, escape(bar.Label))
	fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, bar.Kind, labelWidth, top, bar.Value*scale, barHeight)
	low, high := labelWidth+bar.Low*scale, labelWidth+bar.High*scale
	fmt.Fprintf(b, `<path class="interval" d="M%.1f %dH%.1fM%.1f %dv6M%.1f %dv6"/>`, low, middle, high, low, middle-3, high, middle-3)
	end := max(high, labelWidth+bar.Value*scale)
	fmt.Fprintf(b, `<text class="value" x="%.1f" y="%d">%.0f</text>`+"\n", end+8, middle+5, bar.Value)
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes all
	return b.String()
}
