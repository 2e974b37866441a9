// SPDX-License-Identifier: Apache-2.0

// Package backend is the contract between Lockstep and a secret manager: what
// a backend may be asked, what it answers, and what its errors mean.
//
// It knows no Kubernetes, no cache and no schedule, and imports the standard
// library only. The products are in backends/, the suite that holds each of
// them to this contract is in backend/backendtest.
package backend

import (
	"context"
	"crypto/tls"
	"iter"
	"net/http"
	"time"
)

// A Backend is one store, configured and ready to be asked. Reader is
// required. Every other field is nil when this store, as configured, cannot
// do that thing; there is no other way to say so, and none to claim an ability
// and lack it.
//
// All methods may be called by many goroutines at once. None of them retries,
// caches, limits its rate or logs: the caller knows how long it can wait, and
// the backend does not.
type Backend struct {
	Reader    Reader
	Checker   Checker
	Finder    Finder
	Prober    Prober
	Versioner Versioner
	Writer    Writer
	Watcher   Watcher
	Lessor    Lessor
	Limits    Limits
	// Scout is nil where reading changes nothing of what the store holds. It is
	// no capability, for what can be done does not depend on it.
	Scout Scout
	// Partial says that listings leave out what the login may not read. Then
	// nothing is proven by what a Finder does not yield.
	Partial bool
	Close   func() error // nil when there is nothing to close
}

// Limits are what the product allows one caller.
type Limits struct {
	Batch    int // most references that one Read may carry; 0 and 1 mean one
	Parallel int // calls that may be under way at once; 0 means one
	Rate     int // requests in any one-second window of a Quota; 0 means no limit
	Payload  int // largest secret in bytes; 0 means unknown
}

// A Reader reads secrets.
type Reader interface {
	// Read returns one Result for each ref, in the order given. A failure to
	// read one secret belongs in its Result and must not spoil its
	// neighbours. The error is for calls that failed as a whole, such as a
	// refused login; the results are then ignored.
	//
	// One Read of at most Limits.Batch refs makes at most one request for
	// their values, whatever the answer; a second one only where the first
	// proved that a name belongs to another secret by now.
	Read(ctx context.Context, refs []Ref) ([]Result, error)
}

// A Checker tells whether the store can be logged in to.
type Checker interface {
	// Check returns nil when the login works, and otherwise an *Error:
	// Unauthenticated for refused credentials.
	Check(ctx context.Context) error
}

// A Finder lists what a store holds.
type Finder interface {
	// Find yields every secret that the query matches, page by page, and ends
	// after the first error. Value is set only where the product's listing
	// returns values anyway.
	Find(ctx context.Context, q Query) iter.Seq2[Found, error]
}

// Query asks a Finder. The zero Query matches everything the login can see.
// All fields that are set must match.
type Query struct {
	Path string // prefix of the ref's Path, in the product's own grammar
	Name string // RE2 expression, unanchored, on the ref's Path
	Kind string // as Ref.Kind
	Tags string // sorted "k=v" pairs joined by ","; a string, so that Query can be a map key
}

// Found is one hit of a Finder.
type Found struct {
	Ref    Ref
	Name   string  // what people call it, where that is not Ref.Path
	Secret *Secret // nil where listing returns no values
}

// A Prober tells cheaply whether secrets changed, without reading a value.
type Prober interface {
	// Probe returns for each ref, in order, the Version that a Read would
	// answer with now. An empty one means that nothing can be told and the
	// secret must be read; so does PermissionDenied for the whole call. It
	// never costs more requests than reading the refs would, and never changes
	// a secret: it is the only way to follow those that reading changes.
	Probe(ctx context.Context, refs []Ref) ([]string, error)
}

// A Versioner knows the history of a secret.
type Versioner interface {
	// Versions yields the newest version first.
	Versions(ctx context.Context, ref Ref) iter.Seq2[Version, error]
}

// Version is one entry of a secret's history.
type Version struct {
	ID        string    // what Ref.Version takes
	Created   time.Time // zero when the product does not say
	Available bool      // whether the value can still be read
}

