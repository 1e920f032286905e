// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package probe is the foreground: a reader and a writer of other objects, with few requests and no part in the
// migration, who only want an answer soon.
package probe

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/rig"
)

// interval is the time between two reads, and between two writes: 20 a second of each.
const interval = 50 * time.Millisecond

// Latencies of all requests, in milliseconds.
type Latencies struct {
	Reads  []float64 `json:"reads"`
	Writes []float64 `json:"writes"`
}

// Run sends requests until the context ends, at fixed times whether or not the one before was answered: a server
// that stands still for a second delays twenty of them. It calls ready when the first answers have come, which are
// not counted: they pay for the connection.
func Run(ctx context.Context, config *rest.Config, ready func()) (Latencies, error) {
	client, err := kubernetes.NewForConfig(rig.AsForeground(config))
	if err != nil {
		return Latencies{}, fmt.Errorf("connect: %w", err)
	}
	objects := client.CoreV1().ConfigMaps(rig.ForegroundNamespace)
	read := func(ctx context.Context, i int) error {
		_, err := objects.Get(ctx, rig.ForegroundObject(i), metav1.GetOptions{})
		return err
	}
	write := func(ctx context.Context, i int) error {
		body := fmt.Appendf(nil, `{"data":{"value":"%d-%d"}}`, time.Now().UnixNano(), i)
		_, err := objects.Patch(ctx, rig.ForegroundObject(i), types.MergePatchType, body, metav1.PatchOptions{})
		return err
	}
	for i := range 5 {
		if err := read(ctx, i); err != nil {
			return Latencies{}, fmt.Errorf("read: %w", err)
		}
		if err := write(ctx, i); err != nil {
			return Latencies{}, fmt.Errorf("write: %w", err)
		}
	}
	ready()
	var l Latencies
	var errRead, errWrite error
	var both sync.WaitGroup
	both.Go(func() { l.Reads, errRead = repeat(ctx, read) })
	both.Go(func() { l.Writes, errWrite = repeat(ctx, write) })
	both.Wait()
	if errRead != nil {
		return Latencies{}, fmt.Errorf("read: %w", errRead)
	}
	if errWrite != nil {
		return Latencies{}, fmt.Errorf("write: %w", errWrite)
	}
	return l, nil
}

// repeat sends requests until the context ends, and awaits those that were sent.
func repeat(ctx context.Context, request func(context.Context, int) error) (took []float64, failed error) {
	var mu sync.Mutex
	var sent sync.WaitGroup
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			sent.Wait()
			return took, failed
		case <-ticker.C:
		}
		sent.Go(func() {
			began := time.Now()
			err := request(context.WithoutCancel(ctx), i)
			ms := float64(time.Since(began)) / float64(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, ms)
			if err != nil {
				failed = err
			}
		})
	}
}
