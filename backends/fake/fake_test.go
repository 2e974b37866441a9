// SPDX-License-Identifier: Apache-2.0

package fake_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backend/backendtest"
	"github.com/lockstep-secrets/lockstep/backends/fake"
)

// item is an entry of a manifest.
type item struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Version string `json:"version,omitempty"`
}

func fingerprint(values ...backend.Value) string {
	sum := sha256.New()
	for _, v := range values {
		_, _ = fmt.Fprintf(sum, "%d:%s", v.Len(), v.Reveal())
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

func open(ctx context.Context, d backend.Driver, name, raw string) (backend.Backend, backend.Identity, error) {
	return d.Open(ctx, backend.Config{Name: name, Raw: []byte(raw), Fingerprint: fingerprint}, nil, nil)
}

func mustOpen(t testing.TB, d backend.Driver, name, raw string) backend.Backend {
	t.Helper()
	b, _, err := open(t.Context(), d, name, raw)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// editor is a store whose manifest is edited. Each call opens it again, as the
// controller does after an edit.
type editor struct {
	driver backend.Driver

	mu    sync.Mutex
	items []item
}

func (e *editor) raw(validity int) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	text, _ := json.Marshal(map[string]any{"data": e.items, "validationResult": validity}) // items always marshal
	return string(text)
}

func (e *editor) set(path, value string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.items = append(slices.DeleteFunc(e.items, func(i item) bool { return i.Key == path }), item{Key: path, Value: value})
}

func (e *editor) remove(path string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.items = slices.DeleteFunc(e.items, func(i item) bool { return i.Key == path })
}

func (e *editor) now(ctx context.Context) (backend.Backend, error) {
	b, _, err := open(ctx, e.driver, "SecretStore/ns/store", e.raw(0))
	return b, err
}

func (e *editor) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	b, err := e.now(ctx)
	if err != nil {
		return nil, err
	}
	return b.Reader.Read(ctx, refs)
}

func (e *editor) Check(ctx context.Context) error {
	b, err := e.now(ctx)
	if err != nil {
		return err
	}
	return b.Checker.Check(ctx)
}

func (e *editor) Find(ctx context.Context, q backend.Query) iter.Seq2[backend.Found, error] {
	b, err := e.now(ctx)
	if err != nil {
		return func(yield func(backend.Found, error) bool) { yield(backend.Found{}, err) }
	}
	return b.Finder.Find(ctx, q)
}

func (e *editor) Write(ctx context.Context, w backend.Write) (string, error) {
	b, err := e.now(ctx)
	if err != nil {
		return "", err
	}
	return b.Writer.Write(ctx, w)
}

func (e *editor) Delete(ctx context.Context, r backend.Ref, owner string) error {
	b, err := e.now(ctx)
	if err != nil {
		return err
	}
	return b.Writer.Delete(ctx, r, owner)
}

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t testing.TB) backendtest.Harness {
		e := &editor{driver: fake.New()}
		b, err := e.now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.Reader, b.Checker, b.Finder, b.Writer = e, e, e, e
		none := func() int { return 0 }
		return backendtest.Harness{
			Name:     "fake",
			Backend:  b,
			Payloads: true,
			Seed: func(name string, s backend.Secret) backend.Ref {
				e.set(name, string(s.Payload.Reveal()))
				return backend.Ref{Path: name}
			},
			Rotate:   func(r backend.Ref, s backend.Secret) { e.set(r.Path, string(s.Payload.Reveal())) },
			Remove:   func(r backend.Ref) { e.remove(r.Path) },
			Calls:    none,
			Requests: none,
			Open: func(ctx context.Context, l backendtest.Login) (backend.Backend, backend.Identity, error) {
				name, validity := "SecretStore/ns/store", 0
				switch l {
				case backendtest.Other:
					name = "SecretStore/other/store"
				case backendtest.Refused:
					validity = 2
				case backendtest.Same, backendtest.Missing:
				}
				return open(ctx, e.driver, name, e.raw(validity))
			},
			Skips: map[string]string{
				"read/binary":              "a manifest holds text",
				"read/one-request":         "nothing leaves the process",
				"open/missing-credentials": "there are no credentials",
				"find/prefix":              "keys are no paths",
				"find/tags":                "there are no tags",
			},
		}
	})
}

