// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Folder is where etcd holds Secrets: kube-apiserver's prefix and the resource.
const Folder = "/registry/secrets/"

// pageBytes is about how much of etcd is read at a time.
const pageBytes = 8 << 20

// Stored counts the Secrets in etcd, and those among them whose stored value does not begin as those do that are
// stored with the write key. Of a value nothing but its beginning is looked at.
func (r *Rig) Stored(ctx context.Context, d Dataset) (all, others int, err error) {
	prefix := r.keys.prefix()
	from, end := Folder, clientv3.GetPrefixRangeEnd(Folder)
	limit := int64(max(1, pageBytes/(d.Size+1024)))
	for {
		page, err := r.page(ctx, from, end, limit)
		if err != nil {
			return 0, 0, err
		}
		for _, kv := range page.Kvs {
			all++
			if !bytes.HasPrefix(kv.Value, prefix) {
				others++
			}
			from = string(kv.Key) + "\x00"
		}
		if !page.More {
			return all, others, nil
		}
	}
}

func (r *Rig) page(ctx context.Context, from, end string, limit int64) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	page, err := r.etcd.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(limit))
	if err != nil {
		return nil, fmt.Errorf("read etcd: %w", err)
	}
	return page, nil
}

// Tidy has etcd forget all but the present and give the room back. A benchmark rewrites in minutes what a cluster
// rewrites in months, and would come to etcd's quota of 2 GiB between kube-apiserver's own compactions.
func (r *Rig) Tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	page, err := r.etcd.Get(ctx, Folder, clientv3.WithCountOnly())
	if err != nil {
		return fmt.Errorf("tidy etcd: %w", err)
	}
	if _, err := r.etcd.Compact(ctx, page.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		return fmt.Errorf("tidy etcd: %w", err)
	}
	if _, err := r.etcd.Defragment(ctx, r.Endpoint); err != nil {
		return fmt.Errorf("tidy etcd: %w", err)
	}
	return nil
}

// Size is the size of etcd's file, in bytes.
func (r *Rig) Size(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	status, err := r.etcd.Status(ctx, r.Endpoint)
	if err != nil {
		return 0, fmt.Errorf("ask etcd for its size: %w", err)
	}
	return status.DbSize, nil
}