// A Writer changes secrets.
type Writer interface {
	// Write creates or replaces one secret and returns its new version. It
	// refuses with Conflict when the secret exists and carries another
	// owner's mark, or when IfVersion is set and does not match.
	Write(ctx context.Context, w Write) (version string, err error)
	// Delete removes a secret that carries the owner's mark. One that is gone
	// already is a success, one of another owner a Conflict.
	Delete(ctx context.Context, ref Ref, owner string) error
}

// Absent as Write.IfVersion demands that the secret does not exist yet.
const Absent = "\x00absent"

// Write is one secret to be written.
type Write struct {
	Ref       Ref
	Secret    Secret
	Owner     string // mark that is stored with the secret, never empty
	IfVersion string // "", a version, or Absent
}

// A Watcher learns of changes as they happen.
type Watcher interface {
	// Watch calls notify until ctx ends or the stream breaks. Notices are
	// hints: late, repeated or lost, so callers poll as well. A notice with an
	// empty Ref means that anything may have changed.
	Watch(ctx context.Context, notify func(Ref)) error
}

// A Lessor looks after what a Read made for its caller: a Secret with a Lease.
type Lessor interface {
	// Renew extends a lease. NotFound means that it ended, or that it cannot
	// last: the secret has to be read again, which makes another one.
	Renew(ctx context.Context, id string) (Lease, error)
	// Revoke ends a lease. One that ended already is a success.
	Revoke(ctx context.Context, id string) error
}

// Open makes a Backend out of a configuration. It makes no request: logging in
// is left to the first call that needs it, so that opening the same login
// twice costs nothing. client carries every request of the product's SDK, with
// the SDK's own retries off; it counts requests against the quota.
//
// A configuration that cannot work is InvalidRef, credentials that are missing
// are Unauthenticated.
type Open func(ctx context.Context, cfg Config, creds Credentials, client *http.Client) (Backend, Identity, error)

// Config is what a backend is opened with.
type Config struct {
	// Name tells stores apart, for products that keep state in the process:
	// kind, namespace and name. It is stable, and holds no secret bytes.
	Name string
	// Shared says that the store is the operator's, for the whole cluster. Others
	// must not log in as the controller: whoever wrote them says where its
	// credentials go.
	Shared bool
	// Raw is the provider's part of the manifest as JSON; nil in dialects
	// whose stores are configured by the operator's environment.
	Raw []byte
	// Env holds the operator's environment, for dialects that are configured
	// by it; nil where tenants configure the store.
	Env Env
	// Fingerprint makes a token of secret bytes that can be part of an
	// Identity. It is keyed by a random key of the process, so a token tells
	// nothing about the bytes.
	Fingerprint func(...Value) string
	// Spend waits for the quota. Backends whose SDK cannot use the HTTP client
	// call it before each request; the others must not.
	Spend func(ctx context.Context) error
	// Client makes an HTTP client like the one that Open was given, with the
	// same quota, bounds and rules on where it may connect to, that trusts and
	// shows the certificates of t. A backend that uses it closes the idle
	// connections in its Close.
	Client func(t *tls.Config) *http.Client
}

// Identity is what may be shared between stores that are the same store.
type Identity struct {
	// Login names endpoint, credential content and role. Stores with equal
	// logins share reads, tokens and connections. It holds no secret bytes.
	Login string
	// Quota names the instance or account that the product's rate limit
	// applies to.
	Quota string
}

// Credentials is how a backend gets at the login material of its store. It is
// bound to one namespace; a backend never sees a Kubernetes client.
type Credentials interface {
	// In returns the same for a namespace that the store names. "" is the
	// namespace it is bound to. Another one is InvalidRef but for stores of the
	// whole cluster.
	In(namespace string) (Credentials, error)
	// All returns a Kubernetes Secret with all its keys as Fields, and its
	// labels: NotFound when it is missing.
	All(ctx context.Context, name string) (Secret, error)
	// Secret returns one key of a Kubernetes Secret: NotFound when either is
	// missing.
	Secret(ctx context.Context, name, key string) (Value, error)
	// ConfigMap returns one key of a ConfigMap: NotFound when either is
	// missing.
	ConfigMap(ctx context.Context, name, key string) (string, error)
	// Token returns a token of a service account for the audiences, and when
	// it expires.
	Token(ctx context.Context, serviceAccount string, audiences []string) (Value, time.Time, error)
}
