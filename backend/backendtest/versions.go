// SPDX-License-Identifier: Apache-2.0

package backendtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockstep-secrets/lockstep/backend"
)

var versionChecks = []Check{
	{Name: "read/old-version", Needs: backend.CanRead, Skip: noPrevious, Run: readOldVersion},
	{Name: "read/version", Needs: backend.CanRead, Skip: noRotate, Run: readVersion},
	{Name: "probe/changes", Needs: backend.CanProbe, Skip: noRotate, Run: probeChanges},
	{Name: "probe/removed", Needs: backend.CanProbe, Skip: noRemove, Run: probeRemoved},
	{Name: "versions/newest-first", Needs: backend.CanVersions, Skip: noRotate, Run: versionsNewestFirst},
	{Name: "versions/missing", Needs: backend.CanVersions, Skip: noRemove, Run: versionsMissing},
}

// readOldVersion: a pinned version stays what it was.
func readOldVersion(ctx context.Context, h Harness) error {
	ref := h.Seed("pinned", h.secret("old"))
	h.Rotate(ref, h.secret("new"))
	return errors.Join(
		h.holds(ctx, h.Previous(ref), h.secret("old")),
		h.holds(ctx, ref, h.secret("new")),
	)
}

// readVersion: the version changes with the secret, and only with it.
func readVersion(ctx context.Context, h Harness) error {
	ref := h.Seed("versioned", h.secret("old"))
	var versions []string
	for i := range 3 {
		if i == 2 {
			h.Rotate(ref, h.secret("new"))
		}
		s, err := h.readOne(ctx, ref)
		if err != nil {
			return fmt.Errorf("reading %s: %w", ref, err)
		}
		versions = append(versions, s.Version)
	}
	switch {
	case versions[0] == "":
		return errors.New("a secret has no version")
	case versions[0] != versions[1]:
		return errors.New("the version of an unchanged secret changes")
	case versions[1] == versions[2]:
		return errors.New("the version of a changed secret does not change")
	}
	return nil
}

// probe returns one token for each ref.
func (h Harness) probe(ctx context.Context, refs ...backend.Ref) ([]string, error) {
	tokens, err := h.Backend.Prober.Probe(ctx, refs)
	if err != nil {
		return nil, fmt.Errorf("probing: %w", err)
	}
	if len(tokens) != len(refs) {
		return nil, fmt.Errorf("%d tokens for %d refs", len(tokens), len(refs))
	}
	return tokens, nil
}

// probeChanges: a token stands for the value, without reading it.
func probeChanges(ctx context.Context, h Harness) error {
	refs := h.seedAll("a", "b", "c")
	calls := 0
	if h.Calls != nil {
		calls = h.Calls()
	}
	old, err := h.probe(ctx, refs...)
	if err != nil {
		return err
	}
	h.Rotate(refs[1], h.secret("changed"))
	tokens, err := h.probe(ctx, refs...)
	if err != nil {
		return err
	}
	for i := range refs {
		if tokens[i] == "" || old[i] == "" {
			return fmt.Errorf("an empty token for %s", refs[i])
		}
		if changed := old[i] != tokens[i]; changed != (i == 1) {
			return fmt.Errorf("the token of %s changes: %t, want %t", refs[i], changed, i == 1)
		}
	}
	swapped, err := h.probe(ctx, refs[2], refs[1], refs[0])
	if err != nil {
		return err
	}
	if swapped[0] != tokens[2] || swapped[1] != tokens[1] || swapped[2] != tokens[0] {
		return errors.New("tokens are not in the order of the refs")
	}
	if h.Calls != nil && h.Calls() != calls {
		return errors.New("probing reads values")
	}
	return nil
}

// probeRemoved: a removed secret is not taken for an unchanged one, and spoils
// no neighbour.
func probeRemoved(ctx context.Context, h Harness) error {
	refs := h.seedAll("a", "gone", "b")
	old, err := h.probe(ctx, refs...)
	if err != nil {
		return err
	}
	h.Remove(refs[1])
	tokens, err := h.probe(ctx, refs...)
	if err != nil {
		return err
	}
	if tokens[0] != old[0] || tokens[2] != old[2] {
		return errors.New("a removed secret changes the tokens of its neighbours")
	}
	if tokens[1] != "" && tokens[1] == old[1] {
		return errors.New("a removed secret keeps its token")
	}
	return nil
}

// versionsNewestFirst: the history is complete, in order, and each id that is
// available can be read.
func versionsNewestFirst(ctx context.Context, h Harness) error {
	ref := h.Seed("history", h.secret("v0"))
	h.Rotate(ref, h.secret("v1"))
	h.Rotate(ref, h.secret("v2"))
	texts := []string{"v2", "v1", "v0"}
	seen := map[string]bool{}
	n := 0
	for v, err := range h.Backend.Versioner.Versions(ctx, ref) {
		if err != nil {
			return fmt.Errorf("listing versions: %w", err)
		}
		if v.ID == "" || seen[v.ID] {
			return fmt.Errorf("version %d has no id of its own", n)
		}
		seen[v.ID] = true
		if v.Available && n < len(texts) {
			pinned := ref
			pinned.Version = v.ID
			if err := h.holds(ctx, pinned, h.secret(texts[n])); err != nil {
				return fmt.Errorf("version %d from the newest: %w", n, err)
			}
		}
		if n == 0 && !v.Available {
			return errors.New("the current version is not available")
		}
		n++
	}
	if n < 2 {
		return fmt.Errorf("%d versions of a secret that changed twice", n)
	}
	return nil
}

// versionsMissing: the history of a missing secret is an error.
func versionsMissing(ctx context.Context, h Harness) error {
	ref := h.Seed("history", h.secret("v0"))
	h.Remove(ref)
	for _, err := range h.Backend.Versioner.Versions(ctx, ref) {
		return coded("the versions of a missing secret", err, h.Missing)
	}
	return errors.New("the versions of a missing secret are no error")
}
