// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// installation replaces the configuration file by another one.
type installation struct {
	config  *folder
	history history
	// name of the file, and of the temporary one that becomes it.
	name, temp string
	intent     intent
	data       []byte
	desc       encconfig.Description
	now        time.Time
	// left is set if an earlier installation was begun and is not done.
	left bool
}

// install opens a sealed configuration and puts it in place.
func (s *Server) install(req agentapi.Installation) error {
	data, desc, err := s.open(req)
	if err != nil {
		return err
	}
	defer clear(data)
	config, h, err := s.openBoth()
	if err != nil {
		return err
	}
	defer config.close()
	defer h.close()
	i := &installation{
		config: config, history: h,
		name: s.ConfigName, temp: tempName(s.ConfigName, s.Run),
		intent: intent{Version: journalVersion, Run: cmp.Or(s.recordAs, s.Run), From: req.From, To: req.To},
		data:   data, desc: desc, now: s.Now(),
	}
	return i.run()
}

// openBoth opens the folders that an installation writes to.
func (s *Server) openBoth() (config *folder, h history, err error) {
	if config, err = s.openConfig(); err != nil {
		return nil, history{}, unreadable(err)
	}
	if h, err = s.openHistory(); err != nil {
		config.close()
		return nil, history{}, writeFailed(err)
	}
	return config, h, nil
}

func writeFailed(err error) error {
	return coded(err, agentapi.WriteFailed)
}

// The name of a temporary file carries the project's name at its end: editors make files that begin like ours.
func tempPrefix(config string) string { return "." + config + "." }

const tempEnd = "." + project.Name

func tempName(config, run string) string { return tempPrefix(config) + run + tempEnd }

// run makes the system calls in an order in which the process, or the whole node, may die between any two of them.
// Whatever is there at the next start, the configuration file is the old or the new one, both are in the history,
// and the same installation can be run again.
//
//  1. Take the lock. Whoever has it is the only agent that writes on this node; the kernel frees it with the process.
//  2. The file must have the digest that the request expects, or already the one that it asks for. Everything
//     before this point changed nothing.
//  3. Sweep what an interrupted installation left. Nobody else's: we have the lock. A folder that is empty then was
//     made for the file, by a kubelet that lets everybody look into it: close it.
//  4. Record the intent, durably: from here on an interruption can be seen.
//  5. Raise the mark of the highest key, before the key is anywhere on the disk: its name is spent. And that of the highest
//     write key: nothing may be stored with a key above it. What earlier agents kept is covered as long as it is there.
//  6. Keep the predecessor, durably, before it can go.
//  7. Keep the successor, durably, before it is used: a key that has written anything can be found again, even
//     if the file itself is lost. Steps 4 to 8 are all that needs room on the disk, so a full one stops here,
//     where the old file is still in place.
//  8. Write the new file beside the old one, fsync it, read it again and compare. Before the rename, since after it
//     a reader may meet whatever is there; and fsync before rename, or a power cut may leave the name with no bytes.
//  9. Look at the old file once more: what somebody wrote since step 2 must not be lost.
//  10. Rename: the one step that a reader sees, and it sees it whole.
//  11. Fsync the folder: now the new name outlives a power cut. It must come before anybody is told.
//  12. Read through a fresh open what is there.
//  13. Let old revisions go. That may fail, the next one will do it.
//  14. Remove the intent: done.
func (i *installation) run() error {
	unlock, err := i.history.lock() // 1
	if errors.Is(err, errBusy) {
		return failf(agentapi.Changed, "another agent is installing a configuration on this node")
	}
	if err != nil {
		return writeFailed(err)
	}
	defer unlock()
	current, err := i.precondition() // 2
	if err != nil {
		return err
	}
	defer clear(current.data)
	if err := i.sweep(); err != nil { // 3
		return writeFailed(err)
	}
	recorded, err := i.prepare(current) // 4 to 7
	if err == nil {
		err = i.put(current) // 8 to 12
	}
	if err != nil {
		return i.giveUp(recorded, err)
	}
	_ = i.history.prune()                    // 13
	if err := i.history.done(); err != nil { // 14
		return failf(agentapi.WriteFailed, "the new configuration is in place, but the journal is not closed: %s", reason(err))
	}
	return nil
}

// precondition gives the file that is there, without data if there is none and none is expected.
func (i *installation) precondition() (content, error) {
	left, err := i.history.interrupted()
	if err != nil {
		return content{}, failf(agentapi.Invalid, "the journal of this node is not understood: %s", reason(err))
	}
	i.left = left != nil
	return i.current()
}

