// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package term

import "fmt"

// ColorMode is the value of the flag --color.
type ColorMode string

// The modes.
const (
	// ColorAuto colours on a terminal that takes it, unless NO_COLOR is set.
	ColorAuto ColorMode = "auto"
	// ColorAlways colours everywhere: for pagers that pass it on.
	ColorAlways ColorMode = "always"
	// ColorNever never colours.
	ColorNever ColorMode = "never"
)

// ParseColorMode reads the value of the flag --color.
func ParseColorMode(s string) (ColorMode, error) {
	switch mode := ColorMode(s); mode {
	case ColorAuto, ColorAlways, ColorNever:
		return mode, nil
	default:
		return "", fmt.Errorf("unknown colour mode %q: one of %s, %s, %s", s, ColorAuto, ColorAlways, ColorNever)
	}
}

// UseColor decides whether what goes to a stream is coloured. Every part of the program asks here.
func UseColor(mode ColorMode, stream any, lookupEnv LookupEnv) bool {
	return useColor(mode, IsSmartTerminal(stream, lookupEnv), lookupEnv)
}

func useColor(mode ColorMode, smart bool, lookupEnv LookupEnv) bool {
	switch mode {
	case ColorAlways:
		return true
	case ColorNever:
		return false
	default:
		// Set and not empty, as https://no-color.org has it.
		noColor, _ := lookupEnv("NO_COLOR")
		return smart && noColor == ""
	}
}

// Color is a colour or style of text.
type Color string

// The colours that the program uses, by what they mean.
const (
	Good Color = "\x1b[32m"
	Bad  Color = "\x1b[31m"
	Warn Color = "\x1b[33m"
)

const reset = "\x1b[0m"

// Paint colours text that was escaped, if colours are used.
func Paint(use bool, c Color, text string) string {
	if !use || text == "" {
		return text
	}
	return string(c) + text + reset
}
