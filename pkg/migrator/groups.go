// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrator

import (
	"fmt"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// Failures lists what failed by reason and webhook, a few objects of each, for people.
func Failures(reports []migrate.Report) string {
	var lines []string
	for _, group := range Groups(reports) {
		line := fmt.Sprintf("\n  %s, %d object(s)", group.Reason, group.Count)
		switch {
		case group.Webhook != "":
			line += " (webhook " + hint.OneLine(group.Webhook) + ")"
		case group.Policy != "":
			line += " (policy " + hint.OneLine(group.Policy) + ")"
		}
		line += ": " + hint.OneLine(group.Message)
		const shown = 5
		line += "\n    " + group.Resource + " " + hint.OneLine(strings.Join(group.Objects[:min(shown, len(group.Objects))], ", "))
		if more := group.Count - int64(min(shown, len(group.Objects))); more > 0 {
			line += fmt.Sprintf(" and %d more", more)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "")
}

// Group is the objects of one resource that failed for one cause.
type Group struct {
	migrate.Cause
	Resource, Message string
	Count             int64
	// Objects are the first ones.
	Objects []string
}

// Groups sorts failures by resource and cause, in the order in which they were met.
func Groups(reports []migrate.Report) []Group {
	var groups []Group
	for _, report := range reports {
		index := map[migrate.Cause]int{}
		for _, f := range report.Failures {
			at, known := index[f.Cause()]
			if !known {
				at = len(groups)
				index[f.Cause()] = at
				groups = append(groups, Group{
					Cause: f.Cause(), Resource: report.Resource.String(), Message: f.Message, Count: report.Causes[f.Cause()],
				})
			}
			groups[at].Objects = append(groups[at].Objects, f.Object())
		}
	}
	return groups
}
