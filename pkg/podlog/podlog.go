// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package podlog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Logs are the logs of one container of a pod that was there under several UIDs.
type Logs struct {
	// FS is the kubelet's folder of logs.
	FS fs.FS
	// Namespace, Pod and Container are names.
	Namespace, Pod, Container string
}

// start is the log of one start of the container.
type start struct {
	name   string
	number int
	time   time.Time
}

var logName = regexp.MustCompile(`^([0-9]{1,9})\.log$`)

// Current is the folder of the pod whose container wrote last, empty if there is none. A kubelet starts a static pod
// only when the one before it has ended, so this is the pod that runs, or ran last.
func (l Logs) Current() (string, error) {
	folders, err := l.folders()
	if err != nil {
		return "", err
	}
	var current string
	var last time.Time
	for _, folder := range folders {
		for _, s := range l.starts(folder) {
			if current == "" || s.time.After(last) {
				current, last = folder, s.time
			}
		}
	}
	return current, nil
}

// folders are those of all pods of the name.
func (l Logs) folders() ([]string, error) {
	entries, err := fs.ReadDir(l.FS, ".")
	if err != nil {
		return nil, fmt.Errorf("list the folder of logs: %w", err)
	}
	var folders []string
	for _, e := range entries {
		uid, ok := strings.CutPrefix(e.Name(), l.Namespace+"_"+l.Pod+"_")
		if ok && e.IsDir() && !strings.Contains(uid, "_") {
			folders = append(folders, e.Name())
		}
	}
	return folders, nil
}

// starts are the logs in a folder, the newest first. What can't be listed has none: a kubelet removes folders.
func (l Logs) starts(folder string) []start {
	entries, err := fs.ReadDir(l.FS, path.Join(folder, l.Container))
	if err != nil {
		return nil
	}
	var list []start
	for _, e := range entries {
		m := logName.FindStringSubmatch(e.Name())
		if m == nil || e.IsDir() {
			continue
		}
		info, err := e.Info()
		number, errNumber := strconv.Atoi(m[1])
		if err != nil || errNumber != nil {
			continue
		}
		list = append(list, start{name: path.Join(folder, l.Container, e.Name()), number: number, time: info.ModTime()})
	}
	slices.SortFunc(list, func(a, b start) int { return cmp.Compare(b.number, a.number) })
	return list
}

const (
	// window is how much of the end of a log is read.
	window = 256 << 10
	// maxStarts is how many logs are looked into: of a container that is started again and again the newest may be empty.
	maxStarts = 4
)

// Last are the last messages of a pod's container, at most n, oldest first. They are of its last start that said
// anything, and are as they were written: give each to Scrubber.Line.
func (l Logs) Last(folder string, n int) []string {
	starts := l.starts(folder)
	for _, s := range starts[:min(len(starts), maxStarts)] {
		if messages := l.read(s.name); len(messages) > 0 {
			return messages[max(0, len(messages)-n):]
		}
	}
	return nil
}

// read reads the end of a log that is a plain file. A message that is not whole is left out: a part of a key could not be
// told from a word.
func (l Logs) read(name string) []string {
	file, err := l.FS.Open(name)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	at, seekable := file.(io.ReaderAt)
	if err != nil || !info.Mode().IsRegular() || !seekable {
		return nil
	}
	offset := max(0, info.Size()-window)
	data := make([]byte, min(info.Size(), window))
	n, err := at.ReadAt(data, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return messages(string(data[:n]), offset > 0)
}

var criLine = regexp.MustCompile(`^\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d) (?:stdout|stderr) ([PF])(?::[A-Z:]*)? (.*)$`)

// messages takes lines apart and puts those together that the container runtime has split. Lines of another format are
// messages as they are. What has no end yet is left out too.
func messages(text string, cut bool) []string {
	if cut {
		_, text, _ = strings.Cut(text, "\n")
	}
	text = text[:strings.LastIndexByte(text, '\n')+1]
	var list []string
	begun := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		partial := false
		if m := criLine.FindStringSubmatch(line); m != nil {
			partial, line = m[1] == "P", m[2]
		}
		begun += line
		if partial {
			continue
		}
		if begun != "" && !cut {
			list = append(list, begun)
		}
		begun, cut = "", false
	}
	return list
}
