// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"io"
	"runtime/debug"

	"google.golang.org/grpc/grpclog"
)

// softMemory is how many bytes the agent has before it collects garbage harder. Its container has a quarter more.
const softMemory = 96 << 20

// quiet lets the library that talks to etcd log nothing: what the agent prints is answers in its own words. It also keeps the
// agent well within its container's memory.
func quiet() {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	debug.SetMemoryLimit(softMemory)
}
