// SPDX-License-Identifier: Apache-2.0

package backendtest_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory/memorytest"
)

var openBreakages = map[string]breakage{
	"logs in to open": {
		reason: "opening costs a request",
		open: opening(func(ctx context.Context, b *backend.Backend, _ *backend.Identity) error {
			_ = b.Checker.Check(ctx)
			return nil
		}),
		want: []string{"open/no-request"},
	},
	"one identity for all": {
		reason: "other credentials share the answers",
		open: opening(func(_ context.Context, _ *backend.Backend, id *backend.Identity) error {
			id.Login = "memory"
			return nil
		}),
		want: []string{"open/identity"},
	},
	"the password in the identity": {
		reason: "identities are printed",
		open: opening(func(_ context.Context, _ *backend.Backend, id *backend.Identity) error {
			id.Login += hex.EncodeToString([]byte(memorytest.Password))
			return nil
		}),
		want: []string{"open/identity"},
	},
	"opens without credentials": {
		reason: "missing credentials come to light with the first read only",
		open: func(open backend.Open) backend.Open {
			return func(ctx context.Context, cfg backend.Config, creds backend.Credentials, client *http.Client) (backend.Backend, backend.Identity, error) {
				b, id, err := open(ctx, cfg, creds, client)
				if backend.CodeOf(err) == backend.Unauthenticated {
					return b, id, nil
				}
				return b, id, err
			}
		},
		want: []string{"open/missing-credentials"},
	},
	"can less the second time": {
		reason: "an ability that depends on a cache",
		open: func(open backend.Open) backend.Open {
			opened := 0
			return opening(func(_ context.Context, b *backend.Backend, _ *backend.Identity) error {
				opened++
				if opened > 1 {
					b.Watcher = nil
				}
				return nil
			})(open)
		},
		want: []string{"open/capabilities"},
	},
	"refused is forbidden": {
		reason: "a login that is refused needs another cure than a missing permission",
		open: answering(func(r *backend.Result) {
			if e := (*backend.Error)(nil); errors.As(r.Err, &e) && strings.Contains(e.Message, "refuses login") {
				r.Err = recode(r.Err, backend.Unauthenticated, backend.PermissionDenied)
			}
		}),
		want: []string{"read/refused-login"},
	},
	"refuses to be checked": {
		reason: "a good store is shown as not ready",
		open: part(func(b *backend.Backend) {
			next := b.Checker.Check
			b.Checker = checkFunc(func(ctx context.Context) error {
				if err := next(ctx); err != nil {
					return err
				}
				return backend.Errorf(backend.Unauthenticated, "refused")
			})
		}),
		want: []string{"check/login"},
	},
	"close leaves a goroutine": {
		reason: "each rotation of the credentials leaks one",
		open: part(func(b *backend.Backend) {
			r, _ := io.Pipe()
			go func() { _, _ = io.Copy(io.Discard, r) }()
			b.Close = func() error { return nil }
		}),
		want: []string{"close/releases"},
	},
}

var findBreakages = map[string]breakage{
	"loses the second page": {
		reason: "what a listing forgets is taken for removed",
		open: finding(func(ctx context.Context, q backend.Query, next findFunc) iter.Seq2[backend.Found, error] {
			return func(yield func(backend.Found, error) bool) {
				n := 0
				for f, err := range next(ctx, q) {
					if n++; n > 3 || !yield(f, err) {
						return
					}
				}
			}
		}),
		want: []string{"find/more-than-a-page"},
	},
	"lists another value than it reads": {
		reason: "a listing that shows values of a cache",
		open: finding(func(ctx context.Context, q backend.Query, next findFunc) iter.Seq2[backend.Found, error] {
			return func(yield func(backend.Found, error) bool) {
				for f, err := range next(ctx, q) {
					f.Secret = &backend.Secret{Payload: backend.NewValue([]byte("old"))}
					if !yield(f, err) {
						return
					}
				}
			}
		}),
		want: []string{"find/all"},
	},
	"ignores the prefix": {
		reason: "secrets of another team are found",
		open:   querying(func(q *backend.Query) { q.Path = "" }),
		want:   []string{"find/prefix"},
	},
	"ignores the name": {
		reason: "secrets are found that nobody asked for",
		open:   querying(func(q *backend.Query) { q.Name = "" }),
		want:   []string{"find/name", "find/bad-name"},
	},
	"any tag will do": {
		reason: "tags of a query are joined by and",
		open: querying(func(q *backend.Query) {
			q.Tags, _, _ = strings.Cut(q.Tags, ",")
		}),
		want: []string{"find/tags"},
	},
	"goes on when stopped": {
		reason: "an iterator that ignores its caller panics",
		open: finding(func(ctx context.Context, q backend.Query, next findFunc) iter.Seq2[backend.Found, error] {
			return func(yield func(backend.Found, error) bool) {
				for f, err := range next(ctx, q) {
					yield(f, err)
				}
			}
		}),
		want: []string{"find/stops"},
	},
	"goes on after an error": {
		reason: "half a listing looks like a whole one",
		open: finding(func(ctx context.Context, q backend.Query, next findFunc) iter.Seq2[backend.Found, error] {
			return func(yield func(backend.Found, error) bool) {
				for f, err := range next(ctx, q) {
					if !yield(f, err) || err != nil && !yield(f, err) {
						return
					}
				}
			}
		}),
		want: []string{"find/ends-after-error"},
	},
}

