// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func secretDep(name string) Dep { return Dep{"Secret", "ns", name} }

// wantTouched touches something and requires who is told.
func (w *world) wantTouched(d Dep, owners []string, stores []spec.StoreKey, reason string) {
	w.t.Helper()
	ids, got := w.feed.Touch(d)
	var who []string
	for _, id := range ids {
		who = append(who, id.Name)
	}
	if diff := cmp.Diff(owners, who); diff != "" {
		w.t.Errorf("%s: owners (-want +got):\n%s", reason, diff)
	}
	if diff := cmp.Diff(stores, got); diff != "" {
		w.t.Errorf("%s: stores (-want +got):\n%s", reason, diff)
	}
}

// asking asks for something and does not mind what comes of it.
func asking(ask func(ctx context.Context, c backend.Credentials)) func(context.Context, backend.Credentials) error {
	return func(ctx context.Context, c backend.Credentials) error {
		ask(ctx, c)
		return nil
	}
}

func TestWhatIsAskedFor(t *testing.T) {
	within := func(c backend.Credentials, namespace string) backend.Credentials {
		other, _ := c.In(namespace)
		return other
	}
	for name, c := range map[string]struct {
		reason string
		ask    func(ctx context.Context, c backend.Credentials)
		dep    Dep
	}{
		"Secret":    {"in vain", func(ctx context.Context, c backend.Credentials) { _, _ = c.Secret(ctx, "n", "k") }, secretDep("n")},
		"All":       {"in vain", func(ctx context.Context, c backend.Credentials) { _, _ = c.All(ctx, "n") }, secretDep("n")},
		"ConfigMap": {"in vain", func(ctx context.Context, c backend.Credentials) { _, _ = c.ConfigMap(ctx, "n", "k") }, Dep{"ConfigMap", "ns", "n"}},
		"Token":     {"in vain", func(ctx context.Context, c backend.Credentials) { _, _, _ = c.Token(ctx, "n", nil) }, Dep{"ServiceAccount", "ns", "n"}},
		"In":        {"of another namespace", func(ctx context.Context, c backend.Credentials) { _, _ = within(c, "far").All(ctx, "n") }, Dep{"Secret", "far", "n"}},
		"InNone":    {"of its own", func(ctx context.Context, c backend.Credentials) { _, _ = within(c, "").All(ctx, "n") }, secretDep("n")},
		"InIn": {"of the last", func(ctx context.Context, c backend.Credentials) {
			_, _ = within(within(c, "far"), "farther").All(ctx, "n")
		}, Dep{"Secret", "farther", "n"}},
	} {
		for when, revision := range map[string]string{"cached": "1", "not cached": ""} {
			t.Run(name+" "+when, func(t *testing.T) {
				in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
					w.set("v", "p")
					w.opener.asks = asking(c.ask)
					store := tenants(revision, "")
					w.sync(sub("b", hour, "p").through(store))
					w.sync(sub("a", hour, "p").through(store))
					w.wantTouched(Dep{c.dep.Kind, c.dep.Namespace, "other"}, nil, nil, "another name")
					w.wantTouched(Dep{c.dep.Kind, "other", c.dep.Name}, nil, nil, "another namespace")
					w.wantTouched(Dep{"Other", c.dep.Namespace, c.dep.Name}, nil, nil, "another kind")
					opens := w.opener.count()
					w.sync(sub("a", hour, "p").through(store))
					if revision != "" {
						w.wantOpens(opens, "nothing that it asked for changed")
					}
					w.wantTouched(c.dep, []string{"a", "b"}, []spec.StoreKey{main}, c.reason)
					w.wantTouched(c.dep, []string{"a", "b"}, []spec.StoreKey{main}, "nobody followed anew")
					opens = w.opener.count()
					w.sync(sub("a", hour, "p").through(store))
					w.wantOpens(opens+1, "it is opened anew")
					w.sync(sub("b", hour, "p").through(store))
					w.wantTouched(c.dep, []string{"a", "b"}, []spec.StoreKey{main}, "it asked again")
					w.wantReads("p", 1, "it is the same login all the time")
					w.feed.Forget(object("a"))
					w.wantTouched(c.dep, []string{"b"}, []spec.StoreKey{main}, "one is left")
					w.feed.Forget(object("b"))
					w.wantTouched(c.dep, nil, nil, "nobody is left")
					w.wantNothing("nobody is left")
				})
			})
		}
	}
}

