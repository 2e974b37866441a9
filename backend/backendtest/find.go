// SPDX-License-Identifier: Apache-2.0

package backendtest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

var findChecks = []Check{
	{Name: "find/all", Needs: backend.CanFind, Run: findAll},
	{Name: "find/prefix", Needs: backend.CanFind, Run: findPrefix},
	{Name: "find/name", Needs: backend.CanFind, Run: findName},
	{Name: "find/bad-name", Needs: backend.CanFind, Run: findBadName},
	{Name: "find/tags", Needs: backend.CanFind, Run: findTags},
	{Name: "find/more-than-a-page", Needs: backend.CanFind, Skip: lacks("the length of a page is not known", func(h Harness) bool { return h.Page == 0 }), Run: findPages},
	{Name: "find/stops", Needs: backend.CanFind, Run: findStops},
	{Name: "find/ends-after-error", Needs: backend.CanFind, Skip: noFail, Run: findEnds},
}

// find returns the refs that match, each of which must come once.
func (h Harness) find(ctx context.Context, q backend.Query) (map[backend.Ref]backend.Found, error) {
	out := map[backend.Ref]backend.Found{}
	for f, err := range h.Backend.Finder.Find(ctx, q) {
		if err != nil {
			return nil, err
		}
		if _, twice := out[f.Ref]; twice {
			return nil, fmt.Errorf("%s is found twice", f.Ref)
		}
		out[f.Ref] = f
	}
	return out, nil
}

// finds returns an error unless q finds all of these, and none of those.
func (h Harness) finds(ctx context.Context, q backend.Query, these, those []backend.Ref) error {
	found, err := h.find(ctx, q)
	if err != nil {
		return fmt.Errorf("finding: %w", err)
	}
	for _, r := range these {
		if _, ok := found[r]; !ok {
			return fmt.Errorf("%s is not found", r)
		}
	}
	for _, r := range those {
		if _, ok := found[r]; ok {
			return fmt.Errorf("%s is found and does not match", r)
		}
	}
	return nil
}

// findAll: the zero query finds everything, under refs that can be read, and
// the values that a listing returns are those that a Read returns.
func findAll(ctx context.Context, h Harness) error {
	refs := h.seedAll("a", "b")
	if err := h.finds(ctx, backend.Query{}, refs, nil); err != nil {
		return err
	}
	found, err := h.find(ctx, backend.Query{})
	if err != nil {
		return fmt.Errorf("finding: %w", err)
	}
	for i, text := range []string{"a", "b"} {
		if err := h.holds(ctx, refs[i], h.secret(text)); err != nil {
			return err
		}
		if s := found[refs[i]].Secret; s != nil {
			if err := h.same(refs[i], *s, h.secret(text)); err != nil {
				return fmt.Errorf("in the listing: %w", err)
			}
		}
	}
	return nil
}

// findPrefix: Path is a prefix of the paths. Where the product makes the paths
// up, the whole of one is the prefix.
func findPrefix(ctx context.Context, h Harness) error {
	one, two := h.Seed("suite/team/one", h.secret("a")), h.Seed("suite/team/two", h.secret("b"))
	other := h.Seed("suite/other/three", h.secret("c"))
	n := 0
	for n < min(len(one.Path), len(two.Path)) && one.Path[n] == two.Path[n] {
		n++
	}
	these, those := []backend.Ref{one, two}, []backend.Ref{other}
	if prefix := one.Path[:n]; prefix != "" && !strings.HasPrefix(other.Path, prefix) {
		return h.finds(ctx, backend.Query{Path: prefix}, these, those)
	}
	return h.finds(ctx, backend.Query{Path: one.Path}, these[:1], append(those, two))
}

// findName: Name is an expression that matches anywhere in the path.
func findName(ctx context.Context, h Harness) error {
	refs := h.seedAll("a", "b", "c")
	either := regexp.QuoteMeta(refs[0].Path) + "|" + regexp.QuoteMeta(refs[1].Path)
	tail := refs[2].Path[1:]
	return errors.Join(
		h.finds(ctx, backend.Query{Name: "^(" + either + ")$"}, refs[:2], refs[2:]),
		h.finds(ctx, backend.Query{Name: regexp.QuoteMeta(tail)}, refs[2:], nil),
		h.finds(ctx, backend.Query{Name: `^\z`}, nil, refs),
	)
}

// findBadName: an expression that is none cannot be right.
func findBadName(ctx context.Context, h Harness) error {
	_, err := h.find(ctx, backend.Query{Name: "("})
	return coded("finding by a name that is no expression", err, backend.InvalidRef)
}

// findTags: all tags of the query must be on the secret.
func findTags(ctx context.Context, h Harness) error {
	seed := func(name string, labels map[string]string) backend.Ref {
		s := h.secret("a")
		s.Labels = labels
		return h.Seed(name, s)
	}
	both := seed("both", map[string]string{"team": "blue", "tier": "front"})
	one := seed("one", map[string]string{"team": "blue", "tier": "back"})
	none := seed("none", nil)
	return errors.Join(
		h.finds(ctx, backend.Query{Tags: "team=blue"}, []backend.Ref{both, one}, []backend.Ref{none}),
		h.finds(ctx, backend.Query{Tags: "team=blue,tier=front"}, []backend.Ref{both}, []backend.Ref{one, none}),
	)
}

// findPages: nothing is lost behind the first page. A secret that a listing
// forgets would be taken for a removed one.
func findPages(ctx context.Context, h Harness) error {
	refs := make([]backend.Ref, 2*h.Page+1)
	for i := range refs {
		refs[i] = h.Seed(fmt.Sprintf("suite-page-%04d", i), h.secret("a"))
	}
	return h.finds(ctx, backend.Query{}, refs, nil)
}

// findStops: a caller may have seen enough. An iterator that goes on panics.
func findStops(ctx context.Context, h Harness) error {
	h.seedAll("a", "b", "c")
	for _, err := range h.Backend.Finder.Find(ctx, backend.Query{}) {
		return coded("finding", err, "")
	}
	return errors.New("nothing is found")
}

// findEnds: a listing that breaks says so once, and last.
func findEnds(ctx context.Context, h Harness) error {
	h.seedAll("a", "b")
	if !h.Fail(backend.Ref{}, Fault{Code: backend.Unavailable}) {
		return errors.New("the harness cannot make every call fail; name the check in Skips")
	}
	var errs int
	for _, err := range h.Backend.Finder.Find(ctx, backend.Query{}) {
		if errs > 0 {
			return errors.New("a listing goes on after an error")
		}
		if err != nil {
			errs++
		}
	}
	if errs == 0 {
		return errors.New("a listing that fails ends without an error")
	}
	return nil
}
