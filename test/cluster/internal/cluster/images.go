// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
)

// LoadImages puts the images of the archives on every node that is on, and on
// those that are added later.
func (h *Harness) LoadImages(ctx context.Context, archives []string) error {
	for _, archive := range archives {
		absolute, err := filepath.Abs(archive)
		if err != nil {
			return fmt.Errorf("find image: %w", err)
		}
		if !slices.Contains(h.state.Images, absolute) {
			h.state.Images = append(h.state.Images, absolute)
		}
	}
	if err := h.importEverywhere(ctx, archives); err != nil {
		return err
	}
	return h.state.Save()
}

func (h *Harness) importEverywhere(ctx context.Context, archives []string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range h.state.Nodes {
		if node.Running() {
			group.Go(func() error { return h.importImages(ctx, node, archives) })
		}
	}
	return group.Wait()
}

func (h *Harness) importImages(ctx context.Context, node *state.Node, archives []string) error {
	for _, archive := range archives {
		if err := importImage(ctx, node, archive); err != nil {
			return err
		}
		h.say("node %s: loaded %s", node.Name, filepath.Base(archive))
	}
	return nil
}

func importImage(ctx context.Context, node *state.Node, archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("open image: %w", err)
	}
	defer func() { _ = file.Close() }()
	var output bytes.Buffer
	cmd, err := enter(ctx, node, Streams{In: file, Out: &output, Err: &output}, "ctr", "images", "import", "-")
	if err != nil {
		return err
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("load image %s on node %s: %w: %s", filepath.Base(archive), node.Name, err, strings.TrimSpace(output.String()))
	}
	return nil
}
