// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backend/backendtest"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/backends/memory/memorytest"
)

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t testing.TB) backendtest.Harness {
		m := memory.NewWith(memorytest.Options())
		return memorytest.New(t, m, m.Open)
	})
}

func text(s string) backend.Secret {
	return backend.Secret{Payload: backend.NewValue([]byte(s))}
}

func open(t *testing.T, m *memory.Memory, raw string) (backend.Backend, backend.Identity) {
	t.Helper()
	b, id, err := m.Open(t.Context(), backend.Config{Raw: []byte(raw)}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b, id
}

// read returns what is under a path, or the code of the failure.
func read(ctx context.Context, b backend.Backend, r backend.Ref) (string, backend.Code) {
	results, err := b.Reader.Read(ctx, []backend.Ref{r})
	if err != nil {
		return "", backend.CodeOf(err)
	}
	return string(results[0].Secret.Payload.Reveal()), backend.CodeOf(results[0].Err)
}

func TestOpen(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		raw    string
		want   backend.Identity
		code   backend.Code
	}{
		"nothing": {"all has defaults", "", backend.Identity{Login: "memory//default", Quota: "memory/default"}, ""},
		"named":   {"a store, a login and a quota", `{"store":"a","login":"b","quota":"c","other":1}`, backend.Identity{Login: "memory/a/b", Quota: "memory/c"}, ""},
		"no JSON": {"cannot work", `{`, backend.Identity{}, backend.InvalidRef},
		"no text": {"cannot work", `{"login":1}`, backend.Identity{}, backend.InvalidRef},
	} {
		t.Run(name, func(t *testing.T) {
			m := memory.New()
			_, id, err := m.Open(t.Context(), backend.Config{Raw: []byte(c.raw)}, nil, nil)
			if backend.CodeOf(err) != c.code || id != c.want {
				t.Errorf("%s: identity %v, code %q", c.reason, id, backend.CodeOf(err))
			}
		})
	}
}

func TestNamedStoresAreApart(t *testing.T) {
	m := memory.New()
	m.Named("a").Set("p", text("in a"))
	one, _ := open(t, m, `{"store":"a"}`)
	again, _ := open(t, m, `{"store":"a","login":"other"}`)
	other, _ := open(t, m, "")
	for _, b := range []backend.Backend{one, again} {
		if got, code := read(t.Context(), b, backend.Ref{Path: "p"}); got != "in a" {
			t.Errorf("store a holds %q, code %q", got, code)
		}
	}
	if _, code := read(t.Context(), other, backend.Ref{Path: "p"}); code != backend.NotFound {
		t.Errorf("the other store answers with code %q", code)
	}
	if m.Calls() != 1 || m.Named("a").Calls() != 2 || m.Named("a").Reads("p") != 2 {
		t.Errorf("%d and %d calls", m.Calls(), m.Named("a").Calls())
	}
}

func TestSessions(t *testing.T) {
	m := memory.New()
	b, _ := open(t, m, "")
	open(t, m, "")
	if m.Sessions() != 2 {
		t.Errorf("%d sessions, want 2", m.Sessions())
	}
	if err := errors.Join(b.Close(), b.Close()); err != nil || m.Sessions() != 1 {
		t.Errorf("after closing one twice: %d sessions, %v", m.Sessions(), err)
	}
	if _, code := read(t.Context(), b, backend.Ref{Path: "p"}); code != backend.Unknown {
		t.Errorf("reading after Close has code %q", code)
	}
}

func TestRef(t *testing.T) {
	d := memory.New().Driver()
	if d.View != nil || d.Open == nil {
		t.Error("the driver has a view or no Open")
	}
	got, err := d.Ref(backend.ESO, backend.Key{Key: "p", Kind: "k", Version: "v1", Part: backend.Metadata, Args: map[string]string{"a": "b"}})
	if want := (backend.Ref{Path: "p", Kind: "k", Version: "v1", Part: backend.Metadata}); err != nil || got != want {
		t.Errorf("ref %v, error %v", got, err)
	}
	if _, err := d.Ref(backend.KES, backend.Key{}); backend.CodeOf(err) != backend.InvalidRef {
		t.Errorf("an empty key: %v", err)
	}
}

