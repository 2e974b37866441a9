// SPDX-License-Identifier: Apache-2.0

package backendtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

var noClose = lacks("there is nothing to close", func(h Harness) bool { return h.Backend.Close == nil })

var openChecks = []Check{
	{Name: "open/no-request", Needs: backend.CanRead, Skip: first(noOpen, noCount), Run: openNoRequest},
	{Name: "open/identity", Needs: backend.CanRead, Skip: noOpen, Run: openIdentity},
	{Name: "open/missing-credentials", Needs: backend.CanRead, Skip: noOpen, Run: openMissing},
	{Name: "open/capabilities", Needs: backend.CanRead, Skip: noOpen, Run: openCapabilities},
	{Name: "read/refused-login", Needs: backend.CanRead, Skip: noOpen, Run: readRefused},
	{Name: "check/login", Needs: backend.CanCheck, Run: checkLogin},
	{Name: "check/refused-login", Needs: backend.CanCheck, Skip: noOpen, Run: checkRefused},
	{Name: "close/releases", Needs: backend.CanRead, Skip: first(noOpen, noClose), Run: closeReleases},
}

// openNoRequest: opening the same login twice costs nothing.
func openNoRequest(ctx context.Context, h Harness) error {
	before := h.Requests()
	for _, l := range []Login{Same, Refused} {
		if _, _, err := h.Open(ctx, l); err != nil {
			return fmt.Errorf("opening: %w", err)
		}
	}
	if n := h.Requests() - before; n != 0 {
		return fmt.Errorf("opening makes %d requests", n)
	}
	return nil
}

// openIdentity: equal identities share answers, so they mean equal logins.
func openIdentity(ctx context.Context, h Harness) error {
	var ids []backend.Identity
	for _, l := range []Login{Same, Same, Other} {
		_, id, err := h.Open(ctx, l)
		if err != nil {
			return fmt.Errorf("opening: %w", err)
		}
		if id.Login == "" || id.Quota == "" {
			return errors.New("an identity without a login or a quota")
		}
		if err := absent(id.Login+"\n"+id.Quota, h.Canary); err != nil {
			return fmt.Errorf("identity: %w", err)
		}
		ids = append(ids, id)
	}
	if ids[0] != ids[1] {
		return errors.New("the same login has two identities")
	}
	if ids[0].Login == ids[2].Login {
		return errors.New("other credentials have the same login in their identity")
	}
	return nil
}

// openMissing: credentials that are not there are an answer for people, at
// once.
func openMissing(ctx context.Context, h Harness) error {
	_, _, err := h.Open(ctx, Missing)
	return coded("opening without the credentials", err, backend.Unauthenticated)
}

// openCapabilities: what a store can do does not depend on the opening.
func openCapabilities(ctx context.Context, h Harness) error {
	b, _, err := h.Open(ctx, Same)
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	if got, want := fmt.Sprint(b.Capabilities()), fmt.Sprint(h.Backend.Capabilities()); got != want {
		return fmt.Errorf("opened again, the store can %s instead of %s", got, want)
	}
	return nil
}

// opened returns the harness with the store opened as l.
func (h Harness) opened(ctx context.Context, l Login) (Harness, error) {
	b, _, err := h.Open(ctx, l)
	if err != nil {
		return h, fmt.Errorf("opening: %w", err)
	}
	h.Backend = b
	return h, nil
}

// readRefused: a refused login is not a forbidden secret, and not a missing
// one.
func readRefused(ctx context.Context, h Harness) error {
	ref := h.Seed("refused", h.secret("a"))
	refused, err := h.opened(ctx, Refused)
	if err != nil {
		return err
	}
	_, err = refused.readOne(ctx, ref)
	return errors.Join(
		coded("reading with refused credentials", err, backend.Unauthenticated),
		clean(err, h.Canary),
	)
}

// checkLogin: a login that works is good.
func checkLogin(ctx context.Context, h Harness) error {
	return coded("checking", h.Backend.Checker.Check(ctx), "")
}

// checkRefused: a login that does not work is found without a secret to read.
func checkRefused(ctx context.Context, h Harness) error {
	refused, err := h.opened(ctx, Refused)
	if err != nil {
		return err
	}
	err = refused.Backend.Checker.Check(ctx)
	return errors.Join(
		coded("checking refused credentials", err, backend.Unauthenticated),
		clean(err, h.Canary),
	)
}

// closeReleases: Close leaves no goroutine behind, and leaves others alone.
func closeReleases(ctx context.Context, h Harness) error {
	want := h.secret("a")
	ref := h.Seed("closed", want)
	if err := h.holds(ctx, ref, want); err != nil {
		return err
	}
	before := runtime.NumGoroutine()
	again, err := h.opened(ctx, Same)
	if err != nil {
		return err
	}
	if err := again.holds(ctx, ref, want); err != nil {
		return err
	}
	if err := h.promptly("closing", again.Backend.Close); err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	err = h.eventually(ctx, func() bool { return runtime.NumGoroutine() <= before })
	if err != nil {
		return fmt.Errorf("%d goroutines after closing, %d before opening", runtime.NumGoroutine(), before)
	}
	return h.holds(ctx, ref, want)
}

// eventually returns an error unless what happens within the patience.
func (h Harness) eventually(ctx context.Context, happened func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, h.Patience)
	defer cancel()
	tick := time.NewTicker(h.Patience / 100)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
