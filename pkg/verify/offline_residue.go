// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/residue"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/snapshot"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// residueBlock is what is read of a file at once, in bytes.
const residueBlock = 1 << 20

// residue searches the whole file, free pages included.
func (o Offline) residue(ctx context.Context, db *snapshot.File, layout etcdkey.Layout, config encconfig.Description) (*Residue, error) {
	info := db.Info()
	file, err := os.Open(o.File)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	patterns := o.Resources
	if len(patterns) == 0 {
		patterns = []string{allResources}
	}
	scope := residue.Scope{Layout: layout, Config: config, Resources: patterns}
	counter := residue.NewCounter(scope)
	if err := searchFile(ctx, io.NewSectionReader(file, 0, info.Size), layout.Root(), func(r residue.Record) {
		counter.Add(residue.PlaceOf(r.Revision, info.CompactedRevision), r)
	}); err != nil {
		return nil, err
	}
	held, err := heldIn(ctx, db, scope)
	if err != nil {
		return nil, err
	}
	counts, err := residue.Apart(counter.Counts(), held)
	if err != nil {
		return nil, err
	}
	return &Residue{Resources: patterns, Members: []MemberResidue{{Counts: counts, Compacted: info.CompactedRevision, Read: info.Size}}}, nil
}

// heldIn counts what could be read at the revision up to which the file is compacted (rule 4 of package residue).
func heldIn(ctx context.Context, db *snapshot.File, scope residue.Scope) ([]census.Tally, error) {
	counter, compacted := residue.NewCounter(scope), db.Info().CompactedRevision
	var marks stored.Reader
	count := func(key, value []byte, revision int64) error {
		if revision <= compacted {
			counter.Add(residue.Superseded, residue.Record{Key: key, Mark: marks.Read(value)})
		}
		return nil
	}
	prefixes := []string{scope.Layout.Root()}
	if err := errors.Join(db.Latest(ctx, prefixes, count), db.Superseded(ctx, prefixes, count)); err != nil {
		return nil, err
	}
	var held []census.Tally
	for _, c := range counter.Counts() {
		held = append(held, c.Tally)
	}
	return held, nil
}

// searchFile visits the records of a database.
func searchFile(ctx context.Context, file io.ReaderAt, root string, visit func(residue.Record)) error {
	carver, block := residue.NewCarver(residue.Database, root), make([]byte, residueBlock)
	for offset, last := int64(0), false; !last; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if offset, last, err = carver.Block(file, offset, block, visit); err != nil {
			return err
		}
	}
	return nil
}