func TestRead(t *testing.T) {
	m := memory.New()
	m.Set("p", backend.Secret{Payload: backend.NewValue([]byte("one")), Version: "seven"})
	m.Set("p", backend.Secret{Payload: backend.NewValue([]byte("two")), Labels: map[string]string{"team": "blue"}})
	m.Set("lone", text("lone"))
	m.Set("cert", text("pem"))
	m.SetKind("cert", "certificate")
	b, _ := open(t, m, "")
	for name, c := range map[string]struct {
		reason string
		ref    backend.Ref
		want   string
		code   backend.Code
	}{
		"current":     {"no version is the newest", backend.Ref{Path: "p"}, "two", ""},
		"previous":    {"the one before", backend.Ref{Path: "p", Version: "previous"}, "one", ""},
		"by id":       {"an id of the test's choice", backend.Ref{Path: "p", Version: "seven"}, "one", ""},
		"no version":  {"an id that never was", backend.Ref{Path: "p", Version: "eight"}, "", backend.NotFound},
		"no previous": {"the first has none before it", backend.Ref{Path: "lone", Version: "previous"}, "", backend.NotFound},
		"kind":        {"as it was set", backend.Ref{Path: "cert", Kind: "certificate"}, "pem", ""},
		"any kind":    {"kinds are checked where both have one", backend.Ref{Path: "lone", Kind: "certificate"}, "lone", ""},
		"other kind":  {"another kind is another secret", backend.Ref{Path: "cert", Kind: "key"}, "", backend.NotFound},
		"metadata":    {"labels as JSON", backend.Ref{Path: "p", Part: backend.Metadata}, `{"team":"blue"}`, ""},
		"no metadata": {"a document all the same", backend.Ref{Path: "lone", Part: backend.Metadata}, `{}`, ""},
		"empty path":  {"cannot be right", backend.Ref{}, "", backend.InvalidRef},
		"missing":     {"proven missing", backend.Ref{Path: "q"}, "", backend.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			if got, code := read(t.Context(), b, c.ref); got != c.want || code != c.code {
				t.Errorf("%s: %q with code %q, want %q with %q", c.reason, got, code, c.want, c.code)
			}
		})
	}
}

func TestReadLimits(t *testing.T) {
	m := memory.NewWith(memory.Options{Batch: 2, Parallel: 3, Rate: 5, Payload: 7})
	b, _ := open(t, m, "")
	if want := (backend.Limits{Batch: 2, Parallel: 3, Rate: 5, Payload: 7}); b.Limits != want {
		t.Errorf("limits %+v", b.Limits)
	}
	if off, _ := open(t, memory.NewWith(memory.Options{Batch: -1, Payload: -1}), ""); off.Limits.Batch != 0 || off.Limits.Payload != 0 {
		t.Errorf("limits switched off are %+v", off.Limits)
	}
	_, err := b.Reader.Read(t.Context(), []backend.Ref{{Path: "a"}, {Path: "b"}, {Path: "c"}})
	if backend.CodeOf(err) != backend.InvalidRef || m.Requests() != 0 {
		t.Errorf("more than a batch: %v", err)
	}
	_, err = b.Writer.Write(t.Context(), backend.Write{Ref: backend.Ref{Path: "a"}, Secret: text("12345678"), Owner: "o"})
	if backend.CodeOf(err) != backend.InvalidRef || m.Requests() != 0 {
		t.Errorf("more than a payload: %v", err)
	}
}

