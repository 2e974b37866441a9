// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Dep is something in Kubernetes that a store asked for to log in, whether or
// not it is there.
type Dep struct {
	Kind      string // Secret, ConfigMap or ServiceAccount
	Namespace string
	Name      string
}

// Touch says that d changed, came or went. Openings that asked for it are not
// taken again. It returns the objects that use them, which have to Follow anew,
// and the stores, which may be Checked; both are sorted.
func (f *Feed) Touch(d Dep) (owners []spec.ID, stores []spec.StoreKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for g := range f.asked[d] {
		switch {
		case g.flight != nil:
			if f.flights[g.flight.key] == g.flight {
				delete(f.flights, g.flight.key) // who comes now opens it anew
			}
			owners = append(owners, g.flight.coming...)
			stores = append(stores, g.flight.key.store)
		case g.opening != nil:
			owners, stores = f.touch(g.opening, owners, stores)
		case g.login != nil:
			for _, o := range g.login.openings {
				owners, stores = f.touch(o, owners, stores)
			}
		}
	}
	slices.SortFunc(owners, compareIDs)
	slices.SortFunc(stores, compareStores)
	return slices.Compact(owners), slices.Compact(stores)
}

// touch retires an opening, and adds who uses it.
func (f *Feed) touch(o *opening, owners []spec.ID, stores []spec.StoreKey) ([]spec.ID, []spec.StoreKey) {
	f.retire(o)
	owners = append(owners, o.coming...)
	for fo := range o.users {
		owners = append(owners, fo.id)
	}
	return owners, append(stores, o.key.store)
}

// ledger is what was asked for by one flight, for the opening it became, or
// later by a login. One of the three is set.
type ledger struct {
	deps    map[Dep]struct{}
	flight  *flight
	opening *opening
	login   *login
}

// enter notes in a ledger what was asked for.
func (f *Feed) enter(g *ledger, d Dep) {
	if g.deps == nil {
		g.deps = map[Dep]struct{}{}
	}
	g.deps[d] = struct{}{}
	if f.asked[d] == nil {
		f.asked[d] = map[*ledger]struct{}{}
	}
	f.asked[d][g] = struct{}{}
}

// erase forgets a ledger.
func (f *Feed) erase(g *ledger) {
	for d := range g.deps {
		delete(f.asked[d], g)
		if len(f.asked[d]) == 0 {
			delete(f.asked, d)
		}
	}
	g.deps = nil
}

// take gives an opening the ledger of a flight: instead of the one it had when
// newcomers take the opening, and else on top, for others still use it as it
// was.
func (f *Feed) take(o *opening, g *ledger, instead bool) {
	g.flight = nil
	if o.ledger == nil || instead {
		if o.ledger != nil {
			f.erase(o.ledger)
		}
		o.ledger, g.opening = g, o
		return
	}
	for d := range g.deps {
		f.enter(o.ledger, d)
	}
	f.erase(g)
}

// note notes what is asked for by the credentials of a flight. It is called
// before asking, so that a change that comes after it is not missed.
func (f *Feed) note(fl *flight, d Dep) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := fl.founded
	switch {
	case fl.opening == nil:
		f.enter(fl.ledger, d)
	case l != nil && f.logins[l.name] == l:
		f.enter(&l.ledger, d)
	}
}

// noting are credentials that note what is asked for.
type noting struct {
	backend.Credentials
	feed      *Feed
	flight    *flight
	namespace string
}

func (f *Feed) noting(fl *flight, c backend.Credentials, namespace string) backend.Credentials {
	if c == nil {
		return nil
	}
	return noting{c, f, fl, namespace}
}

func (n noting) note(kind, name string) { n.feed.note(n.flight, Dep{kind, n.namespace, name}) }

// In returns the same for another namespace.
func (n noting) In(namespace string) (backend.Credentials, error) {
	c, err := n.Credentials.In(namespace)
	if err != nil {
		return nil, err
	}
	n.Credentials = c
	n.namespace = cmp.Or(namespace, n.namespace)
	return n, nil
}

// All returns a whole Secret.
func (n noting) All(ctx context.Context, name string) (backend.Secret, error) {
	n.note("Secret", name)
	return n.Credentials.All(ctx, name)
}

// Secret returns one key of a Secret.
func (n noting) Secret(ctx context.Context, name, key string) (backend.Value, error) {
	n.note("Secret", name)
	return n.Credentials.Secret(ctx, name, key)
}

// ConfigMap returns one key of a ConfigMap.
func (n noting) ConfigMap(ctx context.Context, name, key string) (string, error) {
	n.note("ConfigMap", name)
	return n.Credentials.ConfigMap(ctx, name, key)
}

// Token returns a token of a service account.
func (n noting) Token(ctx context.Context, serviceAccount string, audiences []string) (backend.Value, time.Time, error) {
	n.note("ServiceAccount", serviceAccount)
	return n.Credentials.Token(ctx, serviceAccount, audiences)
}

func compareStores(a, b spec.StoreKey) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}
