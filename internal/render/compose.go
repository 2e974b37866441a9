// SPDX-License-Identifier: Apache-2.0

package render

import (
	"maps"
	"slices"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// engine runs Go templates. All templates of one Secret run in one engine,
// because they share its budget of work.
type engine interface {
	Execute(name, text string, data map[string]string) (string, error)
}

// composer makes one Secret of the dialects that read properties as GJSON.
//
//	answer ─▶ keys and values ─▶ names ─▶ decoding ─┐
//	answer ─▶ keys and values ─▶ names ─▶ decoding ─┴▶ what was read ─▶ program ─▶ data
type composer struct {
	spec    spec.Spec
	in      spec.Inputs
	answers plan.Snapshot
	drivers spec.Drivers
	engine  engine
	work    budget
	d       *Desired
}

// compose fills the Desired.
func (c *composer) compose(p plan.Plan) {
	read := map[string]backend.Value{}
	for i, e := range c.spec.Entries {
		data, failing, err := c.entry(e, p.Entries[i])
		if err != nil {
			c.fail(e, err, failing)
			continue
		}
		for name, b := range data {
			read[name] = backend.NewValue(b)
		}
	}
	c.d.Labels, c.d.Annotations = withoutReserved(c.d.Labels), withoutReserved(c.d.Annotations)
	if len(c.d.Problems) > 0 {
		return
	}
	c.d.Empty = len(read) == 0
	if c.runs() {
		c.program(read)
	} else {
		maps.Copy(c.d.Data, read)
	}
	maps.Copy(c.d.Data, c.spec.Target.Template.Overrides)
	if len(c.d.Problems) == 0 {
		c.d.Problems = append(c.d.Problems, checkData(c.d.Data)...)
	}
	if len(c.d.Problems) > 0 {
		c.d.Empty = false
	}
}

// runs reports whether there is a program and something for it to do. Without
// any data the Secret stays or goes as a whole, unless it is to have what is
// left, be it nothing.
func (c *composer) runs() bool {
	if c.spec.Target.Program == nil {
		return false
	}
	return !c.d.Empty || c.spec.Target.Deletion == spec.DropMissing
}

// fail notes an entry that brings nothing.
func (c *composer) fail(e spec.Entry, err error, failing time.Duration) {
	problem := Problem{Issue: issue(e.Where, err), Failing: failing}
	problem.Store = e.Store
	if problem.Code == backend.NotFound && c.spec.Target.Deletion != spec.Retain {
		c.d.Missing = append(c.d.Missing, problem)
		return
	}
	c.d.Problems = append(c.d.Problems, problem)
}

// entry returns the keys of the Secret that one entry brings or, with an
// error, for how long the store has been at fault.
func (c *composer) entry(e spec.Entry, key plan.Key) (map[string][]byte, time.Duration, error) {
	a := c.answer(e, key)
	if a.Err != nil {
		return nil, a.Failing, a.Err
	}
	driver := c.drivers[c.in.Stores[e.Store].Driver]
	if key.Listing {
		data, failing, err := c.found(e, key, a)
		if err != nil {
			return nil, failing, err
		}
		if driver.ConvertFound && len(e.Rewrite) > 0 {
			if data, err = converted(e.Convert, data); err != nil {
				return nil, 0, err
			}
		}
		data, err = c.named(e, data)
		return data, 0, err
	}
	if driver.OwnProperties {
		e.Property, e.HasProperty = "", false // it is in the answer already
	}
	secret, err := c.view(e, key.Ref, a.Secret)
	if err != nil {
		return nil, 0, err
	}
	var data map[string][]byte
	if e.Name == "" {
		data, err = c.spread(e, secret)
		if err == nil {
			data, err = c.named(e, data)
		}
	} else {
		data, err = c.single(e, secret)
	}
	if err != nil {
		return nil, 0, err
	}
	c.d.note(key.Ref, a.Secret)
	return data, 0, nil
}

// answer returns what was read, and notes when it is not current.
func (c *composer) answer(e spec.Entry, key plan.Key) plan.Answer {
	a, ok := c.answers[key]
	if !ok {
		what := key.Ref.String()
		if key.Listing {
			what = "the listing"
		}
		a.Err = backend.Errorf(backend.Unknown, "%s was not read", what)
	}
	if a.Stale != nil && (c.d.Stale == nil || a.Failing > c.d.Stale.Failing) {
		c.d.Stale = &Problem{Issue: issue(e.Where, a.Stale), Failing: a.Failing}
		c.d.Stale.Store = e.Store
	}
	return a
}

// view lays a secret out as the dialect expects it.
func (c *composer) view(e spec.Entry, ref backend.Ref, s backend.Secret) (backend.Secret, error) {
	driver := c.drivers[c.in.Stores[e.Store].Driver]
	if driver.View == nil {
		return s, nil
	}
	return driver.View(c.spec.Object.Dialect, ref, s)
}

// found returns the values of all secrets that a listing found, by name.
func (c *composer) found(e spec.Entry, key plan.Key, a plan.Answer) (map[string][]byte, time.Duration, error) {
	if len(a.Found) == 0 && a.Partial {
		c.d.Unproven = true
	}
	out := make(map[string][]byte, len(a.Found))
	for _, hit := range a.Found {
		var answer plan.Answer
		if hit.Secret != nil {
			answer.Secret = *hit.Secret
		} else {
			answer = c.answer(e, plan.Key{Store: key.Store, Ref: hit.Ref})
		}
		if backend.CodeOf(answer.Err) == backend.NotFound {
			continue // it vanished between listing and reading
		}
		if answer.Err != nil {
			return nil, answer.Failing, answer.Err
		}
		secret, err := c.view(e, hit.Ref, answer.Secret)
		if err != nil {
			return nil, 0, err
		}
		name := hit.Name
		if name == "" {
			name = hit.Ref.Path
		}
		if _, double := out[name]; double {
			return nil, 0, backend.Errorf(backend.InvalidRef,
				"more than one secret that was found is called %q; narrow the search by path or tags", name)
		}
		out[name] = whole(secret)
		c.d.note(hit.Ref, answer.Secret)
	}
	return out, 0, nil
}

// named gives what fills more than one key its names and decodes it.
func (c *composer) named(e spec.Entry, data map[string][]byte) (map[string][]byte, error) {
	data, err := c.names(e, data)
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(data) {
		if data[name], err = decode(e, data[name], "the value of key "+quote(name)+" of "+remote(e)); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// single returns the one key of an entry of data.
func (c *composer) single(e spec.Entry, s backend.Secret) (map[string][]byte, error) {
	b, err := c.value(e, s)
	if err != nil {
		return nil, err
	}
	what := "the value of " + remote(e)
	if e.HasProperty {
		what = "the value of property " + e.Property + " of " + remote(e)
	}
	if b, err = decode(e, b, what); err != nil {
		return nil, err
	}
	return map[string][]byte{e.Name: b}, nil
}

// remote is what messages call the remote secret of an entry.
func remote(e spec.Entry) string {
	if e.Find != nil {
		return "what was found"
	}
	return e.Key.Key
}

// reserved are the prefixes of labels and annotations that are the
// controllers' own; a template must not forge them.
var reserved = []string{"reconcile.external-secrets.io/", "lockstep-secrets.dev/"}

// withoutReserved returns a copy without the controllers' own names.
func withoutReserved(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for name, text := range m {
		if !isReserved(name) {
			out[name] = text
		}
	}
	return out
}

func isReserved(name string) bool {
	return slices.ContainsFunc(reserved, func(prefix string) bool {
		return len(name) >= len(prefix) && name[:len(prefix)] == prefix
	})
}
