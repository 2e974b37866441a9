// SPDX-License-Identifier: Apache-2.0

package backendtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

var faultChecks = []Check{
	{Name: "fault/code", Needs: backend.CanRead, Skip: noFail, Run: faultCode},
	{Name: "fault/spares-neighbours", Needs: backend.CanRead, Skip: noFail, Run: faultNeighbours},
	{Name: "fault/retry-after", Needs: backend.CanRead, Skip: noFail, Run: faultRetryAfter},
	{Name: "fault/no-server-text", Needs: backend.CanRead, Skip: noFail, Run: faultText},
	{Name: "fault/one-request", Needs: backend.CanRead, Skip: first(noFail, noCount), Run: faultOneRequest},
	{Name: "fault/every-call", Needs: backend.CanRead, Skip: noFail, Run: faultEveryCall},
}

// codes are those that a store's answer can have.
var codes = []backend.Code{
	backend.NotFound, backend.PermissionDenied, backend.Unauthenticated, backend.RateLimited,
	backend.Unavailable, backend.InvalidRef, backend.Conflict, backend.Unknown,
}

// seen is a Read of a store that failed.
type seen struct {
	code     backend.Code // of the fault
	err      error        // that the Read made of it
	requests int          // that the Read made, if they are counted
}

// eachFault reads one secret under every fault that the product has.
func eachFault(ctx context.Context, h Harness, f Fault, judge func(seen) error) error {
	ref := h.Seed("failing", h.secret("a"))
	if _, err := h.readOne(ctx, ref); err != nil {
		return fmt.Errorf("reading %s before it fails: %w", ref, err)
	}
	calls := h.Calls
	if calls == nil {
		calls = func() int { return 0 }
	}
	var errs []error
	for _, f.Code = range codes {
		if !h.Fail(ref, f) {
			continue
		}
		before := calls()
		_, err := h.readOne(ctx, ref)
		errs = append(errs, judge(seen{f.Code, err, calls() - before}))
	}
	if len(errs) == 0 {
		return errors.New("the harness cannot make the store fail in any way")
	}
	if !h.Fail(ref, Fault{}) {
		return errors.New("the harness cannot make the store stop failing")
	}
	return errors.Join(append(errs, h.holds(ctx, ref, h.secret("a")))...)
}

// faultCode: each failure keeps its meaning; above all, nothing but a missing
// secret is NotFound.
func faultCode(ctx context.Context, h Harness) error {
	return eachFault(ctx, h, Fault{}, func(s seen) error {
		want := s.code
		if want == backend.NotFound {
			want = h.Missing
		}
		return coded("a store that fails with "+string(s.code), s.err, want)
	})
}

// faultNeighbours: one forbidden secret does not spoil the call.
func faultNeighbours(ctx context.Context, h Harness) error {
	refs := h.seedAll("a", "forbidden", "b")
	if !h.Fail(refs[1], Fault{Code: backend.PermissionDenied}) {
		return errors.New("the harness cannot forbid a secret; name the check in Skips")
	}
	results, err := h.read(ctx, refs...)
	if err != nil {
		return fmt.Errorf("one forbidden secret fails the whole call with code %q", backend.CodeOf(err))
	}
	return errors.Join(
		coded("reading a forbidden secret", results[1].Err, backend.PermissionDenied),
		neighbours(h, results),
	)
}

// faultRetryAfter: how long the store asks to wait survives.
func faultRetryAfter(ctx context.Context, h Harness) error {
	const wait = 7 * time.Second
	ref := h.Seed("limited", h.secret("a"))
	if !h.Fail(ref, Fault{Code: backend.RateLimited, RetryAfter: wait}) {
		return errors.New("the harness cannot make the store limit requests; name the check in Skips")
	}
	_, err := h.readOne(ctx, ref)
	if err := coded("a store that limits requests", err, backend.RateLimited); err != nil {
		return err
	}
	// A date instead of a number of seconds loses up to one of them.
	if got := backend.RetryAfterOf(err); got > wait || got <= wait-2*time.Second {
		return fmt.Errorf("the store asked to wait %s and the error says %s", wait, got)
	}
	return nil
}

// faultText: servers echo what they were sent, so their words stay outside.
func faultText(ctx context.Context, h Harness) error {
	return eachFault(ctx, h, Fault{Canary: Canary}, func(s seen) error {
		if err := clean(s.err, Canary, h.Canary); err != nil {
			return fmt.Errorf("a store that fails with %s: %w", s.code, err)
		}
		return nil
	})
}

// faultOneRequest: nothing retries below the caller, who knows how long it can
// wait and whom the budget belongs to.
func faultOneRequest(ctx context.Context, h Harness) error {
	return eachFault(ctx, h, Fault{}, func(s seen) error {
		if s.requests > 1 {
			return fmt.Errorf("%d requests for one Read of a store that fails with %s", s.requests, s.code)
		}
		return nil
	})
}

// faultEveryCall: what holds for Read holds for all that ask.
func faultEveryCall(ctx context.Context, h Harness) error {
	ref := h.Seed("failing", h.secret("a"))
	calls := everyCall(h, ref)
	var errs []error
	for _, c := range []backend.Code{backend.PermissionDenied, backend.Unavailable} {
		if !h.Fail(backend.Ref{}, Fault{Code: c, Canary: Canary}) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(calls)) {
			err := calls[name](ctx)
			if wrong := errors.Join(coded("a store that fails with "+string(c), err, c), clean(err, Canary, h.Canary)); wrong != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, wrong))
			}
		}
	}
	return errors.Join(errs...)
}

// everyCall returns one call of each method that asks the store.
func everyCall(h Harness, ref backend.Ref) map[string]func(context.Context) error {
	b := h.Backend
	calls := map[string]func(context.Context) error{
		"read": func(ctx context.Context) error { _, err := h.readOne(ctx, ref); return err },
	}
	if b.Checker != nil {
		calls["check"] = b.Checker.Check
	}
	if b.Finder != nil {
		calls["find"] = func(ctx context.Context) error { _, err := h.find(ctx, backend.Query{}); return err }
	}
	if b.Prober != nil {
		calls["probe"] = func(ctx context.Context) error { _, err := b.Prober.Probe(ctx, []backend.Ref{ref}); return err }
	}
	if b.Versioner != nil {
		calls["versions"] = func(ctx context.Context) error {
			for _, err := range b.Versioner.Versions(ctx, ref) {
				return err
			}
			return nil
		}
	}
	if b.Writer != nil {
		calls["write"] = func(ctx context.Context) error {
			_, err := b.Writer.Write(ctx, backend.Write{Ref: h.newRef("written"), Secret: h.secret("a"), Owner: "suite"})
			return err
		}
		calls["delete"] = func(ctx context.Context) error { return b.Writer.Delete(ctx, h.newRef("written"), "suite") }
	}
	if b.Watcher != nil {
		calls["watch"] = func(ctx context.Context) error { return b.Watcher.Watch(ctx, func(backend.Ref) {}) }
	}
	if b.Lessor != nil {
		calls["renew"] = func(ctx context.Context) error { _, err := b.Lessor.Renew(ctx, "a lease"); return err }
		calls["revoke"] = func(ctx context.Context) error { return b.Lessor.Revoke(ctx, "a lease") }
	}
	return calls
}
