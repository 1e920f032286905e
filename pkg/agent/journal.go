// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// The files of the history folder beside the revisions. A temporary file is one of ours and never read.
const (
	lockName    = "lock"
	journalName = "journal.json"
	markName    = "highest-key"
	writtenName = "highest-written"
	tempSuffix  = ".tmp"

	// smallFile is more than any of them can have in bytes.
	smallFile = 4 << 10
)

// errBusy: another agent holds the lock.
var errBusy = errors.New("locked by another agent")

// lock makes the history folder root's own and takes the lock in it.
func (h history) lock() (unlock func(), err error) {
	if err := h.protect(); err != nil {
		return nil, err
	}
	return h.folder.lock(lockName)
}

// journalVersion is the format of the journal. Another one is refused: it was left by an agent that knew more.
const journalVersion = 1

// intent is an installation that has begun and is not done.
type intent struct {
	Version int    `json:"version"`
	Run     string `json:"run"`
	From    string `json:"from"`
	To      string `json:"to"`
}

// begin records an intent. It is there, durably, before anything else is changed.
func (h history) begin(i intent) error {
	data, err := json.Marshal(i)
	if err != nil {
		return callFailed(err, "encode the journal")
	}
	return h.replace(journalName, append(data, '\n'))
}

// done removes the intent: that needs no room on the disk.
func (h history) done() error {
	if err := h.remove(journalName); err != nil {
		return err
	}
	return h.sync()
}

// interrupted is the intent that was left, nil if there is none.
func (h history) interrupted() (*intent, error) {
	file, err := h.read(journalName, smallFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(file.data))
	dec.DisallowUnknownFields()
	var left intent
	if err := dec.Decode(&left); err != nil || left.Version != journalVersion {
		return nil, plainf("%s was not written by this version of the agent; "+
			"when no other version works on this node, remove it", journalName)
	}
	return &left, nil
}

// mark is the highest number that a key of this node was ever recorded with, 0 if none was.
func (h history) mark() (uint64, error) { return h.number(markName) }

// written is the highest number of a key that was ever recorded as a write key of this node, 0 if none was.
func (h history) written() (uint64, error) { return h.number(writtenName) }

func (h history) number(name string) (uint64, error) {
	file, err := h.read(name, smallFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(string(file.data), "\n"), 10, 64)
	if err != nil {
		return 0, plainf("%s does not hold a number; write the highest number that a key ever had into it", name)
	}
	return n, nil
}

// raise makes the marks cover what is described. They go up only: a key whose revisions are forgotten does not give its
// name free, and has written what it has written.
func (h history) raise(described ...encconfig.Description) error {
	if err := h.raiseTo(markName, highest(described...)); err != nil {
		return err
	}
	return h.raiseTo(writtenName, highestWritten(described...))
}

func (h history) raiseTo(name string, n uint64) error {
	before, err := h.number(name)
	if err != nil {
		return err
	}
	if n <= before {
		return nil
	}
	return h.replace(name, strconv.AppendUint(nil, n, 10))
}