// current reads the file and holds it against what the request expects.
func (i *installation) current() (content, error) {
	file, err := i.config.read(i.name, encconfig.MaxSize)
	if errors.Is(err, fs.ErrNotExist) && i.intent.From == "" {
		return content{}, nil
	}
	if err != nil {
		return content{}, unreadable(err)
	}
	switch digest := encconfig.Digest(file.data); digest {
	case i.intent.From, i.intent.To:
		return file, nil
	default:
		clear(file.data)
		return content{}, failf(agentapi.Changed, "the encryption configuration is %s: it was changed by somebody else", digest)
	}
}

func (i *installation) sweep() error {
	if err := i.history.sweep(); err != nil {
		return err
	}
	if err := i.config.removeLeft(func(name string) bool {
		return strings.HasPrefix(name, tempPrefix(i.name)) && strings.HasSuffix(name, tempEnd)
	}); err != nil {
		return err
	}
	if empty, err := i.config.isEmpty(); err != nil || !empty {
		return err // a folder with anything in it is somebody's own, with the mode that they gave it
	}
	return i.config.protect()
}

// prepare does all that comes before the new file is written. It names the revision that it made for the successor.
func (i *installation) prepare(current content) (recorded string, err error) {
	if err := i.history.begin(i.intent); err != nil {
		return "", err
	}
	if err := i.history.raise(i.described(current)...); err != nil {
		return "", err
	}
	if current.data != nil {
		// The newest but one: after an interruption the newest is a successor that never came into place.
		if _, err := i.history.record(current.data, i.intent.Run, i.now, 2); err != nil {
			return "", err
		}
	}
	skip := 1
	if i.intent.Run == RestoreRun && !i.there(current) {
		skip = 0 // that it was put in place by hand is news, also of bytes that are the newest revision already
	}
	return i.history.record(i.data, i.intent.Run, i.now, skip)
}

// described are all configurations of this node: that which comes, that which goes, and those before, as far as they can be
// told; the marks have covered each of them when it came.
func (i *installation) described(current content) []encconfig.Description {
	before, _ := i.history.describe()
	list := []encconfig.Description{i.desc}
	if current.data != nil {
		list = append(list, describe(current.data))
	}
	for _, r := range before {
		list = append(list, r.Config)
	}
	return list
}

// put replaces the file. One that is there already is only made durable, unless an interruption, such as a sync
// that failed, or its mode say that it should be written again.
func (i *installation) put(current content) error {
	if i.there(current) && !i.left && current.mode == fileMode {
		if err := i.config.syncFile(i.name); err != nil {
			return err
		}
		return i.config.sync()
	}
	if err := i.config.writeNew(i.temp, i.data); err != nil {
		return err
	}
	if err := i.check(i.temp); err != nil {
		return err
	}
	again, err := i.current()
	if err != nil {
		return err
	}
	clear(again.data)
	if err := i.config.rename(i.temp, i.name); err != nil {
		return err
	}
	if err := i.config.sync(); err != nil {
		return err
	}
	return i.check(i.name)
}

// there tells whether the file has the wanted bytes.
func (i *installation) there(file content) bool {
	return file.data != nil && encconfig.Digest(file.data) == i.intent.To
}

// check reads a file again and compares it with what was to be written.
func (i *installation) check(name string) error {
	file, err := i.config.read(name, encconfig.MaxSize)
	if err != nil {
		return err
	}
	defer clear(file.data)
	if !i.there(file) {
		return plainf("%s does not hold what was written to it", name)
	}
	return nil
}

// giveUp cleans up after a failure and says what is in place. It closes the journal only if it knows that the old
// file is there and nothing of ours is left; otherwise the open journal tells the next start.
func (i *installation) giveUp(recorded string, failure error) error {
	failure = coded(failure, agentapi.WriteFailed)
	if err := i.config.remove(i.temp); err != nil {
		return failure
	}
	file, err := i.config.read(i.name, encconfig.MaxSize)
	defer clear(file.data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failure
	}
	if i.there(file) {
		return failf(agentapi.WriteFailed, "the new configuration is in place, but it is not proven that it would "+
			"outlive a power cut; run the same installation again: %s", reason(failure))
	}
	if recorded != "" && i.history.remove(recorded) != nil {
		return failure
	}
	if !i.left { // what an earlier one left open is closed by one that succeeds
		_ = i.history.done()
	}
	return failure
}
