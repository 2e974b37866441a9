// SPDX-License-Identifier: Apache-2.0

// Package outcome decides what a person is told about an object, and when it
// is looked at again. It is pure and the single table of both. How a dialect
// words it is in internal/dialect.
package outcome

import (
	"cmp"
	"slices"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Facts are what happened to an object.
type Facts struct {
	Issues  []spec.Issue   // of the plan
	Desired render.Desired // when there were no issues
	Refused *spec.Issue    // by diff, or by the API server
	Written bool           // the Secret changed
	Verb    diff.Verb      // how
	State   diff.State     // of the Secret, when nothing was refused
	Filled  bool           // it holds the data of Desired
	// Held are the versions that the Secret held before, as the status says.
	Held map[string]string
	// Bound is whether the object has, or tried to change, a Secret.
	Bound bool
	// Synced is whether the object's status says that its present generation
	// is in place.
	Synced bool
	Every  time.Duration // its refresh interval; 0 when it has none
}

// Ready is what becomes of the object's readiness.
type Ready uint8

// The states.
const (
	NotReady Ready = iota
	IsReady
	// Unchanged keeps the status as it is: the store is at fault, and what the
	// object has is not old yet.
	Unchanged
)

// Outcome is what a person is told, and what happens next. All of it is a
// function of the problem only: no time, no count, no secret bytes.
type Outcome struct {
	Ready   Ready
	Stalled bool // nothing happens until somebody changes something
	Code    backend.Code
	Where   string
	Store   spec.StoreKey
	Message string
	Written bool
	State   diff.State // counts only when Ready is IsReady
	Bound   bool
	// Missing are the entries that were let go because their remote secret is
	// gone.
	Missing []spec.Issue
	// Versions are what the Secret holds of secrets that reading changes; they
	// count only when Ready is IsReady.
	Versions map[string]string
	// Again is when to look without being woken; 0 is never.
	Again time.Duration
	// Backoff asks to try again after a pause that grows.
	Backoff bool
}

// tolerance is how many intervals a last good value counts as good.
const tolerance = 2

// severity orders problems: the first of these is the one that is told. It
// does not depend on the order of the manifest, so reordering entries changes
// no status.
var severity = []backend.Code{
	backend.InvalidRef,
	backend.Unauthenticated,
	backend.PermissionDenied,
	backend.NotFound,
	backend.Conflict,
	backend.Unknown,
	backend.RateLimited,
	backend.Unavailable,
}

// Decide tells the outcome.
func Decide(f Facts) Outcome {
	out := decide(f)
	out.Bound = f.Bound
	for _, p := range f.Desired.Missing {
		out.Missing = append(out.Missing, p.Issue)
	}
	return out
}

func decide(f Facts) Outcome {
	if len(f.Issues) > 0 {
		return failed(f.Issues[0])
	}
	if p, ok := worst(f.Desired.Problems); ok {
		if Transient(p.Code) && f.Synced {
			return tolerated(p, f, Outcome{Ready: Unchanged})
		}
		return failed(p.Issue)
	}
	if f.Refused != nil {
		return failed(*f.Refused)
	}
	good := Outcome{Ready: IsReady, Written: f.Written, State: f.State, Versions: f.versions()}
	if f.Desired.Stale != nil {
		return tolerated(*f.Desired.Stale, f, good)
	}
	return good
}

// versions are those that the Secret holds.
func (f Facts) versions() map[string]string {
	switch {
	case f.Filled:
		return f.Desired.Versions
	case f.State == diff.Synced || f.State == diff.Retained:
		return f.Held // it stays as it was
	}
	return nil
}

// tolerated returns good until the failure is older than the tolerance.
func tolerated(p render.Problem, f Facts, good Outcome) Outcome {
	left := tolerance*f.Every - p.Failing
	if left <= 0 {
		out := failed(p.Issue)
		out.Written = good.Written
		return out
	}
	good.Again = left
	return good
}

func failed(i spec.Issue) Outcome {
	return Outcome{
		Code: i.Code, Where: i.Where, Store: i.Store, Message: i.Message,
		Stalled: Retry(i.Code) == OnChange,
		Backoff: i.Code == backend.Conflict || i.Code == backend.Unknown,
	}
}

// worst returns the most severe problem; among equals the one whose store fails
// longest, and then the first of the manifest.
func worst(problems []render.Problem) (render.Problem, bool) {
	if len(problems) == 0 {
		return render.Problem{}, false
	}
	// MaxFunc returns the first of several that are maximal.
	return slices.MaxFunc(problems, func(a, b render.Problem) int {
		if a.Code == b.Code && !Transient(a.Code) {
			return 0 // what was heard first depends on when it was asked
		}
		return cmp.Or(cmp.Compare(rank(b.Code), rank(a.Code)), cmp.Compare(a.Failing, b.Failing))
	}), true
}

// rank is the place of a code in severity. What is not there is the worst: a
// problem that nobody thought of must not pass for none.
func rank(c backend.Code) int { return slices.Index(severity, c) }
