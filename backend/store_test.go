// SPDX-License-Identifier: Apache-2.0

package backend_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

// fake is a Backend of functions that notes the sizes of its Reads.
type fake struct {
	read  func(context.Context, []backend.Ref) ([]backend.Result, error)
	find  func(yield func(backend.Found, error) bool)
	probe func([]backend.Ref) ([]string, error)
	check func() error

	mu    sync.Mutex
	sizes []int
}

func (f *fake) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	f.mu.Lock()
	f.sizes = append(f.sizes, len(refs))
	f.mu.Unlock()
	return f.read(ctx, refs)
}

func (f *fake) Find(context.Context, backend.Query) iter.Seq2[backend.Found, error] { return f.find }

func (f *fake) Probe(_ context.Context, refs []backend.Ref) ([]string, error) { return f.probe(refs) }

func (f *fake) Check(context.Context) error { return f.check() }

func (f *fake) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sizes)
}

// echo answers each ref with its own path.
func echo(_ context.Context, refs []backend.Ref) ([]backend.Result, error) {
	out := make([]backend.Result, len(refs))
	for i, r := range refs {
		out[i] = backend.Result{Ref: r, Secret: backend.Secret{Payload: backend.NewValue([]byte(r.Path))}}
	}
	return out, nil
}

func refs(n int) []backend.Ref {
	out := make([]backend.Ref, n)
	for i := range out {
		out[i].Path = fmt.Sprintf("p%02d", (i*7)%n)
	}
	return out
}

// answers returns an error unless each ref was answered with its own path.
func answers(asked []backend.Ref, got []backend.Result) error {
	if len(got) != len(asked) {
		return fmt.Errorf("%d answers to %d questions", len(got), len(asked))
	}
	for i, r := range got {
		if r.Ref != asked[i] || r.Err != nil || string(r.Secret.Payload.Reveal()) != asked[i].Path {
			return fmt.Errorf("answer %d is to %s, error %w", i, r.Ref, r.Err)
		}
	}
	return nil
}

// codesOf returns the codes of results, and an error where a failed one
// carries a value or the wrong ref.
func codesOf(t *testing.T, asked []backend.Ref, got []backend.Result) []backend.Code {
	t.Helper()
	var out []backend.Code
	for i, r := range got {
		if r.Ref != asked[i] || r.Err != nil && r.Secret.Payload.IsSet() {
			t.Errorf("result %d has ref %s, error %v, a value: %t", i, r.Ref, r.Err, r.Secret.Payload.IsSet())
		}
		out = append(out, backend.CodeOf(r.Err))
	}
	return out
}

