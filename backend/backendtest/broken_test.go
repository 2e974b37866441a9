// SPDX-License-Identifier: Apache-2.0

package backendtest_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"

	"github.com/lockstep-secrets/lockstep/backend"
)

// A breakage is one thing that backends get wrong, done to a good one.
type breakage struct {
	reason string
	open   func(backend.Open) backend.Open
	want   []string // the checks that fail, and no other may
}

// opening breaks what Open returns.
func opening(f func(context.Context, *backend.Backend, *backend.Identity) error) func(backend.Open) backend.Open {
	return func(open backend.Open) backend.Open {
		return func(ctx context.Context, cfg backend.Config, creds backend.Credentials, client *http.Client) (backend.Backend, backend.Identity, error) {
			b, id, err := open(ctx, cfg, creds, client)
			if err != nil {
				return b, id, err
			}
			return b, id, f(ctx, &b, &id)
		}
	}
}

// part breaks one part of the Backend.
func part(f func(*backend.Backend)) func(backend.Open) backend.Open {
	return opening(func(_ context.Context, b *backend.Backend, _ *backend.Identity) error {
		f(b)
		return nil
	})
}

// The parts of a Backend as functions.
type (
	readFunc     func(context.Context, []backend.Ref) ([]backend.Result, error)
	checkFunc    func(context.Context) error
	findFunc     func(context.Context, backend.Query) iter.Seq2[backend.Found, error]
	probeFunc    func(context.Context, []backend.Ref) ([]string, error)
	versionsFunc func(context.Context, backend.Ref) iter.Seq2[backend.Version, error]
	watchFunc    func(context.Context, func(backend.Ref)) error
	scoutFunc    func(context.Context, []backend.Ref) ([]error, error)
)

func (f readFunc) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	return f(ctx, refs)
}
func (f checkFunc) Check(ctx context.Context) error { return f(ctx) }
func (f findFunc) Find(ctx context.Context, q backend.Query) iter.Seq2[backend.Found, error] {
	return f(ctx, q)
}

func (f probeFunc) Probe(ctx context.Context, refs []backend.Ref) ([]string, error) {
	return f(ctx, refs)
}

func (f versionsFunc) Versions(ctx context.Context, r backend.Ref) iter.Seq2[backend.Version, error] {
	return f(ctx, r)
}

func (f watchFunc) Watch(ctx context.Context, notify func(backend.Ref)) error { return f(ctx, notify) }

func (f scoutFunc) Scout(ctx context.Context, refs []backend.Ref) ([]error, error) {
	return f(ctx, refs)
}

// reading breaks Read.
func reading(f func(context.Context, []backend.Ref, readFunc) ([]backend.Result, error)) func(backend.Open) backend.Open {
	return part(func(b *backend.Backend) {
		next := b.Reader.Read
		b.Reader = readFunc(func(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) { return f(ctx, refs, next) })
	})
}

// answering breaks each Result of Read, and the error of the call as if it
// were one.
func answering(f func(*backend.Result)) func(backend.Open) backend.Open {
	return reading(func(ctx context.Context, refs []backend.Ref, next readFunc) ([]backend.Result, error) {
		results, err := next(ctx, refs)
		whole := backend.Result{Err: err}
		if err != nil {
			f(&whole)
		}
		for i := range results {
			f(&results[i])
		}
		return results, whole.Err
	})
}

// revalue breaks the payload of each Result.
func revalue(f func([]byte) []byte) func(backend.Open) backend.Open {
	return answering(func(r *backend.Result) {
		if r.Secret.Payload.IsSet() {
			r.Secret.Payload = backend.NewValue(f(r.Secret.Payload.Reveal()))
		}
	})
}

// finding breaks Find.
func finding(f func(context.Context, backend.Query, findFunc) iter.Seq2[backend.Found, error]) func(backend.Open) backend.Open {
	return part(func(b *backend.Backend) {
		next := b.Finder.Find
		b.Finder = findFunc(func(ctx context.Context, q backend.Query) iter.Seq2[backend.Found, error] { return f(ctx, q, next) })
	})
}

