// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package open_test

import (
	"flag"
	"io"
	"os"
	"testing"

	"k8s.io/klog/v2"
)

// Upstream's transformers log what they can't read. Tests that ask them say so by themselves.
func TestMain(m *testing.M) {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	_ = flags.Parse([]string{"-logtostderr=false", "-stderrthreshold=FATAL", "-alsologtostderr=false"})
	klog.SetOutput(io.Discard)
	os.Exit(m.Run())
}
