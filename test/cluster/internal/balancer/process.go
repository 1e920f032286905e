// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package balancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/process"
)

// firstDescriptor is where a background balancer finds its listeners.
const firstDescriptor = 3

// Start runs a balancer in the background that listens on addresses, where
// port 0 stands for any free one. It returns who it is and what the addresses
// became. The program must call Serve with the arguments that follow "balancer".
func Start(ctx context.Context, program, backends, log string, addresses ...string) (process.Identity, []string, error) {
	var files []*os.File
	defer func() {
		for _, file := range files {
			_ = file.Close()
		}
	}()
	var bound []string
	for _, address := range addresses {
		// Listening is done here, so that no port can be lost to somebody
		// else between its choice and its use.
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return process.Identity{}, nil, fmt.Errorf("listen for balancer: %w", err)
		}
		bound = append(bound, listener.Addr().String())
		file, err := listener.(*net.TCPListener).File()
		_ = listener.Close()
		if err != nil {
			return process.Identity{}, nil, fmt.Errorf("pass listener to balancer: %w", err)
		}
		files = append(files, file)
	}
	id, err := process.Start(process.Spec{
		Path: program, Args: []string{"balancer", backends, strconv.Itoa(len(files))}, Log: log, Files: files,
	})
	return id, bound, err
}

// Serve is the other side of Start: it runs a balancer on listeners that the
// process was started with.
func Serve(ctx context.Context, backends string, listeners int) error {
	var inherited []net.Listener
	for descriptor := firstDescriptor; descriptor < firstDescriptor+listeners; descriptor++ {
		file := os.NewFile(uintptr(descriptor), "listener")
		listener, err := net.FileListener(file)
		if err != nil {
			return fmt.Errorf("take over listener: %w", err)
		}
		_ = file.Close()
		inherited = append(inherited, listener)
	}
	if len(inherited) == 0 {
		return errors.New("take over listeners: there is none")
	}
	return New(backends).Run(ctx, inherited...)
}

// WriteBackends replaces the file that lists the backends.
func WriteBackends(file string, addresses []string) error {
	temporary := file + ".new"
	if err := os.WriteFile(temporary, []byte(strings.Join(addresses, "\n")+"\n"), 0o644); err != nil {
		return fmt.Errorf("write backends: %w", err)
	}
	if err := os.Rename(temporary, file); err != nil {
		return fmt.Errorf("write backends: %w", err)
	}
	return nil
}
