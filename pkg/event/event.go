// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package event holds what a long command tells while it works. A live line on a terminal, plain lines elsewhere
// and JSON lines with -o json are three consumers of the same stream.
//
// With -o json each event is one line: an object with "event" (the kind), "time" (RFC 3339, UTC) and the fields of
// the struct below. Fields and kinds are added over time; they are not renamed or taken away within v1alpha1.
//
// No event carries key material.
package event

import "time"

// Event is one thing that happened.
type Event interface {
	// Kind is the event's name in JSON.
	Kind() string
}

// Sink takes events. It must not block for long, and is called from one goroutine at a time.
type Sink func(Event)

// StepStarted says that a step of a plan begins.
type StepStarted struct {
	// Number counts from 1 to Total. Total can grow when the plan does.
	Number int `json:"number"`
	Total  int `json:"total"`
	// Stage is the stable name of the step: add-read-key, await, promote, settle, migrate, prune, close ….
	Stage string `json:"stage"`
	// Text says for people what the step does.
	Text string `json:"text"`
}

// StepProgress says how far the current step is.
type StepProgress struct {
	Stage string `json:"stage"`
	// Done of Total, in Unit ("kube-apiservers", "nodes").
	Done  int    `json:"done"`
	Total int    `json:"total"`
	Unit  string `json:"unit"`
	// Detail names what is waited for.
	Detail string `json:"detail,omitempty"`
}

// MigrationProgress says how far the migration of one resource is.
type MigrationProgress struct {
	Resource string `json:"resource"`
	Done     int64  `json:"done"`
	// Total is an estimate until the last page is listed.
	Total    int64   `json:"total"`
	Migrated int64   `json:"migrated"`
	Failed   int64   `json:"failed"`
	Rate     float64 `json:"ratePerSecond"`
	// Left is the estimated time left in seconds, negative if unknown.
	Left float64 `json:"secondsLeft"`
	// Workers is how many objects may be written at the same time now. It follows the latency of the API server. 0 if
	// somebody else decides that.
	Workers int `json:"workers,omitempty"`
	// Held says that nothing is written right now, until etcd has room again.
	Held bool `json:"held,omitempty"`
}

// StepDone says that the current step has had its effect and that this was verified.
type StepDone struct {
	Number  int           `json:"number"`
	Total   int           `json:"total"`
	Stage   string        `json:"stage"`
	Text    string        `json:"text"`
	Elapsed time.Duration `json:"elapsedNanoseconds"`
}

// Notice is something that people should know and that stops nothing.
type Notice struct {
	Text string `json:"text"`
}

// Warning is something that people should look at and that stops nothing.
type Warning struct {
	Text string `json:"text"`
}

// Finished is the last event of a command that reached its goal.
type Finished struct {
	Text    string        `json:"text"`
	Elapsed time.Duration `json:"elapsedNanoseconds"`
}

// Failed is the last event of a command that did not.
type Failed struct {
	Error string   `json:"error"`
	Stage string   `json:"stage,omitempty"`
	Safe  string   `json:"safe,omitempty"`
	Hints []string `json:"hints,omitempty"`
}

// Kind implements Event.
func (StepStarted) Kind() string { return "step-started" }

// Kind implements Event.
func (StepProgress) Kind() string { return "step-progress" }

// Kind implements Event.
func (MigrationProgress) Kind() string { return "migration-progress" }

// Kind implements Event.
func (StepDone) Kind() string { return "step-done" }

// Kind implements Event.
func (Notice) Kind() string { return "notice" }

// Kind implements Event.
func (Warning) Kind() string { return "warning" }

// Kind implements Event.
func (Finished) Kind() string { return "finished" }

// Kind implements Event.
func (Failed) Kind() string { return "failed" }