// querying breaks the question that Find is asked.
func querying(f func(*backend.Query)) func(backend.Open) backend.Open {
	return finding(func(ctx context.Context, q backend.Query, next findFunc) iter.Seq2[backend.Found, error] {
		f(&q)
		return next(ctx, q)
	})
}

// probing breaks Probe.
func probing(f func(context.Context, []backend.Ref, probeFunc) ([]string, error)) func(backend.Open) backend.Open {
	return part(func(b *backend.Backend) {
		next := b.Prober.Probe
		b.Prober = probeFunc(func(ctx context.Context, refs []backend.Ref) ([]string, error) { return f(ctx, refs, next) })
	})
}

// history breaks Versions, which it gets as a slice.
func history(f func([]backend.Version, error) ([]backend.Version, error)) func(backend.Open) backend.Open {
	return part(func(b *backend.Backend) {
		next := b.Versioner.Versions
		b.Versioner = versionsFunc(func(ctx context.Context, r backend.Ref) iter.Seq2[backend.Version, error] {
			return func(yield func(backend.Version, error) bool) {
				var all []backend.Version
				var failed error
				for v, err := range next(ctx, r) {
					if err != nil {
						failed = err
						break
					}
					all = append(all, v)
				}
				all, failed = f(all, failed)
				for _, v := range all {
					if !yield(v, nil) {
						return
					}
				}
				if failed != nil {
					yield(backend.Version{}, failed)
				}
			}
		})
	})
}

// writer and lessor break one method of an interface that has several.
type writer struct {
	backend.Writer
	write  func(context.Context, backend.Write, backend.Writer) (string, error)
	delete func(context.Context, backend.Ref, string, backend.Writer) error
}

func (w writer) Write(ctx context.Context, one backend.Write) (string, error) {
	if w.write == nil {
		return w.Writer.Write(ctx, one)
	}
	return w.write(ctx, one, w.Writer)
}

func (w writer) Delete(ctx context.Context, r backend.Ref, owner string) error {
	if w.delete == nil {
		return w.Writer.Delete(ctx, r, owner)
	}
	return w.delete(ctx, r, owner, w.Writer)
}

func writing(f func(context.Context, backend.Write, backend.Writer) (string, error)) func(backend.Open) backend.Open {
	return part(func(b *backend.Backend) { b.Writer = writer{Writer: b.Writer, write: f} })
}

func deleting(f func(context.Context, backend.Ref, string, backend.Writer) error) func(backend.Open) backend.Open {
	return part(func(b *backend.Backend) { b.Writer = writer{Writer: b.Writer, delete: f} })
}

type lessor struct {
	backend.Lessor
	renew  func(context.Context, string, backend.Lessor) (backend.Lease, error)
	revoke func(context.Context, string, backend.Lessor) error
}

func (l lessor) Renew(ctx context.Context, id string) (backend.Lease, error) {
	if l.renew == nil {
		return l.Lessor.Renew(ctx, id)
	}
	return l.renew(ctx, id, l.Lessor)
}

func (l lessor) Revoke(ctx context.Context, id string) error {
	if l.revoke == nil {
		return l.Lessor.Revoke(ctx, id)
	}
	return l.revoke(ctx, id, l.Lessor)
}

func leasing(with lessor) func(backend.Open) backend.Open {
	return part(func(b *backend.Backend) {
		with := with
		with.Lessor = b.Lessor
		b.Lessor = with
	})
}

// recode makes an error of another code out of one.
func recode(err error, from, to backend.Code) error {
	if backend.CodeOf(err) != from {
		return err
	}
	return &backend.Error{Code: to, Message: "recoded", RetryAfter: backend.RetryAfterOf(err)}
}

// echo is the error of a server as an SDK hands it on.
type echo struct{ text string }

func (e echo) Error() string { return fmt.Sprintf("the server says: %s", e.text) }
