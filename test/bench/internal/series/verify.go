// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/measure"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
)

// Readers of what is stored, all of which are in every round.
func Readers() []string {
	return []string{
		result.ReaderAgent, result.ReaderAgentDecrypt, result.ReaderAgentAll, result.ReaderClient10000, result.ReaderClient2000,
		result.ReaderOffline, result.ReaderOfflineDecrypt,
	}
}

// Verify writes the reader's values into etcd and a snapshot, and runs rounds of all readers, in an order that is drawn anew for
// each. What was read before an error comes with it.
func Verify(ctx context.Context, r *measure.Reader, rounds int, random *rand.Rand, log io.Writer) (readings []result.Reading, err error) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(log, format+"\n", args...) }
	say("writing %d values of %d bytes", r.Values.Count, r.Values.Size)
	if err := r.Rig.FillValues(ctx, r.Values); err != nil {
		return nil, err
	}
	if err := r.Rig.SaveSnapshot(ctx, r.Snapshot); err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(r.Snapshot) }()
	for round := 1; round <= rounds; round++ {
		for _, i := range random.Perm(len(Readers())) {
			reading, err := r.Read(ctx, Readers()[i])
			if err != nil {
				return readings, err
			}
			reading.Round = round
			readings = append(readings, reading)
			if reading.Void != "" {
				say("  round %2d  %7d  %-15s void: %s", round, reading.Values, reading.Reader, reading.Void)
				continue
			}
			say("  round %2d  %7d  %-15s %7.0f/s  wall %5.2fs  cpu %5.2f+%5.2fs  %4d MiB  foreign %.0f%%",
				round, reading.Values, reading.Reader, reading.Rate(), reading.Wall, reading.Client, reading.Etcd, reading.Peak>>20,
				(reading.Foreign+reading.Steal)*100)
		}
	}
	return readings, nil
}
