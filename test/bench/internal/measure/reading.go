// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/machine"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/rig"
)

// verifyWithin is how long verify has the agent count for one request (pkg/verify, within).
const verifyWithin = 3 * time.Second

// Reader reads values in the ways that are compared.
type Reader struct {
	Rig *rig.Rig
	// Bench, Agent and Plugin are programs.
	Bench, Agent, Plugin string
	Values               *rig.Values
	// Snapshot is a file that holds the values; Dir is for what else is needed.
	Snapshot, Dir string
}

// read is what one reader did.
type read struct {
	values, requests int
	wall             time.Duration
	cpu              time.Duration
	peak             int64
}

// Read has one reader read every value once.
func (r *Reader) Read(ctx context.Context, reader string) (result.Reading, error) {
	reading := result.Reading{Values: r.Values.Count, Reader: reader}
	began := time.Now()
	load, err := machine.ReadLoad()
	if err != nil {
		return reading, err
	}
	etcd, err := machine.CPU(r.Rig.PIDs.Etcd)
	if err != nil {
		return reading, err
	}
	own, err := machine.CPU(os.Getpid())
	if err != nil {
		return reading, err
	}
	did, failed := r.by(ctx, reader)
	if ctx.Err() != nil {
		return reading, ctx.Err()
	}
	switch {
	case failed != nil:
		reading.Void = failed.Error()
	case did.values != r.Values.Count:
		reading.Void = fmt.Sprintf("of %d values %d were told", r.Values.Count, did.values)
	}
	etcdAfter, err := machine.CPU(r.Rig.PIDs.Etcd)
	if err != nil {
		return reading, err
	}
	ownAfter, err := machine.CPU(os.Getpid())
	if err != nil {
		return reading, err
	}
	after, err := machine.ReadLoad()
	if err != nil {
		return reading, err
	}
	reading.Wall, reading.Client, reading.Etcd = did.wall.Seconds(), did.cpu.Seconds(), (etcdAfter - etcd).Seconds()
	reading.Peak, reading.Requests, reading.Load1 = did.peak, did.requests, after.Average1
	capacity := time.Since(began).Seconds() * float64(runtime.NumCPU())
	reading.Steal = (after.Steal - load.Steal).Seconds() / capacity
	known := reading.Client + reading.Etcd + (ownAfter - own).Seconds()
	reading.Foreign = max(0, (after.Busy-load.Busy).Seconds()-known) / capacity
	return reading, nil
}

func (r *Reader) by(ctx context.Context, reader string) (read, error) {
	switch reader {
	case result.ReaderAgent:
		return r.byAgent(ctx, agentapi.Counting{Names: 100}, false)
	case result.ReaderAgentDecrypt:
		return r.byAgent(ctx, agentapi.Counting{Names: 100, Decrypt: true}, false)
	case result.ReaderAgentAll:
		return r.byAgent(ctx, agentapi.Counting{Names: -1}, true)
	case result.ReaderClient10000:
		return r.byClient(ctx, 10_000)
	case result.ReaderClient2000:
		return r.byClient(ctx, 2000)
	case result.ReaderOffline:
		return r.offline(ctx)
	case result.ReaderOfflineDecrypt:
		return r.offline(ctx, "--decrypt")
	}
	return read{}, fmt.Errorf("no reader is called %q", reader)
}

// byAgent has an agent count. Where all values are stale and all names are asked for, the names are what counts.
func (r *Reader) byAgent(ctx context.Context, ask agentapi.Counting, stale bool) (did read, err error) {
	config := r.Values.Config(stale)
	agent, err := StartAgent(ctx, r.Agent, config)
	if err != nil {
		return read{}, err
	}
	ask.Resource = etcdkey.Resource{Name: "secrets", Scope: etcdkey.Namespaced}
	ask.Prefix, ask.Servers, ask.Config, ask.Within = rig.ValuesPrefix, []string{r.Rig.Endpoint}, encconfig.Digest(config), verifyWithin
	began := time.Now()
	did.requests, err = agent.count(ask, func(c *agentapi.Counted) {
		for _, t := range c.Tallies {
			for _, g := range t.Groups {
				switch {
				case stale:
					did.values += len(g.Names)
				case g.State == "current":
					did.values += int(g.Objects)
				}
			}
		}
	})
	did.wall = time.Since(began)
	if err == nil {
		did.peak, err = machine.PeakMemory(agent.cmd.Process.Pid)
	}
	if ended := agent.end(); err == nil {
		err = ended
	}
	did.cpu = agent.cmd.ProcessState.UserTime() + agent.cmd.ProcessState.SystemTime()
	return did, err
}

// Paged is what the bare client says.
type Paged struct {
	Values  int     `json:"values"`
	Seconds float64 `json:"seconds"`
	Peak    int64   `json:"peakBytes"`
}

// byClient pages with a bare client, a process of its own.
func (r *Reader) byClient(ctx context.Context, limit int) (read, error) {
	c := newChild(exec.CommandContext(ctx, r.Bench, "page", r.Rig.Endpoint, rig.ValuesPrefix+"/secrets/", strconv.Itoa(limit)))
	if err := c.start(); err != nil {
		return read{}, err
	}
	if err := c.wait(); err != nil {
		return read{}, err
	}
	var paged Paged
	if err := json.Unmarshal(c.out.Bytes(), &paged); err != nil {
		return read{}, fmt.Errorf("read what the client says: %w", err)
	}
	return read{values: paged.Values, wall: time.Duration(paged.Seconds * float64(time.Second)), cpu: c.cpu(), peak: paged.Peak}, nil
}

// offline has the plugin verify the snapshot.
func (r *Reader) offline(ctx context.Context, flags ...string) (read, error) {
	config := filepath.Join(r.Dir, "verify-config.yaml")
	if err := os.WriteFile(config, r.Values.Config(false), 0o600); err != nil {
		return read{}, fmt.Errorf("write configuration: %w", err)
	}
	defer func() { _ = os.Remove(config) }()
	args := append([]string{
		"verify", "--snapshot", r.Snapshot, "--config", config, "--etcd-prefix", rig.ValuesPrefix, "--resources", "secrets", "-o", "json",
	}, flags...)
	c := newChild(exec.CommandContext(ctx, r.Plugin, args...))
	began := time.Now()
	if err := c.start(); err != nil {
		return read{}, err
	}
	if err := c.wait(); err != nil {
		return read{}, err
	}
	did := read{wall: time.Since(began), cpu: c.cpu(), peak: c.peak.Load()}
	var report v1alpha1.VerificationReport
	if err := json.Unmarshal(c.out.Bytes(), &report); err != nil {
		return read{}, fmt.Errorf("read report: %w", err)
	}
	if report.Current != nil {
		did.values = int(*report.Current)
	}
	return did, nil
}