func TestTouchFailedOpenings(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		needs := `{"secret":{"name":"s","key":"k"}}`
		store := tenants("1", needs)
		w.wantText(w.sync(sub("a", hour, "p").through(store)), at("p"), "error Unauthenticated", "there is no such Secret")
		w.sync(sub("b", hour, "p").through(store))
		w.wantTouched(secretDep("s"), []string{"a", "b"}, []spec.StoreKey{main}, "it was asked for in vain")
		s := sub("a", hour, "p").through(store)
		w.feed.Follow(t.Context(), s, func(spec.Store) backend.Credentials { return keyring{key: "one"} })
		w.wantText(w.now("a"), at("p"), "v", "now there is")
		w.feed.Forget(object("a"))
		w.feed.Forget(object("b"))
		w.wantNothing("nobody follows")
	})
}

// The credentials of a store may be asked long after it was opened, and then
// for all who share the login.
func TestTouchWhatIsAskedForLater(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.sync(sub("a", hour, "p").through(tenants("1", "")))
		s := only("b", hour, other("second"), "", "p")
		s.Stores[other("second")] = tenants("1", "")
		w.sync(s)
		_, _ = w.opener.creds[1].All(t.Context(), "unused")
		w.wantTouched(secretDep("unused"), nil, nil, "what the second opened is not used")
		_, _, _ = w.opener.creds[0].Token(t.Context(), "late", nil)
		d := Dep{"ServiceAccount", "ns", "late"}
		w.wantTouched(d, []string{"a", "b"}, []spec.StoreKey{main, other("second")}, "both use the login")
		w.feed.Forget(object("a"))
		w.wantTouched(d, []string{"b"}, []spec.StoreKey{other("second")}, "it is still the first's credentials that are asked")
		w.feed.Forget(object("b"))
		_, _ = w.opener.creds[0].All(t.Context(), "too late")
		w.wantNothing("what is asked for after the end")
	})
}

// What two stores asked for when they were opened is apart, also where they
// lead to one login.
func TestTouchOneOfTwoStores(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		for name, key := range map[string]spec.StoreKey{"a": main, "b": other("second")} {
			w.opener.asks = asking(func(ctx context.Context, c backend.Credentials) { _, _ = c.All(ctx, name) })
			s := only(name, hour, key, "", "p")
			s.Stores[key] = tenants("1", "")
			w.sync(s)
		}
		w.wantReads("p", 1, "one login")
		w.wantTouched(secretDep("a"), []string{"a"}, []spec.StoreKey{main}, "its own")
		w.wantTouched(secretDep("b"), []string{"b"}, []spec.StoreKey{other("second")}, "its own")
	})
}

// A change that comes while a store is being opened may have been missed.
func TestTouchDuringOpening(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.opener.asks = asking(func(ctx context.Context, c backend.Credentials) {
			_, _ = c.All(ctx, "s")
			time.Sleep(time.Minute) // virtual
		})
		store := tenants("1", "")
		for _, o := range []string{"a", "b"} {
			go w.follow(sub(o, hour, "p").through(store))
		}
		synctest.Wait()
		w.wantOpens(1, "they wait for each other")
		w.wantTouched(secretDep("s"), []string{"a", "b"}, []spec.StoreKey{main}, "they may have what was before")
		w.pass(time.Second)
		go w.follow(sub("c", hour, "p").through(store))
		synctest.Wait()
		w.wantOpens(2, "who comes now does not wait for that")
		w.pass(5 * time.Minute)
		w.sync(sub("a", hour, "p").through(store))
		w.sync(sub("b", hour, "p").through(store))
		w.wantOpens(2, "what was opened after the change is taken")
		w.wantTouched(secretDep("s"), []string{"a", "b", "c"}, []spec.StoreKey{main}, "the next change")
		for _, o := range []string{"a", "b", "c"} {
			w.feed.Forget(object(o))
		}
		w.wantNothing("nobody follows")
	})
}

// Credentials that changed lead to another login, and those who are told move
// there.
func TestRotatedCredentials(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		key := "old"
		s := sub("a", hour, "p").through(tenants("1", `{"secret":{"name":"s","key":"k"}}`))
		follow := func() {
			w.feed.Follow(t.Context(), s, func(spec.Store) backend.Credentials { return keyring{key: key} })
			w.now("a")
		}
		follow()
		key = "new"
		follow()
		w.wantReads("p", 1, "nobody said that it changed")
		w.feed.Touch(secretDep("s"))
		follow()
		w.wantReads("p", 2, "as another login")
		if n := w.memory.Sessions(); n != 1 {
			t.Errorf("%d sessions, want none for the old credentials", n)
		}
	})
}
