// SPDX-License-Identifier: Apache-2.0

// Package render makes the wanted Secret out of what was read. It is pure.
// What has to be read is decided in internal/plan, and what has to change in
// the cluster in internal/diff.
package render

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/gotemplate"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// MaxSize is how many bytes the values of one Secret may have together
// (MaxSecretSize in k8s.io/kubernetes/pkg/apis/core).
const MaxSize = 1 << 20

// Desired is the Secret as it should be, or the reasons why there is none.
type Desired struct {
	Type        string
	Data        map[string]backend.Value
	Labels      map[string]string
	Annotations map[string]string
	Finalizers  []string
	Immutable   *bool
	// Problems are entries that could not be filled, in the order of the
	// manifest. With a problem, nothing is written.
	Problems []Problem
	// Empty says that the entries brought nothing at all.
	Empty bool
	// Missing are entries that were left out because their remote secret, or
	// the property they ask for, is proven gone, and the deletion policy lets
	// it go. Under spec.Retain they are Problems.
	Missing []Problem
	// Unproven says that a listing brought nothing, and that this proves
	// nothing, for it shows only what the login may read.
	Unproven bool
	// Versions are those of secrets that reading changes, by their names, and
	// of all when one of them has a lease.
	Versions map[string]string
	// Stale is set when a part of the data is the last good one because its
	// store does not answer. Of several it is the one that fails longest.
	Stale *Problem
}

// Problem is an entry that could not be filled.
type Problem struct {
	spec.Issue
	Failing time.Duration // for how long, where the store is at fault
}

// Secret makes the wanted Secret of s.
func Secret(s spec.Spec, in spec.Inputs, p plan.Plan, answers plan.Snapshot, drivers spec.Drivers) Desired {
	d := desired(s, in, p, answers, drivers)
	d.complete(answers)
	return d
}

func desired(s spec.Spec, in spec.Inputs, p plan.Plan, answers plan.Snapshot, drivers spec.Drivers) Desired {
	d := Desired{
		Type:        s.Target.Type,
		Data:        maps.Clone(s.Target.Template.Data),
		Labels:      s.Target.Template.Labels,
		Annotations: s.Target.Template.Annotations,
		Finalizers:  s.Target.Template.Finalizers,
		Immutable:   s.Target.Template.Immutable,
	}
	if d.Data == nil {
		d.Data = map[string]backend.Value{}
	}
	if s.Syntax == spec.GJSON {
		c := &composer{spec: s, in: in, answers: answers, drivers: drivers, engine: gotemplate.New(), d: &d}
		c.compose(p)
		return d
	}
	for i, e := range s.Entries {
		key := p.Entries[i]
		a, ok := answers[key]
		if !ok {
			a.Err = backend.Errorf(backend.Unknown, "%s was not read", key.Ref)
		}
		if a.Stale != nil && (d.Stale == nil || a.Failing > d.Stale.Failing) {
			d.Stale = &Problem{Issue: issue(e.Where, a.Stale), Failing: a.Failing}
		}
		data, err := fill(s, e, key.Ref, a, drivers[in.Stores[e.Store].Driver])
		if err != nil {
			d.Problems = append(d.Problems, Problem{Issue: issue(e.Where, err), Failing: a.Failing})
			continue
		}
		maps.Copy(d.Data, data)
		d.note(key.Ref, a.Secret)
	}
	maps.Copy(d.Data, s.Target.Template.Overrides)
	if len(d.Problems) == 0 {
		d.Problems = append(d.Problems, check(s.Target.Name, d.Data)...)
	}
	return d
}

// note keeps the version of a secret that reading changes.
func (d *Desired) note(ref backend.Ref, s backend.Secret) {
	if !s.ReadMutates || s.Version == "" {
		return
	}
	if d.Versions == nil {
		d.Versions = map[string]string{}
	}
	d.Versions[ref.String()] = s.Version
}

// complete adds the versions of all others where a secret has a lease. The next
// process does not know that secret: if nothing else changed meanwhile, it does
// not have to.
func (d *Desired) complete(answers plan.Snapshot) {
	lent := false
	for _, a := range answers {
		lent = lent || a.Secret.Lease.ID != ""
	}
	if !lent || len(d.Versions) == 0 {
		return
	}
	for key, a := range answers {
		if a.Err == nil && a.Secret.Version != "" && !a.Secret.ReadMutates {
			d.Versions[key.Ref.String()] = plan.Plain + a.Secret.Version
		}
	}
}

// fill returns the keys of the Secret that one entry brings.
func fill(s spec.Spec, e spec.Entry, ref backend.Ref, a plan.Answer, d backend.Driver) (map[string]backend.Value, error) {
	if a.Err != nil {
		return nil, a.Err
	}
	secret := a.Secret
	if d.View != nil {
		var err error
		if secret, err = d.View(s.Object.Dialect, ref, secret); err != nil {
			return nil, err
		}
	}
	return lodashEntry(e, secret)
}

// check finds what the API server would refuse, before it is asked.
func check(name string, data map[string]backend.Value) []Problem {
	var out []Problem
	size := 0
	for _, k := range sortedKeys(data) {
		size += data[k].Len()
		if errs := validation.IsConfigMapKey(k); len(errs) > 0 {
			out = append(out, Problem{Issue: spec.Issue{
				Where: "data", Code: backend.InvalidRef,
				Message: fmt.Sprintf("Secret %q is invalid: data[%s]: Invalid value: %q: %s", name, k, k, strings.Join(errs, ", ")),
			}})
		}
	}
	if size > MaxSize {
		out = append(out, Problem{Issue: spec.Issue{
			Where: "data", Code: backend.InvalidRef,
			Message: fmt.Sprintf("Secret %q is too large: its values may have %d bytes together; take fewer or smaller entries", name, MaxSize),
		}})
	}
	return out
}

func issue(where string, err error) spec.Issue {
	return spec.Issue{Where: where, Code: backend.CodeOf(err), Message: err.Error()}
}