var writeBreakages = map[string]breakage{
	"writes something else": {
		reason: "a value that is encoded once too often",
		open: writing(func(ctx context.Context, w backend.Write, next backend.Writer) (string, error) {
			w.Secret = backend.Secret{Payload: backend.NewValue([]byte("something else"))}
			return next.Write(ctx, w)
		}),
		want: []string{"write/then-read", "write/another-owner", "write/stale-version", "write/absent", "delete/another-owner"},
	},
	"writes over another owner": {
		reason: "two clusters fight over one secret",
		open: part(func(b *backend.Backend) {
			b.Writer = writer{Writer: b.Writer, write: func(ctx context.Context, w backend.Write, next backend.Writer) (string, error) {
				version, err := next.Write(ctx, w)
				if backend.CodeOf(err) == backend.Conflict && w.IfVersion == "" {
					w.Owner = "suite/theirs"
					return next.Write(ctx, w)
				}
				return version, err
			}}
		}),
		want: []string{"write/another-owner"},
	},
	"ignores the version": {
		reason: "what somebody wrote meanwhile is lost",
		open: writing(func(ctx context.Context, w backend.Write, next backend.Writer) (string, error) {
			if w.IfVersion != backend.Absent {
				w.IfVersion = ""
			}
			return next.Write(ctx, w)
		}),
		want: []string{"write/stale-version"},
	},
	"creates what exists": {
		reason: "a secret that was there is lost",
		open: writing(func(ctx context.Context, w backend.Write, next backend.Writer) (string, error) {
			if w.IfVersion == backend.Absent {
				w.IfVersion = ""
			}
			return next.Write(ctx, w)
		}),
		want: []string{"write/absent"},
	},
	"fails to delete what is gone": {
		reason: "a finalizer that never ends",
		open: part(func(b *backend.Backend) {
			read := b.Reader.Read
			b.Writer = writer{Writer: b.Writer, delete: func(ctx context.Context, r backend.Ref, owner string, next backend.Writer) error {
				results, err := read(ctx, []backend.Ref{r})
				if err == nil {
					err = results[0].Err
				}
				if err != nil {
					return err
				}
				return next.Delete(ctx, r, owner)
			}}
		}),
		want: []string{"delete/twice"},
	},
	"deletes what another owner marked": {
		reason: "two clusters fight over one secret",
		open: deleting(func(ctx context.Context, r backend.Ref, owner string, next backend.Writer) error {
			if err := next.Delete(ctx, r, owner); backend.CodeOf(err) != backend.Conflict {
				return err
			}
			return recode(next.Delete(ctx, r, "suite/theirs"), "", backend.Conflict)
		}),
		want: []string{"delete/another-owner"},
	},
	"deletes what was made by hand": {
		reason: "what nobody marked is nobody's to delete",
		open: deleting(func(ctx context.Context, r backend.Ref, owner string, next backend.Writer) error {
			if err := next.Delete(ctx, r, owner); backend.CodeOf(err) != backend.Conflict {
				return err
			}
			if err := next.Delete(ctx, r, ""); err != nil {
				return err
			}
			return nil
		}),
		want: []string{"delete/unmarked"},
	},
}

var streamBreakages = map[string]breakage{
	"never notifies": {
		reason: "a change waits for the next poll",
		open: part(func(b *backend.Backend) {
			next := b.Watcher.Watch
			b.Watcher = watchFunc(func(ctx context.Context, _ func(backend.Ref)) error {
				return next(ctx, func(backend.Ref) {})
			})
		}),
		want: []string{"watch/notice"},
	},
	"notifies of something else": {
		reason: "the wrong ref is read",
		open: part(func(b *backend.Backend) {
			next := b.Watcher.Watch
			b.Watcher = watchFunc(func(ctx context.Context, notify func(backend.Ref)) error {
				return next(ctx, func(r backend.Ref) { notify(backend.Ref{Path: r.Path + "?"}) })
			})
		}),
		want: []string{"watch/notice"},
	},
	"watches for ever": {
		reason: "a stream that outlives its context",
		open: part(func(b *backend.Backend) {
			next := b.Watcher.Watch
			b.Watcher = watchFunc(func(ctx context.Context, notify func(backend.Ref)) error {
				if ctx.Err() == nil {
					return next(ctx, notify)
				}
				select {}
			})
		}),
		want: []string{"watch/ends"},
	},
	"lends one credential to all": {
		reason: "who revokes one ends the others",
		open: func(open backend.Open) backend.Open {
			var first backend.Secret
			return answering(func(r *backend.Result) {
				if r.Ref.Path != "role" {
					return
				}
				if first.Lease.ID == "" {
					first = r.Secret
				}
				r.Secret = first
			})(open)
		},
		want: []string{"lease/own"},
	},
	"lends without a lease": {
		reason: "nobody renews it, and it is polled",
		open:   answering(func(r *backend.Result) { r.Secret.Lease = backend.Lease{} }),
		want:   []string{"lease/own", "lease/renew", "lease/revoke"},
	},
	"renews into another lease": {
		reason: "the old lease is lost and never revoked",
		open: leasing(lessor{renew: func(ctx context.Context, id string, next backend.Lessor) (backend.Lease, error) {
			l, err := next.Renew(ctx, id)
			l.ID += "-renewed"
			return l, err
		}}),
		want: []string{"lease/renew"},
	},
	"renews what was revoked": {
		reason: "a dead credential is taken for a good one",
		open: leasing(lessor{renew: func(ctx context.Context, id string, next backend.Lessor) (backend.Lease, error) {
			l, err := next.Renew(ctx, id)
			if backend.CodeOf(err) == backend.NotFound {
				return backend.Lease{ID: id}, nil
			}
			return l, err
		}}),
		want: []string{"lease/revoke"},
	},
}
