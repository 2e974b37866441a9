// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// checking is a question whether a login works.
type checking struct {
	done   chan struct{} // closed when err is set
	err    error
	gaveUp bool // it ended with the context of who asked
}

// Checked is what a Check found out.
type Checked struct {
	Can []backend.Capability // nil when the store cannot be used
	// Deps are what the store asked for, sorted, whatever came of it. Touch
	// returns a store only while somebody follows a secret in it; whoever wants
	// to know sooner watches these.
	Deps []Dep
	// Held says that so many secrets are missing in the store that nothing is
	// removed for that, until they are there again or Store.Removals is set.
	Held bool
}

// Check returns what a store can do, or why it cannot be used. It asks the store
// unless the login had a good answer of any kind within fresh. When it works,
// what failed because it did not is read at once. It may be called before Run.
func (f *Feed) Check(ctx context.Context, key spec.StoreKey, s spec.Store, creds func(spec.Store) backend.Credentials, fresh time.Duration) (out Checked, err error) {
	o := f.opening(ctx, key, s, creds, spec.ID{})
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.checked[key] = struct{}{}
		out.Deps = o.deps()
		o.letGo(spec.ID{})
		f.soon(o)
	}()
	if o.login == nil {
		return out, o.err
	}
	if err := f.check(ctx, o.login, fresh); err != nil {
		return out, err
	}
	out.Can = o.login.store.Capabilities()
	f.mu.Lock()
	defer f.mu.Unlock()
	out.Held = o.withheld()
	return out, nil
}

// deps are what was asked for to open the store, and later to log in.
func (o *opening) deps() []Dep {
	all := map[Dep]struct{}{}
	if o.ledger != nil {
		maps.Copy(all, o.ledger.deps)
	}
	if o.login != nil {
		maps.Copy(all, o.login.ledger.deps)
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b Dep) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
}

// check asks once for all who want to know at the same time.
func (f *Feed) check(ctx context.Context, l *login, fresh time.Duration) error {
	for {
		f.mu.Lock()
		if !l.checker || !l.good.IsZero() && time.Since(l.good) < fresh {
			f.mu.Unlock()
			return nil
		}
		c := l.checking
		if c == nil {
			c = &checking{done: make(chan struct{}), err: backend.Errorf(backend.Unknown, "the store could not be checked")}
			l.checking = c
			f.mu.Unlock()
			return f.inspect(ctx, l, c)
		}
		f.mu.Unlock()
		select {
		case <-c.done:
			if !c.gaveUp {
				return c.err
			}
		case <-ctx.Done():
			return &backend.Error{Code: backend.Unavailable, Message: "the store was not checked in time", Err: ctx.Err()}
		}
	}
}

// inspect asks a store whether the login works.
func (f *Feed) inspect(ctx context.Context, l *login, c *checking) error {
	defer func() { // also when the backend panics: others wait
		f.mu.Lock()
		defer f.mu.Unlock()
		c.gaveUp = c.err != nil && ctx.Err() != nil
		l.checking = nil
		close(c.done)
		l.answered(c.err, time.Now())
		if c.err == nil {
			f.recover(l)
		}
	}()
	asking, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	c.err = l.store.Check(asking)
	return c.err
}

// recover queues what failed while the login did not work.
func (f *Feed) recover(l *login) {
	l.outage = outage{}
	f.requeue(l, func(err error) bool {
		code := backend.CodeOf(err)
		return code == backend.Unauthenticated || outcome.Transient(code)
	})
	f.pump(l)
	f.nudge()
}
