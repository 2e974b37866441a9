// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func start(t *testing.T, flags ...string) *Server {
	t.Helper()
	s, err := Start(flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoBinary(t *testing.T) {
	t.Setenv("LOCKSTEP_VAULT", filepath.Join(t.TempDir(), "none"))
	if _, err := Start(); err == nil || !strings.Contains(err.Error(), "make vault") {
		t.Errorf("the error does not say what to do: %v", err)
	}
}

// TestCountedRequests shows what is counted and what is not.
func TestCountedRequests(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	s := start(t, "-audit", file)
	ctx := t.Context()
	must(t, s.Policy(ctx, "reader", `path "secret/*" { capabilities = ["read"] }`))
	must(t, s.Login(ctx, "approle", "approle"))
	_, err := s.Write(ctx, "auth/approle/role/app", Object{"token_policies": "reader"})
	must(t, err)
	id, err := s.Read(ctx, "auth/approle/role/app/role-id")
	must(t, err)
	secret, err := s.Write(ctx, "auth/approle/role/app/secret-id", nil)
	must(t, err)
	_, err = s.Write(ctx, "secret/data/a", Object{"data": Object{"k": "v"}})
	must(t, err)

	_, login, err := s.Ask(ctx, "", http.MethodPost, "auth/approle/login", Object{
		"role_id": Text(id, "data", "role_id"), "secret_id": Text(secret, "data", "secret_id"),
	})
	must(t, err)
	token := Text(login, "auth", "client_token")
	want := map[string]int{"update auth/approle/login": 1, "read secret/data/a": 2, "read kv1/a": 1}
	for path, status := range map[string]int{"secret/data/a": http.StatusOK, "kv1/a": http.StatusForbidden} {
		for range want["read "+path] {
			got, _, err := s.Ask(ctx, token, http.MethodGet, path, nil)
			must(t, err)
			if got != status {
				t.Errorf("%s answers %d", path, got)
			}
		}
	}
	list, err := Requests(file)
	must(t, err)
	if diff := cmp.Diff(want, Count(list, "")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	accessors := map[string]bool{}
	for _, r := range list {
		accessors[r.Accessor] = true
		if r.Refused != (r.Path == "kv1/a") {
			t.Errorf("%s: refused is %t", r.Path, r.Refused)
		}
	}
	if len(accessors) != 1 || accessors[""] {
		t.Errorf("one token has accessors %v", maps.Keys(accessors))
	}
}

// TestRestart keeps address and secrets through all ways to end.
func TestRestart(t *testing.T) {
	s := start(t, "-data", t.TempDir())
	ctx, address := t.Context(), s.Address
	_, err := s.Write(ctx, "kv1/a", Object{"k": "v"})
	must(t, err)
	for name, end := range map[string]func(){"Stop": func() { must(t, s.Stop()) }, "Kill": s.Kill} {
		end()
		must(t, s.Restart("-sealed"))
		if status, _, err := s.Ask(ctx, Root, http.MethodGet, "kv1/a", nil); err != nil || status != http.StatusServiceUnavailable {
			t.Errorf("%s: sealed, it answers %d, %v", name, status, err)
		}
		must(t, s.Unseal(ctx))
		got, err := s.Read(ctx, "kv1/a")
		if must(t, err); Text(got, "data", "k") != "v" || s.Address != address {
			t.Errorf("%s: at %s, which was %s, there is %v", name, s.Address, address, got)
		}
	}
	must(t, s.Seal(ctx))
	if _, err := s.Read(ctx, "kv1/a"); err == nil {
		t.Error("a sealed Vault answers")
	}
}

// TestRotate has another authority afterwards, and is still asked.
func TestRotate(t *testing.T) {
	s := start(t, "-tls-dir", t.TempDir())
	before, err := os.ReadFile(s.CA)
	must(t, err)
	must(t, s.Rotate(t.Context()))
	after, err := os.ReadFile(s.CA)
	must(t, err)
	if string(before) == string(after) {
		t.Error("the authority is the same")
	}
	_, err = s.List(t.Context(), "sys/policies/acl")
	must(t, err)
}
