// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
)

// The files of the guard in the history folder.
const (
	guardJournalName = "guard.json"
	guardLockName    = "guard.lock"
)

// guardJournalVersion is the format of the guard's journal.
const guardJournalVersion = 1

// guardJournal is what a guard is to do and how far it has come. It stays when the guard has ended, as the record of the
// last edit.
type guardJournal struct {
	Version int           `json:"version"`
	Edit    agentapi.Edit `json:"edit"`
	// Node is the name that the kubelet appends to that of a static pod.
	Node string `json:"node"`
	// File is the configuration's path on the node, empty to take the flags out.
	File          string        `json:"file,omitempty"`
	RollbackAfter time.Duration `json:"rollbackAfter,omitempty"`
	// StartBy is when it is too late to begin.
	StartBy time.Time `json:"startBy,omitzero"`
	// Backup is the name of the file that keeps the old manifest in the history.
	Backup string `json:"backup,omitempty"`
	// Before is what was seen before the edit, nil if nothing was edited yet.
	Before *sighting `json:"before,omitempty"`
	// Deadline of the stage, and the boot of the node that its clock belongs to.
	Deadline time.Time `json:"deadline,omitzero"`
	Boot     string    `json:"boot,omitempty"`
	// Restored: the old manifest is back.
	Restored bool `json:"restored,omitempty"`
}

// sighting is what a kube-apiserver is known by.
type sighting struct {
	// Certificate is the SHA-256 of its serving certificate.
	Certificate string `json:"certificate"`
	// Reloads: it reloads its encryption configuration.
	Reloads bool `json:"reloads"`
	// Logs is the folder of its pod's logs.
	Logs string `json:"logs"`
}

// The journal is a file of two slots of the same size, written in turn. A guard writes into the file as it is, which
// needs no room on the disk; if that is cut short, the other slot still holds what was true before.
const (
	slots    = 2
	slotSize = 32 << 10
)

// slot is one line of the file, filled up with spaces.
type slot struct {
	Sequence uint64          `json:"sequence"`
	Sum      string          `json:"sum"`
	Guard    json.RawMessage `json:"guard"`
}

// sum binds the content of a slot to its place in the sequence.
func (s slot) sum() string {
	h := sha256.New()
	h.Write(strconv.AppendUint(nil, s.Sequence, 10))
	h.Write([]byte{':'})
	h.Write(s.Guard)
	return hex.EncodeToString(h.Sum(nil))
}

func encodeSlot(sequence uint64, j guardJournal) ([]byte, error) {
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(j); err != nil {
		return nil, plainf("the guard's journal can't be encoded")
	}
	s := slot{Sequence: sequence, Guard: bytes.TrimSuffix(data.Bytes(), []byte("\n"))}
	line := fmt.Appendf(nil, `{"sequence":%d,"sum":%q,"guard":%s}`, s.Sequence, s.sum(), s.Guard)
	if len(line) >= slotSize {
		return nil, plainf("the guard's journal has %d bytes, it has room for %d", len(line), slotSize)
	}
	return padded(line), nil
}

func padded(line []byte) []byte {
	line = append(line, bytes.Repeat([]byte{' '}, slotSize-1-len(line))...)
	return append(line, '\n')
}

// decodeSlots gives the newest slot that is whole.
func decodeSlots(data []byte) (guardJournal, uint64, error) {
	var newest guardJournal
	var sequence uint64
	for line := range bytes.Lines(data) {
		var s slot
		if json.Unmarshal(line, &s) != nil || s.Sum != s.sum() || s.Sequence <= sequence {
			continue
		}
		var j guardJournal
		if json.Unmarshal(s.Guard, &j) != nil || j.Version != guardJournalVersion {
			return guardJournal{}, 0, plainf("%s was not written by this version of the agent", guardJournalName)
		}
		newest, sequence = j, s.Sequence
	}
	if sequence == 0 {
		return guardJournal{}, 0, plainf("%s is damaged; when no guard is at work on this node, remove it", guardJournalName)
	}
	return newest, sequence, nil
}

// guard is the guard's journal, nil if there never was a guard, and its sequence.
func (h history) guard() (*guardJournal, uint64, error) {
	file, err := h.read(guardJournalName, slots*slotSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	j, sequence, err := decodeSlots(file.data)
	if err != nil {
		return nil, 0, err
	}
	return &j, sequence, nil
}

// beginGuard makes a journal, with all the room on the disk that it will ever need.
func (h history) beginGuard(j guardJournal) error {
	data, err := encodeSlot(1, j)
	if err != nil {
		return err
	}
	return h.replace(guardJournalName, append(padded(nil), data...))
}

// noteGuard writes into the slot that is the older one. The other stays as it is.
func (h history) noteGuard(sequence uint64, j guardJournal) error {
	data, err := encodeSlot(sequence, j)
	if err != nil {
		return err
	}
	offset := slotSize * int64(sequence%slots)
	return h.overwrite(guardJournalName, data, offset)
}
