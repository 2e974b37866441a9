// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code says what went wrong in the only terms the callers decide by.
type Code string

// The codes. What each of them does to a Secret and to the schedule is the
// table of package outcome.
const (
	// NotFound: the store answered, and proved that there is no such secret.
	// The one code that may remove anything; in doubt it is another.
	NotFound Code = "NotFound"
	// PermissionDenied: logged in, but not allowed this secret. Also said by
	// stores that cannot tell "missing" from "forbidden".
	PermissionDenied Code = "PermissionDenied"
	// Unauthenticated: the store refuses the credentials.
	Unauthenticated Code = "Unauthenticated"
	// RateLimited: asked too often; RetryAfter says how long to wait.
	RateLimited Code = "RateLimited"
	// Unavailable: no answer, or one that says it will be better later.
	Unavailable Code = "Unavailable"
	// InvalidRef: the question itself cannot be right, whatever the store holds.
	InvalidRef Code = "InvalidRef"
	// Conflict: somebody else owns or changed it.
	Conflict Code = "Conflict"
	// Unknown: anything else; a high count of these is a bug in a backend.
	Unknown Code = "Unknown"
)

// Error is a failure of a backend. It must not contain secret bytes; texts of
// a remote server do not belong in it, for servers echo what they were sent.
type Error struct {
	Code Code
	// Message is for people, in our own words, and a pure function of the
	// problem: no time, no count, no request id.
	Message string
	// RetryAfter is how long the store asked us to wait, or zero.
	RetryAfter time.Duration
	// Err is the cause, or nil. It is not part of the message.
	Err error
}

// Errorf makes an *Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error returns the message.
func (e *Error) Error() string {
	if e.Message == "" {
		return string(e.Code)
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the outermost *Error, Unavailable for a bare
// context error and Unknown for any other. "" is success. It does not look
// into causes: an Unavailable that a NotFound caused must never delete.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Unavailable
	}
	return Unknown
}

// RetryAfterOf returns how long the store asked us to wait, or zero.
func RetryAfterOf(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}
