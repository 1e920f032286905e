// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// queueUp has so many come to the gate one after the other, and returns who got in so far.
func queueUp(ctx context.Context, g *gate, many int) (in func() []int) {
	entered := make(chan int, many)
	for i := range many {
		go func() {
			if g.enter(ctx) == nil {
				entered <- i
			}
		}()
		synctest.Wait()
	}
	var all []int
	return func() []int {
		synctest.Wait()
		for len(entered) > 0 {
			all = append(all, <-entered)
		}
		slices.Sort(all) // Those who are let in together report in any order.
		return all
	}
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		g := &gate{limit: 2}
		in := queueUp(ctx, g, 7)
		assert.Equal(t, []int{0, 1}, in(), "as many as may")
		g.leave()
		assert.Equal(t, []int{0, 1, 2}, in(), "one leaves, one comes, in turn")
		g.resize(4)
		assert.Equal(t, []int{0, 1, 2, 3, 4}, in(), "a higher limit lets more in")
		g.resize(2)
		g.leave()
		g.leave()
		assert.Equal(t, []int{0, 1, 2, 3, 4}, in(), "a lower one lets nobody in until enough have left")
		g.leave()
		assert.Equal(t, []int{0, 1, 2, 3, 4, 5}, in())
		cancel()
		synctest.Wait()
		assert.Empty(t, g.waiting, "who gives up does not stay in the queue")
		assert.Equal(t, 2, g.in)
		require.ErrorIs(t, g.enter(ctx), context.Canceled)
	})
}

func TestGate_givesUpWhenItsTurnHasCome(t *testing.T) {
	g := &gate{limit: 1, in: 1}
	turn, next := make(chan struct{}), make(chan struct{})
	g.waiting = []chan struct{}{turn, next}
	g.leave()
	g.giveUp(turn)
	assert.Empty(t, g.waiting, "the turn went on to the next")
	assert.Equal(t, 1, g.in)
	<-next
}