func TestSpend(t *testing.T) {
	m := memory.New()
	m.Set("role", text(""))
	spent := 0
	var broke error
	b, _, err := m.Open(t.Context(), backend.Config{Spend: func(context.Context) error { spent++; return broke }}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ref := backend.Ref{Path: "role"}
	calls := []func() error{
		func() error { _, err := b.Reader.Read(t.Context(), []backend.Ref{ref}); return err },
		func() error { return b.Checker.Check(t.Context()) },
		func() error { _, err := b.Prober.Probe(t.Context(), []backend.Ref{ref}); return err },
		func() error {
			_, err := b.Writer.Write(t.Context(), backend.Write{Ref: ref, Secret: text("a"), Owner: "o"})
			return err
		},
		func() error { return b.Lessor.Revoke(t.Context(), "no lease") },
	}
	for i, call := range calls {
		if err := call(); err != nil || spent != i+1 || m.Requests() != i+1 {
			t.Errorf("call %d: %v, %d spent, %d requests", i, err, spent, m.Requests())
		}
	}
	broke = backend.Errorf(backend.RateLimited, "quiet")
	for i, call := range calls {
		if err := call(); backend.CodeOf(err) != backend.RateLimited || m.Requests() != len(calls) {
			t.Errorf("call %d without a budget: %v, %d requests", i, err, m.Requests())
		}
	}
}

func TestFail(t *testing.T) {
	down, forbidden := backend.Errorf(backend.Unavailable, "down"), backend.Errorf(backend.PermissionDenied, "no")
	refs := []backend.Ref{{Path: "a"}, {Path: "b"}}
	for name, c := range map[string]struct {
		reason string
		fail   map[string]error
		whole  backend.Code
		want   []backend.Code
	}{
		"none":  {"nothing fails", nil, "", []backend.Code{"", ""}},
		"one":   {"its neighbour does not", map[string]error{"a": forbidden}, "", []backend.Code{backend.PermissionDenied, ""}},
		"each":  {"each result has the error", map[string]error{"*": down}, "", []backend.Code{backend.Unavailable, backend.Unavailable}},
		"whole": {"the call has the error", map[string]error{"": down, "a": forbidden}, backend.Unavailable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := memory.New()
			m.Set("a", text("a"))
			m.Set("b", text("b"))
			b, _ := open(t, m, "")
			for path, err := range c.fail {
				m.Fail(path, err)
			}
			results, err := b.Reader.Read(t.Context(), refs)
			var got []backend.Code
			for _, r := range results {
				got = append(got, backend.CodeOf(r.Err))
			}
			if backend.CodeOf(err) != c.whole || !slices.Equal(got, c.want) {
				t.Errorf("%s: call %q, results %q", c.reason, backend.CodeOf(err), got)
			}
			for path := range c.fail {
				m.Unfail(path)
			}
			if _, code := read(t.Context(), b, refs[0]); code != "" {
				t.Errorf("after Unfail: code %q", code)
			}
		})
	}
}

func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory.New()
		m.Set("held", text("old"))
		m.Set("free", text("free"))
		b, _ := open(t, m, "")
		release, again := m.Hold("held"), m.Hold("held")

		done := make(chan string, 1)
		go func() {
			got, _ := read(t.Context(), b, backend.Ref{Path: "held"})
			done <- got
		}()
		synctest.Wait()
		if m.Calls() != 1 || len(done) != 0 {
			t.Errorf("%d calls have arrived, %d have ended", m.Calls(), len(done))
		}
		if got, _ := read(t.Context(), b, backend.Ref{Path: "free"}); got != "free" {
			t.Error("what is not held waits")
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, code := read(short, b, backend.Ref{Path: "held"}); code != backend.Unavailable {
			t.Errorf("a held Read whose context ends has code %q", code)
		}
		release()
		release()
		synctest.Wait()
		if len(done) != 0 {
			t.Error("one release ends both holds")
		}
		m.Set("held", text("new"))
		again()
		if got := <-done; got != "new" {
			t.Errorf("read %q, want what is there when it is let go", got)
		}

		all := m.Hold("")
		go func() {
			got, _ := read(t.Context(), b, backend.Ref{Path: "free"})
			done <- got
		}()
		synctest.Wait()
		if len(done) != 0 {
			t.Error("nothing is held")
		}
		all()
		if got := <-done; got != "free" {
			t.Errorf("read %q", got)
		}
	})
}

