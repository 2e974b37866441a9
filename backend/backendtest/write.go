// SPDX-License-Identifier: Apache-2.0

package backendtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockstep-secrets/lockstep/backend"
)

var writeChecks = []Check{
	{Name: "write/then-read", Needs: backend.CanWrite, Run: writeThenRead},
	{Name: "write/another-owner", Needs: backend.CanWrite, Run: writeAnotherOwner},
	{Name: "write/stale-version", Needs: backend.CanWrite, Run: writeStale},
	{Name: "write/absent", Needs: backend.CanWrite, Run: writeAbsent},
	{Name: "delete/twice", Needs: backend.CanWrite, Run: deleteTwice},
	{Name: "delete/another-owner", Needs: backend.CanWrite, Run: deleteAnotherOwner},
	{Name: "delete/unmarked", Needs: backend.CanWrite, Run: deleteUnmarked},
}

// The owners.
const (
	mine   = "suite/mine"
	theirs = "suite/theirs"
)

// write writes text as owner.
func (h Harness) write(ctx context.Context, ref backend.Ref, text, owner, ifVersion string) (string, error) {
	return h.Backend.Writer.Write(ctx, backend.Write{Ref: ref, Secret: h.secret(text), Owner: owner, IfVersion: ifVersion})
}

// writeThenRead: what was written is what is read, the first time and the
// second, under the version that Write returned.
func writeThenRead(ctx context.Context, h Harness) error {
	ref := h.newRef("suite-written")
	var versions []string
	for _, text := range []string{"old", "new"} {
		version, err := h.write(ctx, ref, text, mine, "")
		if err != nil {
			return fmt.Errorf("writing: %w", err)
		}
		s, err := h.readOne(ctx, ref)
		if err != nil {
			return fmt.Errorf("reading what was written: %w", err)
		}
		if err := h.same(ref, s, h.secret(text)); err != nil {
			return err
		}
		if s.Version != version {
			return errors.New("the version that Write returns is not the one that Read returns")
		}
		versions = append(versions, version)
	}
	if versions[0] == versions[1] && versions[0] != "" {
		return errors.New("two writes return one version")
	}
	return nil
}

// writeAnotherOwner: what another owner marked is not overwritten.
func writeAnotherOwner(ctx context.Context, h Harness) error {
	ref := h.newRef("suite-owned")
	if _, err := h.write(ctx, ref, "theirs", theirs, ""); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	_, err := h.write(ctx, ref, "mine", mine, "")
	return errors.Join(
		coded("writing what another owner marked", err, backend.Conflict),
		h.holds(ctx, ref, h.secret("theirs")),
	)
}

// writeStale: a write on top of what the writer has not seen is refused.
func writeStale(ctx context.Context, h Harness) error {
	ref := h.newRef("suite-stale")
	old, err := h.write(ctx, ref, "old", mine, "")
	if err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	if _, err := h.write(ctx, ref, "new", mine, old); err != nil {
		return fmt.Errorf("writing on top of the current version: %w", err)
	}
	_, err = h.write(ctx, ref, "late", mine, old)
	return errors.Join(
		coded("writing on top of a stale version", err, backend.Conflict),
		h.holds(ctx, ref, h.secret("new")),
	)
}

// writeAbsent: a write that must create does not replace.
func writeAbsent(ctx context.Context, h Harness) error {
	ref := h.newRef("suite-absent")
	if _, err := h.write(ctx, ref, "first", mine, backend.Absent); err != nil {
		return fmt.Errorf("creating: %w", err)
	}
	_, err := h.write(ctx, ref, "second", mine, backend.Absent)
	return errors.Join(
		coded("creating what exists", err, backend.Conflict),
		h.holds(ctx, ref, h.secret("first")),
	)
}

// deleteTwice: what is gone already is a success.
func deleteTwice(ctx context.Context, h Harness) error {
	ref := h.newRef("suite-deleted")
	if _, err := h.write(ctx, ref, "a", mine, ""); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	for range 2 {
		if err := h.Backend.Writer.Delete(ctx, ref, mine); err != nil {
			return fmt.Errorf("deleting: %w", err)
		}
		_, err := h.readOne(ctx, ref)
		if err := coded("reading what was deleted", err, h.Missing); err != nil {
			return err
		}
	}
	return nil
}

// deleteAnotherOwner: what another owner marked is not deleted.
func deleteAnotherOwner(ctx context.Context, h Harness) error {
	ref := h.newRef("suite-kept")
	if _, err := h.write(ctx, ref, "theirs", theirs, ""); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return errors.Join(
		coded("deleting what another owner marked", h.Backend.Writer.Delete(ctx, ref, mine), backend.Conflict),
		h.holds(ctx, ref, h.secret("theirs")),
	)
}

// deleteUnmarked: what nobody marked was made by hand, and is not deleted.
func deleteUnmarked(ctx context.Context, h Harness) error {
	ref := h.Seed("suite-by-hand", h.secret("by hand"))
	return errors.Join(
		coded("deleting what carries no mark", h.Backend.Writer.Delete(ctx, ref, mine), backend.Conflict),
		h.holds(ctx, ref, h.secret("by hand")),
	)
}
