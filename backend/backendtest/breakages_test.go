// SPDX-License-Identifier: Apache-2.0

package backendtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"unicode/utf8"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backend/backendtest"
)

// breakages are all that the suite is known to catch.
var breakages = merge(readBreakages, versionBreakages, faultBreakages, openBreakages, findBreakages, writeBreakages, streamBreakages)

func merge(tables ...map[string]breakage) map[string]breakage {
	out := map[string]breakage{}
	for _, t := range tables {
		maps.Copy(out, t)
	}
	return out
}

var readBreakages = map[string]breakage{
	"sorts its answers": {
		reason: "an answer in another order is somebody else's password",
		open: reading(func(ctx context.Context, refs []backend.Ref, next readFunc) ([]backend.Result, error) {
			results, err := next(ctx, refs)
			slices.SortFunc(results, func(a, b backend.Result) int { return a.Ref.Compare(b.Ref) })
			return results, err
		}),
		want: []string{"read/order", "read/missing", "read/bad-ref", "fault/spares-neighbours", "read/one-request"},
	},
	"mislabels its answers": {
		reason: "the right refs over rotated values pass a check of refs alone",
		open: reading(func(ctx context.Context, refs []backend.Ref, next readFunc) ([]backend.Result, error) {
			results, err := next(ctx, refs)
			if len(results) == 5 {
				results[0].Secret, results[4].Secret = results[4].Secret, results[0].Secret
			}
			return results, err
		}),
		want: []string{"read/order"},
	},
	"asks for nothing": {
		reason: "an empty question costs a request",
		open: reading(func(ctx context.Context, refs []backend.Ref, next readFunc) ([]backend.Result, error) {
			if len(refs) > 0 {
				return next(ctx, refs)
			}
			_, err := next(ctx, []backend.Ref{{Path: "role"}})
			return nil, err
		}),
		want: []string{"read/none"},
	},
	"one request a ref": {
		reason: "a batch that is a loop",
		open: reading(func(ctx context.Context, refs []backend.Ref, next readFunc) ([]backend.Result, error) {
			var out []backend.Result
			for i := range refs {
				one, err := next(ctx, refs[i:i+1])
				if err != nil {
					return nil, err
				}
				out = append(out, one...)
			}
			return out, nil
		}),
		want: []string{"read/one-request"},
	},
	"text instead of bytes": {
		reason: "a string conversion replaces what is no UTF-8",
		open: revalue(func(b []byte) []byte {
			if utf8.Valid(b) {
				return b
			}
			return bytes.ToValidUTF8(b, []byte("?"))
		}),
		want: []string{"read/binary"},
	},
	"empty is absent": {
		reason: "a value without bytes is dropped",
		open: answering(func(r *backend.Result) {
			if r.Secret.Payload.Len() == 0 {
				r.Secret.Payload = backend.Value{}
			}
		}),
		want: []string{"read/empty-value"},
	},
	"cuts values off": {
		reason: "a reader with a limit and no error",
		open:   revalue(func(b []byte) []byte { return b[:min(len(b), 4096)] }),
		want:   []string{"read/large"},
	},
	"escapes fields": {
		reason: "a field goes through an encoder that escapes",
		open: answering(func(r *backend.Result) {
			for name, v := range r.Secret.Fields {
				text, err := json.Marshal(string(v.Reveal()))
				if err != nil {
					r.Err = err
					return
				}
				r.Secret.Fields[name] = backend.NewValue(bytes.Trim(text, `"`))
			}
		}),
		want: []string{"read/fields"},
	},
	"missing is an empty value": {
		reason: "the classic: a missing secret becomes an empty one and breaks the workload",
		open: answering(func(r *backend.Result) {
			if backend.CodeOf(r.Err) == backend.NotFound {
				r.Err, r.Secret = nil, backend.Secret{Payload: backend.NewValue(nil)}
			}
		}),
		want: []string{"read/missing", "fault/code", "delete/twice"},
	},
	"one missing secret fails the call": {
		reason: "one bad name starves all other secrets of the store",
		open: reading(func(ctx context.Context, refs []backend.Ref, next readFunc) ([]backend.Result, error) {
			results, err := next(ctx, refs)
			for _, r := range results {
				if backend.CodeOf(r.Err) == backend.NotFound {
					return nil, r.Err
				}
			}
			return results, err
		}),
		want: []string{"read/missing"},
	},
	"asks for what cannot be": {
		reason: "a bad ref is sent to the store, which has its own opinion",
		open: reading(func(ctx context.Context, refs []backend.Ref, next readFunc) ([]backend.Result, error) {
			sent := slices.Clone(refs)
			for i := range sent {
				if sent[i].Path == "" {
					sent[i].Path = "no such path"
				}
			}
			results, err := next(ctx, sent)
			for i := range results {
				results[i].Ref = refs[i]
			}
			return results, err
		}),
		want: []string{"read/bad-ref"},
	},
	"swallows cancellation": {
		reason: "a context of its own outlives the caller's",
		open: reading(func(ctx context.Context, refs []backend.Ref, next readFunc) ([]backend.Result, error) {
			return next(context.WithoutCancel(ctx), refs)
		}),
		want: []string{"read/cancelled"},
	},
	"ends late": {
		reason: "only a request under way shows that the context is not passed on",
		open: reading(func(ctx context.Context, refs []backend.Ref, next readFunc) ([]backend.Result, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return next(context.WithoutCancel(ctx), refs)
		}),
		want: []string{"read/cancelled"},
	},
	"leaks a connection a Read": {
		reason: "a pool runs dry under load only",
		open: part(func(b *backend.Backend) {
			next := b.Reader.Read
			var used atomic.Int32
			b.Reader = readFunc(func(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
				if used.Add(1) > 20 {
					return nil, backend.Errorf(backend.Unavailable, "no connection")
				}
				return next(ctx, refs)
			})
		}),
		want: []string{"read/concurrent"},
	},
	"marks nothing as mutating": {
		reason: "a secret that reading changes is polled",
		open:   answering(func(r *backend.Result) { r.Secret.ReadMutates = false }),
		want:   []string{"read/mutating", "lease/own", "lease/renew", "lease/revoke"},
	},
	"scouts nothing": {
		reason: "who only looks changes a secret",
		open:   part(func(b *backend.Backend) { b.Scout = nil }),
		want:   []string{"read/mutating", "lease/own"},
	},
	"scouts too much": {
		reason: "who only looks sees nothing",
		open: part(func(b *backend.Backend) {
			b.Scout = scoutFunc(func(_ context.Context, refs []backend.Ref) ([]error, error) {
				return slices.Repeat([]error{backend.Untouched(backend.Ref{}, "")}, len(refs)), nil
			})
		}),
		want: []string{"read/mutating"},
	},
}

