// SPDX-License-Identifier: Apache-2.0

// Package backendtest is the one conformance suite for all backends. A
// backend's test describes a store in a Harness and calls Run; what the store
// must do is said here, once, as a list of checks that return errors.
//
// The suite tests nothing that is peculiar to a product. That a check can fail
// is tested too, on a good backend that is broken on purpose. The contract is
// package backend, and backends/memory/memorytest is a Harness to copy from.
package backendtest

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Canary is the text that the suite has a failing store say. No error may
// repeat it.
const Canary = "canary-7d1f0c93-echoed-by-the-server"

// A Login chooses what Harness.Open logs in with.
type Login int

// The logins.
const (
	Same    Login = iota // what Harness.Backend was opened with
	Other                // other credentials, which work as well
	Refused              // credentials that the store refuses
	Missing              // a configuration that names credentials that do not exist
)

// A Fault is how a store is to fail. The zero Fault is none.
type Fault struct {
	Code       backend.Code  // what a good backend makes of the failure
	RetryAfter time.Duration // whole seconds; what the store asks to wait, where the product can
	Canary     string        // what the store's own error text must contain
}

// A Harness is one empty store with a back door, made for one check. Back
// doors do not go through the Backend, and end the test themselves when they
// do not work. The fields of the first group are required.
type Harness struct {
	Name    string // of the backend, for the support matrix
	Backend backend.Backend
	// Seed puts a secret into the store and returns the Ref to it. It may have
	// another path than name: some products make ids of their own. Find yields
	// the same Ref.
	Seed func(name string, s backend.Secret) backend.Ref
	// Payloads and Fields say which shapes of Secret the store can be seeded
	// with. One of them is true.
	Payloads, Fields bool

	// Back doors. A check that needs one that is nil is skipped.

	// Open opens the store again, with an HTTP client of its own.
	Open func(context.Context, Login) (backend.Backend, backend.Identity, error)
	// Rotate replaces what ref holds by a new version.
	Rotate func(ref backend.Ref, s backend.Secret)
	// Previous returns the Ref to the version before the current one.
	Previous func(ref backend.Ref) backend.Ref
	// Remove takes the secret away.
	Remove func(ref backend.Ref)
	// Fail makes the store fail for ref, or for all it is asked when ref is
	// the zero Ref, until the next Fail for the same ref. It returns false
	// when the product cannot fail like that.
	Fail func(ref backend.Ref, f Fault) bool
	// Hold keeps reads of ref waiting until release is called, which may be
	// twice.
	Hold func(ref backend.Ref) (release func())
	// Calls counts requests for values that reached the store.
	Calls func() int
	// Requests counts requests of all kinds that left the process, logins and
	// listings included.
	Requests func() int
	// SeedMutating puts a secret into the store that reading changes.
	SeedMutating func(name string) backend.Ref
	// LeaseRef names something of which each read makes a credential.
	LeaseRef backend.Ref

	// Peculiarities. The zero value is the usual.

	// Plain undoes what the product adds to a secret that Seed or Write was
	// given, such as a field that wraps the payload.
	Plain func(ref backend.Ref, s backend.Secret) backend.Secret
	// NewRef is the Ref to write a secret of that name to that does not exist
	// yet; usually one with the name as path.
	NewRef func(name string) backend.Ref
	// BadRef cannot be right, whatever the store holds; usually the zero Ref.
	BadRef backend.Ref
	// Missing is PermissionDenied for products that cannot tell a missing
	// secret from a forbidden one; usually NotFound.
	Missing backend.Code
	// Page is the number of secrets on one page of Find. Make it small where
	// the store lets you.
	Page int
	// Canary is a part of the credentials that Open logs in with.
	Canary string
	// Patience is how long to wait for what should happen at once; usually ten
	// seconds.
	Patience time.Duration
	// Skips names checks that cannot hold for this product, and why: a value
	// of text cannot carry a NUL byte. The reason is printed in the matrix.
	Skips map[string]string
}

// A Check is one thing that the contract demands.
type Check struct {
	Name string
	// Needs is the capability without which the check means nothing.
	Needs backend.Capability
	// Skip returns why the harness cannot run the check, or "". It may be nil.
	Skip func(Harness) string
	// Run returns what is wrong, without secret bytes.
	Run func(context.Context, Harness) error
}

// Checks is the suite.
var Checks = slices.Concat(
	readChecks, versionChecks, faultChecks, openChecks, findChecks, writeChecks, watchChecks, leaseChecks,
)

// Try runs one check against a fresh harness.
func (c Check) Try(ctx context.Context, h Harness) (r Result) {
	r = Result{Backend: h.Name, Check: c.Name, Needs: c.Needs}
	if !slices.Contains(h.Backend.Capabilities(), c.Needs) {
		r.Outcome, r.Reason = Cannot, fmt.Sprintf("the backend cannot %s", c.Needs)
		return r
	}
	reason := h.Skips[c.Name]
	if reason == "" && c.Skip != nil {
		reason = c.Skip(h)
	}
	if reason != "" {
		r.Outcome, r.Reason = Skipped, reason
		return r
	}
	h.Patience = cmp.Or(h.Patience, 10*time.Second)
	h.Missing = cmp.Or(h.Missing, backend.NotFound)
	ctx, cancel := context.WithTimeout(ctx, 6*h.Patience)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			r.Outcome, r.Reason = Failed, fmt.Sprintf("panic: %v", p)
		}
	}()
	if err := c.Run(ctx, h); err != nil {
		r.Outcome, r.Reason = Failed, err.Error()
		return r
	}
	r.Outcome = Passed
	return r
}

// Run holds a backend to the contract, with a new harness for each check. It
// logs one line for each, and where the environment variable LOCKSTEP_MATRIX
// names a file, appends its Results to it.
func Run(t *testing.T, newHarness func(testing.TB) Harness) {
	t.Helper()
	var results []Result
	for _, c := range Checks {
		t.Run(c.Name, func(t *testing.T) {
			h := newHarness(t)
			for name := range h.Skips {
				if !slices.ContainsFunc(Checks, func(c Check) bool { return c.Name == name }) {
					t.Errorf("the harness skips %q, which is no check", name)
				}
			}
			r := c.Try(t.Context(), h)
			results = append(results, r)
			if r.Outcome == Failed {
				t.Error(r)
				return
			}
			t.Log(r)
		})
	}
	if name := os.Getenv("LOCKSTEP_MATRIX"); name != "" {
		if err := appendResults(name, results); err != nil {
			t.Error(err)
		}
	}
}