func TestVersions(t *testing.T) {
	b := mustOpen(t, fake.New(), "s", `{"data": [
		{"key": "k", "value": "none"}, {"key": "k", "value": "one", "version": "v1"}, {"key": "k", "value": "ten", "version": "v10"},
		{"key": "k", "value": "two", "version": "v2"}, {"key": "only", "value": "versioned", "version": "v1"},
		{"key": "twice", "value": "first"}, {"key": "twice", "value": "second"}, {"key": "kv", "value": "another", "version": "1"},
		{"key": "empty", "value": ""}]}`)
	for name, c := range map[string]struct {
		reason string
		ref    backend.Ref
		want   string
		code   backend.Code
	}{
		"none":              {"no version is one of its own", backend.Ref{Path: "k"}, "none", ""},
		"one":               {"exactly", backend.Ref{Path: "k", Version: "v1"}, "one", ""},
		"another":           {"there is no such version", backend.Ref{Path: "k", Version: "v3"}, "", backend.NotFound},
		"no current one":    {"nothing says which version is current", backend.Ref{Path: "only"}, "", backend.NotFound},
		"twice":             {"the later entry wins", backend.Ref{Path: "twice"}, "second", ""},
		"key and version":   {"are not one text, though kv 1 and k v1 look like it", backend.Ref{Path: "kv", Version: "1"}, "another", ""},
		"empty":             {"an empty value is one", backend.Ref{Path: "empty"}, "", ""},
		"no key":            {"cannot be right", backend.Ref{}, "", backend.InvalidRef},
		"missing":           {"is proven", backend.Ref{Path: "missing"}, "", backend.NotFound},
		"part of a version": {"is none", backend.Ref{Path: "k", Version: "v"}, "", backend.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			results, err := b.Reader.Read(t.Context(), []backend.Ref{c.ref})
			if err != nil {
				t.Fatal(err)
			}
			r := results[0]
			if backend.CodeOf(r.Err) != c.code || string(r.Secret.Payload.Reveal()) != c.want || r.Secret.Payload.IsSet() != (c.code == "") {
				t.Errorf("%s: code %q, value as wanted: %t", c.reason, backend.CodeOf(r.Err), string(r.Secret.Payload.Reveal()) == c.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	b := mustOpen(t, fake.New(), "s", `{"data": [
		{"key": "db-user", "value": "a"}, {"key": "db-pass", "value": "old", "version": "v1"}, {"key": "db-pass", "value": "ten", "version": "v10"},
		{"key": "db-pass", "value": "two", "version": "v2"}, {"key": "other", "value": "z"}]}`)
	for name, c := range map[string]struct {
		reason string
		query  backend.Query
		want   []string
		code   backend.Code
	}{
		"newest":        {"by the order of text, in which v2 comes after v10", backend.Query{Name: "pass"}, []string{"db-pass version v2=two"}, ""},
		"unanchored":    {"anywhere in the key", backend.Query{Name: "db"}, []string{"db-pass version v2=two", "db-user=a"}, ""},
		"path and name": {"the path means nothing", backend.Query{Path: "x", Name: "^other$"}, []string{"other=z"}, ""},
		"tags and name": {"nor do tags", backend.Query{Tags: "a=b", Name: "^other$"}, []string{"other=z"}, ""},
		"path":          {"is not served", backend.Query{Path: "db"}, nil, backend.InvalidRef},
		"tags":          {"nor are tags", backend.Query{Tags: "a=b"}, nil, backend.InvalidRef},
		"kind":          {"nor is a kind", backend.Query{Name: ".", Kind: "k"}, nil, backend.InvalidRef},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			var err error
			for f, e := range b.Finder.Find(t.Context(), c.query) {
				if err = e; err == nil {
					got = append(got, f.Ref.String()+"="+string(f.Secret.Payload.Reveal()))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || backend.CodeOf(err) != c.code {
				t.Errorf("%s: code %q (-want +got):\n%s", c.reason, backend.CodeOf(err), diff)
			}
		})
	}
}

func TestValidationResult(t *testing.T) {
	for name, c := range map[string]struct {
		reason            string
		raw               string
		open, check, read backend.Code
	}{
		"absent":  {"valid", `{"data": [{"key": "k"}]}`, "", "", ""},
		"valid":   {"valid", `{"data": [{"key": "k"}], "validationResult": 0}`, "", "", ""},
		"unknown": {"reads work all the same", `{"data": [{"key": "k"}], "validationResult": 1}`, "", backend.Unknown, ""},
		"invalid": {"nothing works", `{"data": [{"key": "k"}], "validationResult": 2}`, "", backend.Unauthenticated, backend.Unauthenticated},
		"beyond":  {"what is none of them is not valid", `{"data": [{"key": "k"}], "validationResult": 3}`, "", backend.Unauthenticated, backend.Unauthenticated},
		"no key":  {"whose secret is this", `{"data": [{"key": "k"}, {"value": "canary"}]}`, backend.InvalidRef, "", ""},
		"no list": {"cannot be right", `{"data": "canary"}`, backend.InvalidRef, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, _, err := open(t.Context(), fake.New(), "s", c.raw)
			if backend.CodeOf(err) != c.open {
				t.Fatalf("%s: open has code %q, want %q", c.reason, backend.CodeOf(err), c.open)
			}
			if err != nil {
				if strings.Contains(err.Error(), "canary") {
					t.Error("the error has the value in it")
				}
				return
			}
			if got := backend.CodeOf(b.Checker.Check(t.Context())); got != c.check {
				t.Errorf("%s: check has code %q, want %q", c.reason, got, c.check)
			}
			_, err = b.Reader.Read(t.Context(), []backend.Ref{{Path: "k"}})
			if got := backend.CodeOf(err); got != c.read {
				t.Errorf("%s: read has code %q, want %q", c.reason, got, c.read)
			}
			var found error
			for _, found = range b.Finder.Find(t.Context(), backend.Query{Name: "k"}) {
				break
			}
			if got := backend.CodeOf(found); got != c.read {
				t.Errorf("%s: find has code %q, want %q", c.reason, got, c.read)
			}
		})
	}
}

// What was written belongs to one store of one driver, and never hides what the
// manifest says.
func TestWritten(t *testing.T) {
	d := fake.New()
	write := func(b backend.Backend, path string) backend.Code {
		_, err := b.Writer.Write(t.Context(), backend.Write{
			Ref: backend.Ref{Path: path}, Secret: backend.Secret{Payload: backend.NewValue([]byte("written"))}, Owner: "me",
		})
		return backend.CodeOf(err)
	}
	read := func(b backend.Backend, path string) string {
		results, err := b.Reader.Read(t.Context(), []backend.Ref{{Path: path}})
		if err != nil {
			t.Fatal(err)
		}
		return string(results[0].Secret.Payload.Reveal()) + string(backend.CodeOf(results[0].Err))
	}
	const raw = `{"data": [{"key": "k", "value": "manifest"}]}`
	b := mustOpen(t, d, "a", raw)
	if got := write(b, "k"); got != backend.Conflict {
		t.Errorf("writing over the manifest has code %q", got)
	}
	if got := backend.CodeOf(b.Writer.Delete(t.Context(), backend.Ref{Path: "k"}, "me")); got != backend.Conflict {
		t.Errorf("deleting from the manifest has code %q", got)
	}
	if got := write(b, "new"); got != "" {
		t.Errorf("writing has code %q", got)
	}
	for name, c := range map[string]struct {
		reason string
		driver backend.Driver
		store  string
		raw    string
		want   string
	}{
		"again":          {"it outlives the opening", d, "a", raw, "written"},
		"another store":  {"has its own", d, "b", raw, "NotFound"},
		"another driver": {"has its own", fake.New(), "a", raw, "NotFound"},
		"manifest":       {"has the last word", d, "a", `{"data": [{"key": "new", "value": "now here"}]}`, "now here"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := read(mustOpen(t, c.driver, c.store, c.raw), "new"); got != c.want {
				t.Errorf("%s: %q, want %q", c.reason, got, c.want)
			}
		})
	}
}

func TestRef(t *testing.T) {
	d := fake.New()
	for name, c := range map[string]struct {
		reason string
		key    backend.Key
		want   backend.Ref
		code   backend.Code
	}{
		"as it is": {"keys are no paths", backend.Key{Key: "a/../b", Version: "v1"}, backend.Ref{Path: "a/../b", Version: "v1"}, ""},
		"metadata": {"there is none, and the value comes instead", backend.Key{Key: "k", Part: backend.Metadata}, backend.Ref{Path: "k"}, ""},
		"empty":    {"cannot be right", backend.Key{}, backend.Ref{}, backend.InvalidRef},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := d.Ref(backend.ESO, c.key)
			if got != c.want || backend.CodeOf(err) != c.code {
				t.Errorf("%s: %+v with code %q", c.reason, got, backend.CodeOf(err))
			}
		})
	}
	if d.Names[backend.ESO] != "fake" {
		t.Errorf("manifests do not find it: %v", d.Names)
	}
}