func TestStoreBatches(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		batch  int
		refs   int
		want   map[int]int // size of a Read: how many
	}{
		"none":      {"no question, no call", 10, 0, map[int]int{}},
		"unset":     {"0 means one", 0, 3, map[int]int{1: 3}},
		"single":    {"one each", 1, 3, map[int]int{1: 3}},
		"exact":     {"no empty Read at the end", 5, 10, map[int]int{5: 2}},
		"remainder": {"the rest in one Read", 4, 10, map[int]int{4: 2, 2: 1}},
		"large":     {"all at once", 20, 10, map[int]int{10: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{read: echo}
			s := backend.NewStore("store", backend.Backend{Reader: f, Limits: backend.Limits{Batch: c.batch, Parallel: 3}}, backend.NewQuota(0))
			asked := refs(c.refs)
			if err := answers(asked, s.Read(t.Context(), asked)); err != nil {
				t.Error(err)
			}
			sizes := map[int]int{}
			for _, n := range f.sizes {
				sizes[n]++
			}
			if diff := cmp.Diff(c.want, sizes); diff != "" {
				t.Errorf("%s: sizes (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestStoreParallel(t *testing.T) {
	for name, c := range map[string]struct {
		reason          string
		parallel, calls int
		want            time.Duration
	}{
		"unset": {"0 means one at a time", 0, 10, 10 * time.Second},
		"one":   {"one at a time", 1, 10, 10 * time.Second},
		"three": {"three at a time, and one in the end", 3, 10, 4 * time.Second},
		"many":  {"all at once", 20, 10, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{read: func(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
					time.Sleep(time.Second) // virtual
					return echo(ctx, refs)
				}}
				s := backend.NewStore("store", backend.Backend{Reader: f, Limits: backend.Limits{Parallel: c.parallel}}, backend.NewQuota(0))
				start := time.Now()
				asked := refs(c.calls)
				// Two callers share the limit.
				var wg sync.WaitGroup
				for _, half := range [][]backend.Ref{asked[:5], asked[5:]} {
					wg.Go(func() {
						if err := answers(half, s.Read(t.Context(), half)); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				if took := time.Since(start); took != c.want {
					t.Errorf("%s: took %s, want %s", c.reason, took, c.want)
				}
			})
		})
	}
}

func TestStoreChecksAnswers(t *testing.T) {
	const ok, bad = backend.Code(""), backend.Unknown
	forbidden := backend.Errorf(backend.PermissionDenied, "forbidden")
	for name, c := range map[string]struct {
		reason string
		read   func([]backend.Result) ([]backend.Result, error)
		want   []backend.Code
	}{
		"swapped": {
			"an answer to another question is somebody else's password",
			func(r []backend.Result) ([]backend.Result, error) { r[0], r[2] = r[2], r[0]; return r, nil },
			[]backend.Code{bad, ok, bad},
		},
		"another version": {
			"the whole ref must be the same",
			func(r []backend.Result) ([]backend.Result, error) { r[1].Ref.Version = "2"; return r, nil },
			[]backend.Code{ok, bad, ok},
		},
		"short":     {"which one is missing is not known", func(r []backend.Result) ([]backend.Result, error) { return r[:2], nil }, []backend.Code{bad, bad, bad}},
		"long":      {"nor which one is too many", func(r []backend.Result) ([]backend.Result, error) { return append(r, r[0]), nil }, []backend.Code{bad, bad, bad}},
		"silent":    {"no answer is none", func([]backend.Result) ([]backend.Result, error) { return nil, nil }, []backend.Code{bad, bad, bad}},
		"one fails": {"and spares its neighbours", func(r []backend.Result) ([]backend.Result, error) { r[1].Err = forbidden; return r, nil }, []backend.Code{ok, backend.PermissionDenied, ok}},
		"all fail": {
			"the results of a failed call do not count",
			func(r []backend.Result) ([]backend.Result, error) { return r, forbidden },
			[]backend.Code{backend.PermissionDenied, backend.PermissionDenied, backend.PermissionDenied},
		},
		"foreign": {"an error without a code", func([]backend.Result) ([]backend.Result, error) { return nil, io.EOF }, []backend.Code{bad, bad, bad}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{read: func(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
				good, _ := echo(ctx, refs)
				return c.read(good)
			}}
			s := backend.NewStore("store", backend.Backend{Reader: f, Limits: backend.Limits{Batch: 3}}, backend.NewQuota(0))
			asked := refs(3)
			if diff := cmp.Diff(c.want, codesOf(t, asked, s.Read(t.Context(), asked))); diff != "" {
				t.Errorf("%s: codes (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestStoreKeepsForeignWordsOut(t *testing.T) {
	f := &fake{read: func(context.Context, []backend.Ref) ([]backend.Result, error) {
		return nil, errors.New("the server said: " + canary)
	}}
	foreign := errors.New("the server said: " + canary)
	f.find = func(yield func(backend.Found, error) bool) { yield(backend.Found{}, foreign) }
	f.probe = func([]backend.Ref) ([]string, error) { return nil, foreign }
	f.check = func() error { return foreign }
	s := backend.NewStore("store", backend.Backend{Reader: f, Finder: f, Prober: f, Checker: f}, backend.NewQuota(0))
	_, findErr := s.Find(t.Context(), backend.Query{}, 1)
	_, probeErr := s.Probe(t.Context(), refs(1))
	for name, err := range map[string]error{
		"Read": s.Read(t.Context(), refs(1))[0].Err, "Find": findErr, "Probe": probeErr, "Check": s.Check(t.Context()),
	} {
		if form := leaks(fmt.Sprintf("%v %s", err, err)); form != "" || backend.CodeOf(err) != backend.Unknown {
			t.Errorf("%s: code %q, the text of a foreign error shows as %q", name, backend.CodeOf(err), form)
		}
	}
	if form := leaks(fmt.Sprintf("%v %+v", s.Read(t.Context(), refs(1))[0].Err, s.Read(t.Context(), refs(1)))); form != "" {
		t.Errorf("the text of a foreign error shows as %s", form)
	}
}

func TestStoreGoesQuiet(t *testing.T) {
	limited := func(after time.Duration) error {
		return &backend.Error{Code: backend.RateLimited, Message: "limited", RetryAfter: after}
	}
	for name, c := range map[string]struct {
		reason string
		whole  error         // of the call
		one    error         // of one result
		quiet  time.Duration // after it
	}{
		"call, hint":      {"as long as the store says", limited(42 * time.Second), nil, 42 * time.Second},
		"call, no hint":   {"a while", limited(0), nil, 5 * time.Second},
		"result, hint":    {"one limited secret limits the store", nil, limited(42 * time.Second), 42 * time.Second},
		"result, no hint": {"a while", nil, limited(0), 5 * time.Second},
		"unavailable":     {"a store that is down did not ask for it", &backend.Error{Code: backend.Unavailable, RetryAfter: time.Minute}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				f.read = func(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
					out, _ := echo(ctx, refs)
					if f.calls() > 1 {
						return out, nil
					}
					out[0].Err = c.one
					return out, c.whole
				}
				q := backend.NewQuota(0)
				s := backend.NewStore("store", backend.Backend{Reader: f, Checker: f, Finder: f, Prober: f}, q)
				other := backend.NewStore("other", backend.Backend{Reader: f}, q)
				asked := refs(1)
				s.Read(t.Context(), asked)
				if q.Quiet() != c.quiet {
					t.Fatalf("%s: quiet for %s, want %s", c.reason, q.Quiet(), c.quiet)
				}
				if c.quiet == 0 {
					return
				}
				time.Sleep(c.quiet / 2) // virtual
				for _, quiet := range []*backend.Store{s, other} {
					r := quiet.Read(t.Context(), asked)[0]
					if backend.CodeOf(r.Err) != backend.RateLimited || backend.RetryAfterOf(r.Err) != c.quiet/2 {
						t.Errorf("in the silence: code %q, retry after %s", backend.CodeOf(r.Err), backend.RetryAfterOf(r.Err))
					}
				}
				_, findErr := s.Find(t.Context(), backend.Query{}, 1)
				_, probeErr := s.Probe(t.Context(), asked)
				for _, err := range []error{findErr, probeErr, s.Check(t.Context())} {
					if backend.CodeOf(err) != backend.RateLimited {
						t.Errorf("in the silence: code %q", backend.CodeOf(err))
					}
				}
				if n := f.calls(); n != 1 {
					t.Errorf("%d calls, want none in the silence", n-1)
				}
				time.Sleep(c.quiet / 2) // virtual
				if err := answers(asked, s.Read(t.Context(), asked)); err != nil {
					t.Errorf("after the silence: %v", err)
				}
			})
		})
	}
}

func TestStoreHeedsTheLongestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := map[string]time.Duration{"p00": 2 * time.Second, "p01": time.Minute, "p02": 0}
		f := &fake{read: func(_ context.Context, refs []backend.Ref) ([]backend.Result, error) {
			time.Sleep(time.Duration(len(waits))*time.Millisecond + waits[refs[0].Path]/1000) // virtual: all are under way
			return nil, &backend.Error{Code: backend.RateLimited, RetryAfter: waits[refs[0].Path]}
		}}
		q := backend.NewQuota(0)
		s := backend.NewStore("store", backend.Backend{Reader: f, Limits: backend.Limits{Parallel: 3}}, q)
		s.Read(t.Context(), refs(3))
		if q.Quiet() != time.Minute {
			t.Errorf("quiet for %s, want the minute that one answer asked for", q.Quiet())
		}
	})
}

func TestStoreCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{read: func(ctx context.Context, _ []backend.Ref) ([]backend.Result, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		s := backend.NewStore("store", backend.Backend{Reader: f, Limits: backend.Limits{Parallel: 2}}, backend.NewQuota(0))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		asked := refs(5)
		for _, code := range codesOf(t, asked, s.Read(ctx, asked)) {
			if code != backend.Unavailable {
				t.Errorf("code %q, want Unavailable", code)
			}
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %s, want to end with the context", took)
		}
		if n := f.calls(); n != 2 {
			t.Errorf("%d calls, want the two that were under way", n)
		}
		for range 20 { // a choice left to chance shows
			s.Read(ctx, asked)
		}
		if n := f.calls(); n != 2 {
			t.Errorf("%d calls under a context that had ended", n-2)
		}
	})
}

func TestStoreFind(t *testing.T) {
	found := func(n int, last error) *fake {
		return &fake{find: func(yield func(backend.Found, error) bool) {
			for _, r := range refs(n) {
				if !yield(backend.Found{Ref: r}, nil) {
					return
				}
			}
			if last != nil {
				yield(backend.Found{}, last)
			}
		}}
	}
	for name, c := range map[string]struct {
		reason string
		b      backend.Backend
		want   int
		code   backend.Code
	}{
		"none":      {"nothing matches", backend.Backend{Finder: found(0, nil)}, 0, ""},
		"limit":     {"as many as are allowed", backend.Backend{Finder: found(3, nil)}, 3, ""},
		"too many":  {"half a listing is not one", backend.Backend{Finder: found(4, nil)}, 0, backend.Conflict},
		"breaks":    {"half a listing is not one", backend.Backend{Finder: found(2, backend.Errorf(backend.Unavailable, "down"))}, 0, backend.Unavailable},
		"no finder": {"the question cannot be right here", backend.Backend{}, 0, backend.InvalidRef},
	} {
		t.Run(name, func(t *testing.T) {
			s := backend.NewStore("store", c.b, backend.NewQuota(0))
			got, err := s.Find(t.Context(), backend.Query{}, 3)
			if len(got) != c.want || backend.CodeOf(err) != c.code {
				t.Errorf("%s: %d found with code %q, want %d with %q", c.reason, len(got), backend.CodeOf(err), c.want, c.code)
			}
		})
	}
}

func TestStoreProbeAndCheck(t *testing.T) {
	down := backend.Errorf(backend.Unavailable, "down")
	limited := &backend.Error{Code: backend.RateLimited, RetryAfter: time.Minute}
	bare := backend.NewStore("store", backend.Backend{}, backend.NewQuota(0))
	if tokens, err := bare.Probe(t.Context(), refs(2)); err != nil || !cmp.Equal(tokens, []string{"", ""}) {
		t.Errorf("without a Prober: %q, %v", tokens, err)
	}
	if err := errors.Join(bare.Check(t.Context()), bare.Close()); err != nil {
		t.Errorf("without a Checker or a Close: %v", err)
	}
	for name, c := range map[string]struct {
		reason string
		tokens []string
		err    error
		want   backend.Code
		quiet  bool
	}{
		"good":    {"a token each", []string{"a", "b"}, nil, "", false},
		"short":   {"which one is missing is not known", []string{"a"}, nil, backend.Unknown, false},
		"down":    {"the code is kept", nil, down, backend.Unavailable, false},
		"limited": {"and heeded", nil, limited, backend.RateLimited, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{
				probe: func([]backend.Ref) ([]string, error) { return c.tokens, c.err },
				check: func() error { return c.err },
			}
			q := backend.NewQuota(0)
			s := backend.NewStore("store", backend.Backend{Prober: f}, q)
			if _, err := s.Probe(t.Context(), refs(2)); backend.CodeOf(err) != c.want {
				t.Errorf("%s: code %q of Probe, want %q", c.reason, backend.CodeOf(err), c.want)
			}
			if got := q.Quiet() > 0; got != c.quiet {
				t.Errorf("%s: quiet is %t", c.reason, got)
			}
			q = backend.NewQuota(0)
			s = backend.NewStore("store", backend.Backend{Checker: f}, q)
			if err := s.Check(t.Context()); backend.CodeOf(err) != backend.CodeOf(c.err) {
				t.Errorf("%s: code %q of Check", c.reason, backend.CodeOf(err))
			}
			if got := q.Quiet() > 0; got != c.quiet {
				t.Errorf("%s: quiet after Check is %t", c.reason, got)
			}
		})
	}
}

func TestStoreNames(t *testing.T) {
	closed := false
	s := backend.NewStore("vault", backend.Backend{Reader: &fake{}, Close: func() error { closed = true; return io.EOF }}, backend.NewQuota(0))
	if s.Name() != "vault" || !cmp.Equal(s.Capabilities(), []backend.Capability{backend.CanRead}) {
		t.Errorf("name %q, capabilities %q", s.Name(), s.Capabilities())
	}
	if s.Partial() || !backend.NewStore("vault", backend.Backend{Partial: true}, backend.NewQuota(0)).Partial() {
		t.Error("whether listings are partial is the backend's to say")
	}
	if err := s.Close(); !errors.Is(err, io.EOF) || !closed {
		t.Errorf("Close: %v, closed %t", err, closed)
	}
}
