// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// probeSize is more bytes than an installation needs in one folder: two revisions, the journal and the file itself, of the few
// KiB that a configuration has.
const probeSize = 64 << 10

// probe tells whether the folders that an installation writes to take what it writes: a read-only or full one is found before any
// node is changed. What is written is removed; if the agent dies before that, the next installation sweeps it.
func (s *Server) probe() error {
	config, h, err := s.openBoth()
	if err != nil {
		return err
	}
	defer config.close()
	defer h.close()
	if err := config.take(tempName(s.ConfigName, s.Run)); err != nil {
		return failf(agentapi.WriteFailed, "the folder of the encryption configuration takes no file: %s", reason(err))
	}
	if err := h.take(".probe-" + s.Run + tempSuffix); err != nil {
		return failf(agentapi.WriteFailed, "the folder of the history, %s, takes no file: %s", project.NodeHistoryDir, reason(err))
	}
	return nil
}

// take writes a file, durably, and removes it.
func (f *folder) take(name string) error {
	err := f.remove(name) // that of an agent of the same run, which died
	if err == nil {
		err = f.writeNew(name, make([]byte, probeSize))
	}
	return errors.Join(err, f.remove(name))
}
