// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
)

// plain is an error in the agent's own words, which may be shown.
type plain string

// Error implements error.
func (p plain) Error() string { return string(p) }

func plainf(format string, args ...any) error { return plain(fmt.Sprintf(format, args...)) }

// callError is an error of the operating system: what was being done, in our own words, and its word for the reason.
type callError struct {
	doing string
	err   error
}

// Error implements error. The error number is all that is told of the cause: everything else might quote a file.
func (c *callError) Error() string {
	if errno, ok := errors.AsType[syscall.Errno](c.err); ok {
		return c.doing + ": " + errno.Error()
	}
	return c.doing + ": unexpected error"
}

// Unwrap lets errors.Is find the cause.
func (c *callError) Unwrap() error { return c.err }

func callFailed(err error, format string, args ...any) error {
	return &callError{doing: fmt.Sprintf(format, args...), err: err}
}

func failf(code agentapi.Code, format string, args ...any) error {
	return &agentapi.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// reason is what may be shown of an error: what the agent itself has put into words, nothing else.
func reason(err error) string {
	if own, ok := errors.AsType[plain](err); ok {
		return own.Error()
	}
	if coded, ok := errors.AsType[*agentapi.Error](err); ok {
		return coded.Message
	}
	if call, ok := errors.AsType[*callError](err); ok {
		return call.Error()
	}
	return "unexpected error"
}

// coded is the error for the response: as it is if it has a code, with the given one otherwise.
func coded(err error, code agentapi.Code) *agentapi.Error {
	if has, ok := errors.AsType[*agentapi.Error](err); ok {
		return has
	}
	return &agentapi.Error{Code: code, Message: reason(err)}
}
