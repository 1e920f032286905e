// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/snapshot"
)

// Offline verifies a snapshot of etcd, or the db file of a member that is stopped.
type Offline struct {
	// File is its path.
	File string
	// Config is the path of an EncryptionConfiguration, empty for none.
	Config string
	// Prefix is --etcd-prefix of the kube-apiservers, etcdkey.DefaultPrefix as a rule.
	Prefix string
	// Resources to look at, written as in a configuration, wildcards included; all of them if there is none.
	Resources []string
	// Names is how many names of each group are kept: census.FirstNames, another number, or census.AllNames.
	Names int
	// Decrypt tries to open each value with the keys of Config.
	Decrypt bool
	// AcceptAltered reads a snapshot whose hash does not fit.
	AcceptAltered bool
	// Residue looks for what is left of old values in the file. It needs Config, to tell what is old.
	Residue bool
}

// Run reads the file. Nothing is written, and no server asked.
func (o Offline) Run(ctx context.Context) (*Result, error) {
	in, err := newScope(o.Prefix, o.Resources)
	if err != nil {
		return nil, err
	}
	if o.Decrypt && o.Config == "" {
		return nil, errors.New("to open values, the keys are needed: --config")
	}
	if o.Residue && o.Config == "" {
		return nil, errors.New("to tell old values from new ones, a configuration is needed: --config")
	}
	config, err := readConfig(o.Config)
	if err != nil {
		return nil, err
	}
	t, err := newTellers(in, config, o.Names, o.Decrypt)
	if err != nil {
		return nil, err
	}
	file, err := snapshot.Open(ctx, o.File, snapshot.Options{AcceptAltered: o.AcceptAltered})
	if err != nil {
		return nil, advise(o.File, err)
	}
	err = file.Latest(ctx, []string{in.layout.Root()}, t.count)
	var left *Residue
	if o.Residue && err == nil {
		left, err = o.residue(ctx, file, in.layout, t.description)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, advise(o.File, err)
	}
	if t.seen == 0 {
		return nil, hint.Errorf("--etcd-prefix names where this cluster's kube-apiservers keep their objects", "%s has no key under %s", o.File, in.layout.Root())
	}
	info := file.Info()
	return &Result{
		Census: t.census(), Config: t.description, Everything: len(o.Resources) == 0,
		Source: Source{File: o.File, Hash: string(info.Hash), Revision: info.Revision, Time: time.Now()},
		Notes:  append(fileNotes(info.Hash), t.notes()...),
		Doubts: t.notFound(), Residue: left,
	}, nil
}

// fileNotes says how far the file can be trusted.
func fileNotes(hash snapshot.Hash) []string {
	switch hash {
	case snapshot.HashAltered:
		return []string{"the hash at the end of the file does not fit: it is not as etcd sent it, and nothing that it says is proven"}
	case snapshot.HashAbsent:
		return []string{"the file has no hash: it is a db file, or a snapshot that was cut. A copy of a db file may hold parts of two states; " +
			"only a snapshot (etcdctl snapshot save) is one state for certain"}
	case snapshot.HashFits:
	}
	return nil
}

// advise adds what would help.
func advise(file string, err error) error {
	named := fmt.Errorf("read %s: %w", file, err)
	switch {
	case errors.Is(err, snapshot.ErrAltered):
		return hint.New(named, "take another copy of it; --accept-altered reads it as it is")
	case errors.Is(err, snapshot.ErrChanged):
		return hint.New(named, "etcdctl snapshot save takes a snapshot of a running member")
	case errors.Is(err, snapshot.ErrForeign):
		return hint.New(named, "etcdctl snapshot save makes such a file; one that was packed must be unpacked first")
	}
	return named
}

// readConfig reads a configuration, nil if no path is given. Errors hold nothing of it but lines and fields.
func readConfig(path string) (*encconfig.Document, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no configuration is an answer
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, encconfig.MaxSize+1))
	if err != nil {
		return nil, err
	}
	document, err := encconfig.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return document, nil
}

// describe is the configuration without its keys, the zero value for none.
func describe(document *encconfig.Document) encconfig.Description {
	if document == nil {
		return encconfig.Description{}
	}
	return document.Describe()
}