func TestFind(t *testing.T) {
	m := memory.NewWith(memory.Options{Page: 2, ListValues: true})
	for _, path := range []string{"e", "c", "a", "d", "b"} {
		m.Set(path, text("in "+path))
	}
	m.SetKind("c", "certificate")
	b, _ := open(t, m, "")
	var paths, values []string
	for f, err := range b.Finder.Find(t.Context(), backend.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		paths, values = append(paths, f.Ref.Path), append(values, string(f.Secret.Payload.Reveal()))
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e"}, paths); diff != "" {
		t.Error(diff)
	}
	if values[4] != "in e" || m.Requests() != 3 || m.Calls() != 0 {
		t.Errorf("value %q, %d requests, %d of them for values; want one for each page", values[4], m.Requests(), m.Calls())
	}
	for f, err := range b.Finder.Find(t.Context(), backend.Query{Kind: "certificate"}) {
		if want := (backend.Ref{Path: "c", Kind: "certificate"}); err != nil || f.Ref != want {
			t.Errorf("by kind: %v, %v", f.Ref, err)
		}
	}
	for _, err := range b.Finder.Find(t.Context(), backend.Query{Tags: "novalue"}) {
		if backend.CodeOf(err) != backend.InvalidRef {
			t.Errorf("a tag without a value: %v", err)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	m := memory.New()
	m.Set("by hand", text("old"))
	b, _ := open(t, m, "")
	for name, c := range map[string]struct {
		reason string
		write  backend.Write
		code   backend.Code
	}{
		"no path":      {"cannot be right", backend.Write{Owner: "o"}, backend.InvalidRef},
		"no owner":     {"cannot be right", backend.Write{Ref: backend.Ref{Path: "p"}}, backend.InvalidRef},
		"old version":  {"history is not written", backend.Write{Ref: backend.Ref{Path: "p", Version: "1"}, Owner: "o"}, backend.InvalidRef},
		"metadata":     {"labels are not written by themselves", backend.Write{Ref: backend.Ref{Path: "p", Part: backend.Metadata}, Owner: "o"}, backend.InvalidRef},
		"gone":         {"somebody removed what the writer saw", backend.Write{Ref: backend.Ref{Path: "p"}, Owner: "o", IfVersion: "v1"}, backend.Conflict},
		"made by hand": {"nobody's mark is no other owner's", backend.Write{Ref: backend.Ref{Path: "by hand"}, Owner: "o"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := b.Writer.Write(t.Context(), c.write); backend.CodeOf(err) != c.code {
				t.Errorf("%s: code %q, want %q", c.reason, backend.CodeOf(err), c.code)
			}
		})
	}
}

func TestVersionsAreNeverUsedTwice(t *testing.T) {
	m := memory.New()
	b, _ := open(t, m, "")
	seen := map[string]bool{}
	for range 3 {
		m.Set("p", text("same"))
		results, err := b.Reader.Read(t.Context(), []backend.Ref{{Path: "p"}})
		if err != nil || seen[results[0].Secret.Version] {
			t.Errorf("version %q again, %v", results[0].Secret.Version, err)
		}
		seen[results[0].Secret.Version] = true
		m.Remove("p")
	}
}

func TestSecretsAreCopied(t *testing.T) {
	m := memory.New()
	given := backend.Secret{Fields: map[string]backend.Value{"f": backend.NewValue([]byte("kept"))}}
	m.Set("p", given)
	delete(given.Fields, "f")
	b, _ := open(t, m, "")
	for range 2 {
		results, err := b.Reader.Read(t.Context(), []backend.Ref{{Path: "p"}})
		if err != nil || len(results[0].Secret.Fields) != 1 {
			t.Fatalf("fields %q, %v", results[0].Secret.FieldNames(), err)
		}
		delete(results[0].Secret.Fields, "f")
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory.New()
		b, _ := open(t, m, "")
		var got []backend.Ref
		ended := make(chan error, 1)
		go func() {
			ended <- b.Watcher.Watch(t.Context(), func(r backend.Ref) { got = append(got, r) })
		}()
		synctest.Wait()
		m.Set("a", text("1"))
		m.Remove("a")
		m.Remove("never there")
		m.Notify(backend.Ref{})
		if _, err := b.Writer.Write(t.Context(), backend.Write{Ref: backend.Ref{Path: "b", Kind: "k"}, Secret: text("2"), Owner: "o"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if diff := cmp.Diff([]backend.Ref{{Path: "a"}, {Path: "a"}, {}, {Path: "b", Kind: "k"}}, got); diff != "" {
			t.Errorf("notices (-want +got):\n%s", diff)
		}
		m.Fail("", backend.Errorf(backend.Unavailable, "down"))
		if err := <-ended; backend.CodeOf(err) != backend.Unavailable {
			t.Errorf("the stream ended with %v", err)
		}
	})
}

func TestLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory.NewWith(memory.Options{Lease: time.Minute})
		m.Set("role", text(""))
		m.SetLends("role", true)
		b, _ := open(t, m, "")
		got, err := b.Reader.Read(t.Context(), []backend.Ref{{Path: "role"}})
		lease := got[0].Secret.Lease
		if err != nil || !lease.Expires.Equal(time.Now().Add(time.Minute)) {
			t.Fatalf("lease %+v, %v", lease, err)
		}
		time.Sleep(40 * time.Second) // virtual
		renewed, err := b.Lessor.Renew(t.Context(), lease.ID)
		if err != nil || renewed.Expires.Sub(lease.Expires) != 40*time.Second {
			t.Errorf("renewed %+v, %v", renewed, err)
		}
		if diff := cmp.Diff([]string{lease.ID}, m.Leases()); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Minute) // virtual
		if _, err := b.Lessor.Renew(t.Context(), lease.ID); backend.CodeOf(err) != backend.NotFound || len(m.Leases()) != 0 {
			t.Errorf("renewing what expired: %v, leases %q", err, m.Leases())
		}
	})
}
