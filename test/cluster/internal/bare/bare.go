// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bare runs a control plane of plain processes on the loopback: one
// etcd, one to three kube-apiservers and a kube-controller-manager. There is
// no kubelet and no container, and nobody needs to be root for it.
package bare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/encryption"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubernetes"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/process"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
)

const (
	// MaxSize is how many kube-apiservers there are at most.
	MaxSize = 3
	// stopGrace is what a process gets to end by itself when all is taken
	// down and nothing that it holds will be wanted again.
	stopGrace = time.Second
)

// Options say what control plane to start.
type Options struct {
	Dir        string
	Kubernetes string
	APIServers int
	Encryption string
	ReloadPoll time.Duration
	// Audit has each kube-apiserver write an audit log.
	Audit bool
	// EtcdPrefix is what all keys of the kube-apiservers begin with, as
	// kube-apiserver is given it; empty for its default.
	EtcdPrefix string
	// EtcdOverrides are resources, as group/resource, that are kept in a
	// second etcd of their own.
	EtcdOverrides []string
}

// overridden is a resource, or all of a group, as kube-apiserver's flag
// --etcd-servers-overrides has it.
var overridden = regexp.MustCompile(`^[a-z0-9.-]*/([a-z0-9.-]+|\*)$`)

// Validate reports what is wrong with the options.
func (o Options) Validate() error {
	if o.APIServers < 1 || o.APIServers > MaxSize {
		return fmt.Errorf("a bare control plane has 1 to %d kube-apiservers, not %d", MaxSize, o.APIServers)
	}
	if o.ReloadPoll <= 0 {
		return fmt.Errorf("the reload poll must be longer than nothing, not %s", o.ReloadPoll)
	}
	for _, resource := range o.EtcdOverrides {
		if !overridden.MatchString(resource) {
			return fmt.Errorf("a resource for the second etcd is of the form group/resource, such as /events or apps/deployments, not %q", resource)
		}
	}
	return encryption.Validate(o.Encryption)
}

func (o Options) shape() state.Shape {
	return state.Shape{
		KubernetesVersion: o.Kubernetes, Size: o.APIServers, Encryption: o.Encryption,
		ReloadPoll: o.ReloadPoll.String(), Audit: o.Audit,
		EtcdPrefix: o.EtcdPrefix, EtcdOverrides: strings.Join(o.EtcdOverrides, ","),
	}
}

// Harness works on one bare control plane.
type Harness struct {
	state   *state.Bare
	log     io.Writer
	program string
}

// OpenLocked is Open for a command that changes the control plane, while no other
// does. Where nothing was started, no folder is made either.
func OpenLocked(dir string, log io.Writer) (*Harness, func(), error) {
	if _, err := Open(dir, log); err != nil {
		return nil, nil, err
	}
	unlock, err := state.Lock(dir)
	if err != nil {
		return nil, nil, err
	}
	// Again, since what another command wrote counts.
	harness, err := Open(dir, log)
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return harness, unlock, nil
}

func newHarness(known *state.Bare, log io.Writer) (*Harness, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return &Harness{state: known, log: log, program: program}, nil
}

// Open returns a harness for the control plane that was started in dir.
func Open(dir string, log io.Writer) (*Harness, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find folder: %w", err)
	}
	known, err := state.LoadBare(dir)
	if err != nil {
		return nil, fmt.Errorf("find control plane in %s: %w", dir, err)
	}
	return newHarness(known, log)
}

// Up starts a control plane, or finds that it runs already. One that fails to
// start is taken away again.
func Up(ctx context.Context, options Options, log io.Writer) error {
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return fmt.Errorf("find folder: %w", err)
	}
	unlock, err := state.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	if done, err := settle(ctx, dir, options, log); done || err != nil {
		return err
	}
	build, err := kubernetes.Get(ctx, options.Kubernetes, log)
	if err != nil {
		return err
	}
	plan, err := newState(ctx, dir, options, build.Binary)
	if err != nil {
		return err
	}
	h, err := newHarness(plan, log)
	if err != nil {
		return err
	}
	if err := h.start(ctx); err != nil {
		return h.giveUp(ctx, err)
	}
	h.say("the control plane runs: kubeconfig %s", h.state.Kubeconfig)
	return nil
}

// settle looks at what dir already holds. It reports true if that is what is
// asked for, and clears away what a lost one left.
func settle(ctx context.Context, dir string, options Options, log io.Writer) (bool, error) {
	known, err := state.LoadBare(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	h, err := newHarness(known, log)
	if err != nil {
		return false, err
	}
	if !known.Alive() || !known.Ready {
		h.say("an earlier control plane in %s did not end well: clearing it away", dir)
		return false, h.takeDown(ctx)
	}
	if known.Shape != options.shape() {
		return false, fmt.Errorf("a control plane of another shape runs in %s (%s): take it down first, with `cluster bare down --dir %s`", dir, known.Shape, dir)
	}
	h.say("already running: %s, kubeconfig %s", known.Shape, known.Kubeconfig)
	return true, nil
}

// Down ends the control plane in dir and removes its files. Where there is
// none, there is nothing to do.
func Down(ctx context.Context, dir string, log io.Writer) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, state.BareFile)); errors.Is(err, fs.ErrNotExist) {
		_, _ = fmt.Fprintf(log, "no control plane in %s\n", dir)
		return nil
	}
	h, unlock, err := OpenLocked(dir, log)
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.takeDown(ctx); err != nil {
		return err
	}
	h.say("the control plane in %s is gone", dir)
	return nil
}

func (h *Harness) takeDown(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	for _, id := range h.state.Processes() {
		errs = append(errs, process.Stop(ctx, id, stopGrace))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take down control plane: %w", err)
	}
	// Last the file by which the others are found.
	for _, file := range append(h.files(), state.BareFile) {
		if err := os.RemoveAll(filepath.Join(h.state.Dir, file)); err != nil {
			return fmt.Errorf("remove files: %w", err)
		}
	}
	return nil
}

// files lists what the harness makes in the control plane's folder.
func (h *Harness) files() []string {
	files := []string{"pki", firstEtcd, secondEtcd, "controller-manager", "balancer", "kubeconfig", "audit-policy.yaml"}
	for _, server := range h.state.APIServers {
		files = append(files, server.Name, filepath.Base(server.Kubeconfig))
	}
	return files
}

func (h *Harness) say(format string, args ...any) {
	_, _ = fmt.Fprintf(h.log, format+"\n", args...)
}

// path is a file of the control plane.
func (h *Harness) path(parts ...string) string {
	return filepath.Join(append([]string{h.state.Dir}, parts...)...)
}
