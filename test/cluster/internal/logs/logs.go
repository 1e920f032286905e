// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package logs picks out of a program's log what explains why it failed.
package logs

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

// longest is how much of one line is worth a person's time.
const longest = 400

// varying is what differs between lines that say the same.
var varying = regexp.MustCompile(`[0-9]+`)

// Last returns the last lines of the file that match, at most count of them,
// and of lines that differ in nothing but numbers only the last. A file that
// cannot be read has none.
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
		line = line[:min(len(line), longest)]
		said := varying.ReplaceAllString(line, "")
		lines = slices.DeleteFunc(lines, func(earlier string) bool {
			return varying.ReplaceAllString(earlier, "") == said
		})
		lines = append(lines, line)
		if len(lines) > count {
			lines = lines[1:]
		}
	}
	return lines
}
