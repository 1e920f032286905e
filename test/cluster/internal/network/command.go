// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// command runs one of the system's network tools.
func command(ctx context.Context, name string, args ...string) error {
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(output.String()))
	}
	return nil
}

// commands runs several in order and stops at the first that fails.
func commands(ctx context.Context, lines [][]string) error {
	for _, line := range lines {
		if err := command(ctx, line[0], line[1:]...); err != nil {
			return err
		}
	}
	return nil
}