var versionBreakages = map[string]breakage{
	"ignores versions": {
		reason: "a pinned version moves",
		open: reading(func(ctx context.Context, refs []backend.Ref, next readFunc) ([]backend.Result, error) {
			sent := slices.Clone(refs)
			for i := range sent {
				sent[i].Version = ""
			}
			results, err := next(ctx, sent)
			for i := range results {
				results[i].Ref = refs[i]
			}
			return results, err
		}),
		want: []string{"read/old-version", "versions/newest-first"},
	},
	"returns a stale version token": {
		reason: "a change is taken for none",
		open: answering(func(r *backend.Result) {
			if r.Secret.Version != "" {
				r.Secret.Version = "1"
			}
		}),
		want: []string{"read/version", "write/then-read"},
	},
	"probes with one token": {
		reason: "a change is taken for none",
		open: probing(func(ctx context.Context, refs []backend.Ref, next probeFunc) ([]string, error) {
			tokens, err := next(ctx, refs)
			for i := range tokens {
				tokens[i] = "same"
			}
			return tokens, err
		}),
		want: []string{"probe/changes", "probe/removed"},
	},
	"probes by reading": {
		reason: "a probe that costs what a read costs",
		open: part(func(b *backend.Backend) {
			read, next := b.Reader.Read, b.Prober.Probe
			b.Prober = probeFunc(func(ctx context.Context, refs []backend.Ref) ([]string, error) {
				if _, err := read(ctx, refs); err != nil {
					return nil, err
				}
				return next(ctx, refs)
			})
		}),
		want: []string{"probe/changes"},
	},
	"probes what was removed": {
		reason: "a removed secret keeps its token, and its Secret for ever",
		open: part(func(b *backend.Backend) {
			next := b.Prober.Probe
			old := map[backend.Ref]string{}
			b.Prober = probeFunc(func(ctx context.Context, refs []backend.Ref) ([]string, error) {
				tokens, err := next(ctx, refs)
				for i, t := range tokens {
					if t == "" {
						tokens[i] = old[refs[i]]
					}
					old[refs[i]] = tokens[i]
				}
				return tokens, err
			})
		}),
		want: []string{"probe/removed"},
	},
	"lists versions oldest first": {
		reason: "the newest is what callers take first",
		open: history(func(all []backend.Version, err error) ([]backend.Version, error) {
			slices.Reverse(all)
			return all, err
		}),
		want: []string{"versions/newest-first"},
	},
	"no history is no error": {
		reason: "a missing secret looks like one without versions",
		open: history(func(all []backend.Version, err error) ([]backend.Version, error) {
			if backend.CodeOf(err) == backend.NotFound {
				return nil, nil
			}
			return all, err
		}),
		want: []string{"versions/missing"},
	},
}

