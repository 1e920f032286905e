// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"context"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/machine"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/rig"
)

// Page reads a range in pages with etcd's own client, at one revision and serializable, and does nothing with it.
func Page(ctx context.Context, endpoint, prefix string, limit int64) (Paged, error) {
	began := time.Now()
	client, err := rig.NewEtcd(endpoint)
	if err != nil {
		return Paged{}, err
	}
	defer func() { _ = client.Close() }()
	var paged Paged
	var revision int64
	from, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for more := true; more; {
		page, err := client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(limit), clientv3.WithRev(revision), clientv3.WithSerializable())
		if err != nil {
			return Paged{}, fmt.Errorf("read etcd: %w", err)
		}
		paged.Values += len(page.Kvs)
		if revision == 0 {
			revision = page.Header.Revision
		}
		if more = page.More; more {
			from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		}
	}
	paged.Seconds = time.Since(began).Seconds()
	paged.Peak, err = machine.PeakMemory(os.Getpid())
	return paged, err
}
