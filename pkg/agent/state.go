// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

func (s *Server) openConfig() (*folder, error) {
	return openFolder(s.ConfigDir, "config", s.Owner, s.before)
}

func (s *Server) openHistory() (history, error) {
	f, err := openFolder(s.HistoryDir, "history", s.Owner, s.before)
	return history{folder: f}, err
}

// state tells what is on the node. It changes nothing and takes no lock.
func (s *Server) state() *agentapi.State {
	st := &agentapi.State{PublicKey: s.identity.PublicKey(), Manifest: s.describeManifest()}
	config := s.describeConfig(st)
	history := s.describeHistory(st)
	if problem := cmp.Or(config, history); problem != nil {
		st.Problem = coded(problem, agentapi.Unreadable)
	}
	st.HistoryDamaged = history != nil
	return st
}

func (s *Server) describeConfig(st *agentapi.State) error {
	file, err := s.readConfig()
	if err != nil {
		return err
	}
	defer clear(file.data)
	st.Digest, st.ModTime = encconfig.Digest(file.data), file.modTime
	st.Mode = fmt.Sprintf("%04o", file.mode)
	doc, err := parseConfig(file.data)
	if err != nil {
		return err
	}
	desc := doc.Describe()
	st.Config = &desc
	return nil
}

// describeHistory fills in what the history tells, and the highest key of both, so it comes after describeConfig.
func (s *Server) describeHistory(st *agentapi.State) error {
	if st.Config != nil {
		st.HighestKey, st.HighestWritten = highest(*st.Config), highestWritten(*st.Config)
	}
	h, err := s.openHistory()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was ever installed here
	}
	if err != nil {
		return historyProblem(err)
	}
	defer h.close()
	left, err := h.interrupted()
	if left != nil {
		st.Interrupted = &agentapi.Installation{From: left.From, To: left.To}
	}
	revisions, errRevisions := h.describe()
	st.History = revisions
	for _, r := range revisions {
		st.HighestKey = max(st.HighestKey, highest(r.Config))
		st.HighestWritten = max(st.HighestWritten, highestWritten(r.Config))
	}
	mark, errMark := h.mark()
	written, errWritten := h.written()
	st.HighestKey, st.HighestWritten = max(st.HighestKey, mark), max(st.HighestWritten, written)
	return historyProblem(cmp.Or(err, errMark, errWritten, errRevisions))
}

func historyProblem(err error) error {
	if err == nil {
		return nil
	}
	return failf(agentapi.Unreadable, "the history of this node can't be used: %s", reason(err))
}

// readConfig reads the configuration file through a folder that is opened afresh.
func (s *Server) readConfig() (content, error) {
	f, err := s.openConfig()
	if err != nil {
		return content{}, unreadable(err)
	}
	defer f.close()
	file, err := f.read(s.ConfigName, encconfig.MaxSize)
	if err != nil {
		return content{}, unreadable(err)
	}
	return file, nil
}

// unreadable is what is said about a configuration file that can't be read.
func unreadable(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return failf(agentapi.Missing, "the encryption configuration is not there: %s", reason(err))
	}
	return failf(agentapi.Unreadable, "the encryption configuration can't be read: %s", reason(err))
}

// parseConfig parses a configuration. The messages of package encconfig are made to be shown.
func parseConfig(data []byte) (*encconfig.Document, error) {
	doc, err := encconfig.Parse(data)
	if err != nil {
		return nil, failf(agentapi.Invalid, "the encryption configuration is not understood: %v", err)
	}
	return doc, nil
}
