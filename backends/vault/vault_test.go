// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backend/backendtest"
)

// keys are the credentials of a store: keys as name/key, or in other
// namespaces as namespace/name/key.
type keys struct {
	texts     map[string]string
	namespace string // "" is the one it is bound to
	closed    bool   // it does not lead into other namespaces
	tokens    func(name string, audiences []string) (backend.Value, time.Time, error)
}

func (k keys) In(namespace string) (backend.Credentials, error) {
	if namespace != "" && k.closed {
		return nil, backend.Errorf(backend.InvalidRef, "namespace %q is not yours", namespace)
	}
	k.namespace = namespace
	return k, nil
}

func (k keys) get(kind, name, key string) (string, error) {
	path := name + "/" + key
	if k.namespace != "" {
		path = k.namespace + "/" + path
	}
	text, ok := k.texts[path]
	if !ok {
		return "", backend.Errorf(backend.NotFound, "no key %q in %s %q", key, kind, name)
	}
	return text, nil
}

func (k keys) All(context.Context, string) (backend.Secret, error) {
	return backend.Secret{}, backend.Errorf(backend.NotFound, "nothing asks for all")
}

func (k keys) Secret(_ context.Context, name, key string) (backend.Value, error) {
	text, err := k.get("Secret", name, key)
	return textValue(text), err
}

func (k keys) ConfigMap(_ context.Context, name, key string) (string, error) {
	return k.get("ConfigMap", name, key)
}

func (k keys) Token(_ context.Context, name string, audiences []string) (backend.Value, time.Time, error) {
	if k.tokens == nil {
		return backend.Value{}, time.Time{}, backend.Errorf(backend.PermissionDenied, "service account tokens are not granted")
	}
	return k.tokens(name, audiences)
}

func holding(token string) keys { return keys{texts: map[string]string{"login/token": token}} }

func fingerprint(values ...backend.Value) string {
	sum := sha256.New()
	for _, v := range values {
		_, _ = fmt.Fprintf(sum, "%d:%s", v.Len(), v.Reveal())
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// manifest is the provider's part for this world, with changes at the top.
func (w *world) manifest(changes map[string]any) map[string]any {
	m := map[string]any{
		"server":  w.server.URL,
		"path":    w.mount,
		"version": "v" + strconv.Itoa(w.version),
		"auth":    map[string]any{"tokenSecretRef": map[string]any{"name": "login", "key": "token"}},
	}
	maps.Copy(m, changes)
	return m
}

// settings are what a store is opened with.
func settings(t testing.TB, manifest map[string]any) backend.Config {
	t.Helper()
	cfg := backend.Config{Name: "SecretStore/ns/v", Fingerprint: fingerprint, Client: newClient}
	if manifest != nil {
		raw, err := json.Marshal(manifest)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Raw = raw
	}
	return cfg
}

func newClient(t *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: t, ForceAttemptHTTP2: true}}
}

// open opens a store with a client of its own.
func (w *world) open(changes map[string]any, creds backend.Credentials) backend.Backend {
	w.t.Helper()
	return w.opened(settings(w.t, w.manifest(changes)), creds)
}

func (w *world) opened(cfg backend.Config, creds backend.Credentials) backend.Backend {
	w.t.Helper()
	b, _, err := Open(w.t.Context(), cfg, creds, newClient(nil))
	w.must(err)
	w.t.Cleanup(func() { _ = b.Close() })
	return b
}

// read reads one secret.
func read(ctx context.Context, b backend.Backend, ref backend.Ref) (backend.Secret, error) {
	results, err := b.Reader.Read(ctx, []backend.Ref{ref})
	if err != nil {
		return backend.Secret{}, err
	}
	return results[0].Secret, results[0].Err
}

// plain undoes that a secret is one document.
func plain(_ backend.Ref, s backend.Secret) backend.Secret {
	var members map[string]string
	if json.Unmarshal(s.Payload.Reveal(), &members) != nil {
		return s
	}
	s.Payload, s.Fields = backend.Value{}, map[string]backend.Value{}
	for name, text := range members {
		s.Fields[name] = textValue(text)
	}
	return s
}

// fields are a secret's, as Vault takes them.
func fields(s backend.Secret) map[string]any {
	out := map[string]any{}
	for name, v := range s.Fields {
		out[name] = string(v.Reveal())
	}
	return out
}

func TestConformance(t *testing.T) {
	for name, version := range map[string]int{"vault-kv2": 2, "vault-kv1": 1} {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, func(t testing.TB) backendtest.Harness { return harness(t, name, version) })
		})
	}
}

func harness(t testing.TB, name string, version int) backendtest.Harness {
	w := newWorld(t, version)
	dynamic := backend.Ref{Path: w.database(), Kind: kindPath}
	policy := w.policy("all", everything...)
	good, other := w.token(policy, nil), w.token(policy, nil)
	opens := func(ctx context.Context, l backendtest.Login) (backend.Backend, backend.Identity, error) {
		creds := holding(good)
		switch l {
		case backendtest.Same:
		case backendtest.Other:
			creds = holding(other)
		case backendtest.Refused:
			creds = holding("hvs.refused")
		case backendtest.Missing:
			creds = keys{}
		}
		return Open(ctx, settings(t, w.manifest(nil)), creds, newClient(nil))
	}
	b, _, err := opens(t.Context(), backendtest.Same)
	w.must(err)
	t.Cleanup(func() { _ = b.Close() })
	h := backendtest.Harness{
		Name:    name,
		Backend: b,
		Fields:  true,
		Plain:   plain,
		Seed: func(name string, s backend.Secret) backend.Ref {
			if version == 2 && s.Labels != nil {
				w.admin(http.MethodPost, w.metadata(name), map[string]any{"custom_metadata": s.Labels})
			}
			w.put(name, fields(s))
			return backend.Ref{Path: name}
		},
		Open:   opens,
		Rotate: func(r backend.Ref, s backend.Secret) { w.put(r.Path, fields(s)) },
		Remove: func(r backend.Ref) {
			path := w.metadata(r.Path)
			if version == 1 {
				path = w.data(r.Path)
			}
			w.admin(http.MethodDelete, path, nil)
		},
		Fail:         w.fail,
		Hold:         w.hold,
		Calls:        func() int { return int(w.values.Load()) },
		Requests:     func() int { return int(w.requests.Load()) },
		SeedMutating: func(string) backend.Ref { return dynamic },
		LeaseRef:     dynamic,
		Page:         20,
		Canary:       good,
		Skips: map[string]string{
			"read/binary": "a value is a string of JSON, which holds no bytes that are not UTF-8",
		},
	}
	if version == 1 {
		h.Skips["read/version"] = "engines of version 1 do not say when a secret changed"
		h.Skips["find/tags"] = "engines of version 1 have no custom metadata"
		return h
	}
	h.Previous = func(r backend.Ref) backend.Ref {
		now, err := strconv.Atoi(text(w.admin(http.MethodGet, w.metadata(r.Path), nil), "data", "current_version"))
		w.must(err)
		r.Version = strconv.Itoa(now - 1)
		return r
	}
	return h
}