var faultBreakages = map[string]breakage{
	"forbidden is missing": {
		reason: "a lost permission deletes Secrets",
		open: answering(func(r *backend.Result) {
			r.Err = recode(r.Err, backend.PermissionDenied, backend.NotFound)
		}),
		want: []string{"fault/code", "fault/spares-neighbours", "fault/every-call"},
	},
	"a dead store is missing": {
		reason: "an outage deletes Secrets",
		open: answering(func(r *backend.Result) {
			if e := (*backend.Error)(nil); errors.As(r.Err, &e) {
				r.Err = recode(r.Err, backend.Unavailable, backend.NotFound)
			}
		}),
		want: []string{"fault/code", "fault/every-call"},
	},
	"drops RetryAfter": {
		reason: "the store is asked again while it wants to be left alone",
		open: answering(func(r *backend.Result) {
			if c := backend.CodeOf(r.Err); c == backend.RateLimited {
				r.Err = backend.Errorf(c, "limited")
			}
		}),
		want: []string{"fault/retry-after"},
	},
	"retries inside": {
		reason: "an SDK with its own retries multiplies every outage",
		open: reading(func(ctx context.Context, refs []backend.Ref, next readFunc) ([]backend.Result, error) {
			results, err := next(ctx, refs)
			if err == nil && len(results) == 1 && backend.CodeOf(results[0].Err) == backend.Unavailable {
				return next(ctx, refs)
			}
			return results, err
		}),
		want: []string{"fault/one-request"},
	},
	"repeats the server": {
		reason: "servers echo what they were sent",
		open: answering(func(r *backend.Result) {
			if c := backend.CodeOf(r.Err); c == backend.Unavailable {
				r.Err = backend.Errorf(c, "the server says: %s", backendtest.Canary)
			}
		}),
		want: []string{"fault/no-server-text", "fault/every-call"},
	},
	"carries the server's words as a cause": {
		reason: "causes are printed by those who debug",
		open: answering(func(r *backend.Result) {
			if c := backend.CodeOf(r.Err); c == backend.PermissionDenied {
				r.Err = &backend.Error{Code: c, Message: "forbidden", Err: echo{backendtest.Canary}}
			}
		}),
		want: []string{"fault/no-server-text", "fault/every-call"},
	},
	"one forbidden secret fails the call": {
		reason: "one bad name starves all other secrets of the store",
		open: reading(func(ctx context.Context, refs []backend.Ref, next readFunc) ([]backend.Result, error) {
			results, err := next(ctx, refs)
			for _, r := range results {
				if backend.CodeOf(r.Err) == backend.PermissionDenied {
					return nil, r.Err
				}
			}
			return results, err
		}),
		want: []string{"fault/spares-neighbours"},
	},
	"a check that never fails": {
		reason: "a store is shown as ready that is not",
		open:   part(func(b *backend.Backend) { b.Checker = checkFunc(func(context.Context) error { return nil }) }),
		want:   []string{"fault/every-call", "check/refused-login"},
	},
}
