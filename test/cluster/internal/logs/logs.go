// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package logs picks out of a program's log what explains why it failed.
package logs

import (
	"os"
	"regexp"
	"strings"
)

// longest is how much of one line is worth a person's time.
const longest = 400

// Last returns the last lines of the file that match, at most count of them.
// A file that cannot be read has none.
func Last(file string, pattern *regexp.Regexp, count int) []string {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(string(content)) {
		if !pattern.MatchString(line) {
			continue
		}
		line = strings.TrimRight(line, "\n")
		lines = append(lines, line[:min(len(line), longest)])
		if len(lines) > count {
			lines = lines[1:]
		}
	}
	return lines
}
