// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// KeepRevisions is how many of the newest configurations the history keeps, whatever is in them.
const KeepRevisions = 8

// history is the folder with the configurations that were put in place on this node, the one in use included. Each
// is a file with the very bytes, named by number, time and run: a person can copy one back with cp.
//
// A count bounds the files, never the keys: an installation lets a revision go only if every key in it is in a newer one
// that stays. A key leaves the history by forget alone, which is asked for by the key's name.
type history struct {
	*folder
}

// revision is one file of the history.
type revision struct {
	number int
	time   time.Time
	run    string
}

const revisionTime = "20060102T150405Z"

var revisionPattern = regexp.MustCompile(`^([0-9]{6,9})-([0-9]{8}T[0-9]{6}Z)-(` + runPattern + `)\.yaml$`)

func (r revision) fileName() string {
	return fmt.Sprintf("%06d-%s-%s.yaml", r.number, r.time.UTC().Format(revisionTime), r.run)
}

// onNode is where the revision is in the node's own file system.
func (r revision) onNode() string { return path.Join(project.NodeHistoryDir, r.fileName()) }

func parseRevision(name string) (revision, bool) {
	m := revisionPattern.FindStringSubmatch(name)
	if m == nil {
		return revision{}, false
	}
	number, errNumber := strconv.Atoi(m[1])
	at, errTime := time.Parse(revisionTime, m[2])
	return revision{number: number, time: at, run: m[3]}, errNumber == nil && errTime == nil
}

// revisions lists the history, oldest first. Files of any other name are not ours and left alone.
func (h history) revisions() ([]revision, error) {
	names, err := h.names()
	if err != nil {
		return nil, err
	}
	var list []revision
	for _, name := range names {
		if r, ok := parseRevision(name); ok {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b revision) int { return cmp.Compare(a.number, b.number) })
	return list, nil
}

// describe tells what the history holds. What can be told is told; the error is about the first revision that can't
// be read. One that is no longer understood has a digest and no rules.
func (h history) describe() ([]agentapi.Revision, error) {
	list, err := h.revisions()
	var described []agentapi.Revision
	for _, r := range list {
		file, readErr := h.read(r.fileName(), encconfig.MaxSize)
		if errors.Is(readErr, fs.ErrNotExist) {
			continue // an installation that runs just now has let it go
		}
		if readErr != nil {
			err = cmp.Or(err, plainf("revision %d can't be read: %s", r.number, reason(readErr)))
			continue
		}
		described = append(described, agentapi.Revision{
			Number: r.number, Time: r.time, Run: r.run, Config: describe(file.data),
		})
		clear(file.data)
	}
	return described, err
}

// describe is the description of a file, with nothing but the digest if the file is not understood.
func describe(data []byte) encconfig.Description {
	doc, err := encconfig.Parse(data)
	if err != nil {
		return encconfig.Description{Digest: encconfig.Digest(data)}
	}
	return doc.Describe()
}

// record keeps the bytes of a configuration as the newest revision, durably, and says under which name. It keeps
// nothing, and the name is empty, if one of the newest skip revisions has the same bytes.
func (h history) record(data []byte, run string, now time.Time, skip int) (string, error) {
	list, err := h.revisions()
	if err != nil {
		return "", err
	}
	for _, r := range list[max(0, len(list)-skip):] {
		// One that can't be read does not hold the bytes for anybody.
		if file, err := h.read(r.fileName(), encconfig.MaxSize); err == nil {
			same := encconfig.Digest(file.data) == encconfig.Digest(data)
			clear(file.data)
			if same {
				return "", nil
			}
		}
	}
	next := revision{number: 1, time: now, run: run}
	if len(list) > 0 {
		next.number = list[len(list)-1].number + 1
	}
	return next.fileName(), h.replace(next.fileName(), data)
}

// prune lets go of old revisions whose keys newer ones hold. One that can't be read, or is not understood, may hold
// anything, and stays.
func (h history) prune() error {
	list, err := h.revisions()
	if err != nil || len(list) <= KeepRevisions {
		return err
	}
	var held []encconfig.Key
	for i, r := range slices.Backward(list) {
		keyList, known := h.keysOf(r)
		old := i < len(list)-KeepRevisions
		if old && known && !slices.ContainsFunc(keyList, func(k encconfig.Key) bool { return !slices.Contains(held, k) }) {
			if err := h.remove(r.fileName()); err != nil {
				return err
			}
			continue
		}
		held = append(held, keyList...)
	}
	return nil
}

// keysOf are the keys in a revision, with their fingerprints. known is false if that can't be told.
func (h history) keysOf(r revision) (list []encconfig.Key, known bool) {
	file, err := h.read(r.fileName(), encconfig.MaxSize)
	if err != nil {
		return nil, false
	}
	defer clear(file.data)
	d := describe(file.data)
	return d.Keys(), len(d.Rules) > 0
}

// sweep removes the temporary files that an interrupted installation left in the history.
func (h history) sweep() error {
	return h.removeLeft(isTemp)
}

// removeLeft removes the files whose name is one of ours.
func (f *folder) removeLeft(ours func(name string) bool) error {
	names, err := f.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !ours(name) {
			continue
		}
		if err := f.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// highest is the highest number of any key that is described.
func highest(described ...encconfig.Description) uint64 {
	var n uint64
	for _, d := range described {
		for _, k := range d.Keys() {
			n = max(n, keys.Number(k.Name))
		}
	}
	return n
}

// highestWritten is the highest number of any key that writes in what is described.
func highestWritten(described ...encconfig.Description) uint64 {
	var n uint64
	for _, d := range described {
		for _, k := range d.WriteKeys() {
			if k.Provider.Local() {
				n = max(n, keys.Number(k.Name))
			}
		}
	}
	return n
}
