// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

// PrintPlan prints a plan as a result: json, yaml, or as write does it for people.
func PrintPlan[P any](p P, write func(P, io.Writer), output string, out io.Writer) error {
	switch output {
	case "json":
		enc := json.NewEncoder(out)
		enc.SetIndent("", "    ")
		return enc.Encode(p)
	case "yaml":
		data, err := yaml.Marshal(p)
		if err != nil {
			return fmt.Errorf("print plan: %w", err)
		}
		_, err = out.Write(data)
		return err
	}
	write(p, out)
	_, err := fmt.Fprintln(out, "Nothing was changed (dry run).")
	return err
}

// WritePlan prints a plan for people.
func WritePlan(p *v1alpha1.RotationPlan, out io.Writer) {
	fmt.Fprintf(out, "About to %s\n", p.Goal)
	fmt.Fprintf(out, "  Context: %s   Server: %s   User: %s\n", orNone(p.Cluster.Context), p.Cluster.Server, orNone(p.Cluster.User))
	for i, s := range p.Steps {
		fmt.Fprintf(out, "  Step %d/%d  %s\n", i+1, len(p.Steps), s.Text)
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(out, "  Warning:  %s\n", w)
	}
}

func orNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}

// Failed is the event for an error.
func Failed(err error) event.Failed {
	f := event.Failed{Error: err.Error()}
	if known, ok := errors.AsType[*hint.Error](err); ok {
		f.Stage, f.Safe, f.Hints = known.Stage, known.Safe, known.Hints
	}
	return f
}
