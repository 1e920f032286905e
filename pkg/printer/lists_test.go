// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package printer_test

import (
	"errors"
	"math"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
)

// timed is an event that comes some time after the one before it.
type timed struct {
	after time.Duration
	event event.Event
}

// lists are event lists by the name of their golden files. Every printer shows every list.
func lists() map[string][]timed {
	return map[string][]timed{
		"rotation":          rotation(),
		"interrupted":       interrupted(),
		"failed-early":      {{0, event.Failed{Error: "no such cluster", Hints: []string{"look at the context"}}}},
		"hostile":           hostile(),
		"odd-numbers":       oddNumbers(),
		"nothing-to-do":     {{time.Second, event.Finished{Text: "already so: key 8 writes everywhere", Elapsed: time.Second}}},
		"growing-plan":      growingPlan(),
		"held":              held(),
		"text-without-room": textWithoutRoom(),
		"silence":           {{0, started(1, 1, "await", "wait for 3 kube-apiservers")}, {time.Minute, nil}},
	}
}

func started(number, total int, stage, text string) event.StepStarted {
	return event.StepStarted{Number: number, Total: total, Stage: stage, Text: text}
}

func done(number, total int, stage, text string, elapsed time.Duration) event.StepDone {
	return event.StepDone{Number: number, Total: total, Stage: stage, Text: text, Elapsed: elapsed}
}

func migrated(n, total int64, rate, left float64) event.MigrationProgress {
	return event.MigrationProgress{Resource: "secrets", Done: n, Total: total, Migrated: n, Rate: rate, Left: left}
}

func rotation() []timed {
	failing := migrated(1000, 1204, 48.4, 4.2)
	failing.Failed = 1
	return []timed{
		{0, event.Notice{Text: "rotation 3 of cluster prod"}},
		{0, started(1, 3, "add-read-key", "add key 8 as read key")},
		{time.Second, event.StepProgress{Stage: "add-read-key", Done: 1, Total: 3, Unit: "kube-apiservers", Detail: "waits for cp-2, cp-3"}},
		{12 * time.Second, event.StepProgress{Stage: "add-read-key", Done: 3, Total: 3, Unit: "kube-apiservers"}},
		{28 * time.Second, done(1, 3, "add-read-key", "add key 8 as read key", 41*time.Second)},
		{0, started(2, 3, "migrate", "migrate secrets")},
		{time.Second, migrated(0, 1204, 0, -1)},
		{2 * time.Second, migrated(97, 1204, 48.4, 23)},
		{3 * time.Second, event.Warning{Text: `a webhook refused secrets "a/b"`}},
		{15 * time.Second, failing},
		{4 * time.Second, done(2, 3, "migrate", "migrate secrets", 25*time.Second)},
		{0, started(3, 3, "prune", "remove key 6")},
		{100 * time.Millisecond, done(3, 3, "prune", "remove key 6", 100*time.Millisecond)},
		{0, event.MigrationReported{Report: &v1alpha1.MigrationReport{}}},
		{0, event.Finished{Text: "key 8 writes; 1203 secrets migrated, 1 failed", Elapsed: 66 * time.Second}},
	}
}

func interrupted() []timed {
	return []timed{
		{0, started(2, 6, "promote", "promote key 8")},
		{3 * time.Second, event.StepProgress{Stage: "promote", Done: 2, Total: 3, Unit: "kube-apiservers"}},
		{9 * time.Second, event.Failed{
			Error: "kube-apiserver on cp-2 still runs config sha256:0c77", Stage: "promote", Safe: "safe to leave",
			Hints: []string{"kubectl encryption rotate --resume"},
		}},
	}
}

// hostile has text that would take over a terminal, in every field that holds text.
func hostile() []timed {
	const bad = "a\x1b[2J\x1b]0;owned\a\u202e\nerror: b\u009b31m\xff"
	return []timed{
		{0, started(1, 2, bad, "step "+bad)},
		{time.Second, event.StepProgress{Stage: bad, Done: 1, Total: 2, Unit: bad, Detail: bad}},
		{11 * time.Second, event.Notice{Text: bad}},
		{0, event.Warning{Text: bad}},
		{0, done(1, 2, bad, "step "+bad, time.Second)},
		{0, started(2, 2, bad, bad)},
		{0, event.MigrationProgress{Resource: bad, Done: 1, Total: 2, Left: -1}},
		{11 * time.Second, event.Failed{Error: errors.New(bad).Error(), Stage: bad, Safe: bad, Hints: []string{bad}}},
		{0, event.Finished{Text: bad}},
	}
}

func oddNumbers() []timed {
	list := []timed{{0, started(1, 1, "migrate", "migrate")}}
	for _, e := range []event.MigrationProgress{
		migrated(0, 0, 0, 0),
		migrated(5, 0, math.NaN(), math.NaN()),
		migrated(5, 4, math.Inf(1), math.Inf(1)),
		migrated(1, 3, -1, -1),
		migrated(999_999, 1_000_000, 812.6, 3723),
		migrated(math.MaxInt64, math.MaxInt64, math.MaxFloat64, math.MaxFloat64),
	} {
		list = append(list, timed{11 * time.Second, e})
	}
	return append(list, timed{11 * time.Second, done(1, 1, "migrate", "migrate", 77*time.Second)})
}

// held is a migration that waits for etcd and goes on by itself.
func held() []timed {
	waiting := migrated(400, 1204, 12, 60)
	waiting.Held, waiting.Workers = true, 4
	return []timed{
		{0, started(1, 1, "migrate", "migrate secrets")},
		{time.Second, event.Warning{Text: "etcd on n1 has 18 % of its quota free: nothing is written until it has 25 %"}},
		{time.Second, waiting},
		{30 * time.Second, event.Notice{Text: "etcd on n1 has room again"}},
		{time.Second, migrated(1204, 1204, 48, 0)},
		{time.Second, done(1, 1, "migrate", "migrate secrets", 34*time.Second)},
	}
}

func growingPlan() []timed {
	return []timed{
		{0, started(1, 2, "push", "hand on the file to cp-3")},
		{time.Second, done(1, 2, "push", "hand on the file to cp-3", time.Second)},
		{0, started(2, 3, "await", "wait for kube-apiservers")},
		{2 * time.Second, done(2, 3, "await", "wait for kube-apiservers", 2*time.Second)},
		{0, started(3, 3, "close", "close the record")},
		{90 * time.Minute, done(3, 3, "close", "close the record", 90*time.Minute)},
	}
}

func textWithoutRoom() []timed {
	const text = "wait until the kube-apiservers on cp-1, cp-2, cp-3, cp-4, cp-5, cp-6 and cp-7 have loaded 日本語日本語"
	return []timed{
		{0, started(1, 1, "await", text)},
		{time.Second, migrated(812, 1204, 48, 8)},
		{time.Second, event.StepProgress{Stage: "await", Done: 1, Total: 7, Unit: "kube-apiservers", Detail: text}},
		{9 * time.Second, done(1, 1, "await", text, 11*time.Second)},
	}
}
