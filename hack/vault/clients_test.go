// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	vaultapi "github.com/hashicorp/vault/api"
	baoapi "github.com/openbao/openbao/api/v2"
	"nhooyr.io/websocket"
)

// A client is a client library, each with types of its own for the same.
type client struct {
	setToken func(string)
	put      func(ctx context.Context, path string, data object, cas int) (version int, err error)
	get      func(ctx context.Context, path string, version int) (object, error)
	list     func(ctx context.Context, path string) (object, error)
	login    func(ctx context.Context, path string, data object) (token string, err error)
	status   func(error) int // 0 when the error has none
}

func hashicorp(t *testing.T, v *server) client {
	t.Helper()
	conf := vaultapi.DefaultConfig()
	conf.Address, conf.MaxRetries = v.Address, 0
	c, err := vaultapi.NewClient(conf)
	if err != nil {
		t.Fatal(err)
	}
	kv := c.KVv2("secret")
	return client{
		setToken: c.SetToken,
		put: func(ctx context.Context, path string, data object, cas int) (int, error) {
			s, err := kv.Put(ctx, path, data, vaultapi.WithCheckAndSet(cas))
			if err != nil {
				return 0, err
			}
			return s.VersionMetadata.Version, nil
		},
		get: func(ctx context.Context, path string, version int) (object, error) {
			s, err := kv.GetVersion(ctx, path, version)
			if err != nil {
				return nil, err
			}
			return s.Data, nil
		},
		list: func(ctx context.Context, path string) (object, error) {
			s, err := c.Logical().ListWithContext(ctx, path)
			if err != nil || s == nil {
				return nil, err
			}
			return s.Data, nil
		},
		login: func(ctx context.Context, path string, data object) (string, error) {
			s, err := c.Logical().WriteWithContext(ctx, path, data)
			if err != nil {
				return "", err
			}
			return s.Auth.ClientToken, nil
		},
		status: func(err error) int {
			var failed *vaultapi.ResponseError
			switch {
			case errors.Is(err, vaultapi.ErrSecretNotFound):
				return http.StatusNotFound
			case errors.As(err, &failed):
				return failed.StatusCode
			}
			return 0
		},
	}
}

func openbao(t *testing.T, v *server) client {
	t.Helper()
	conf := baoapi.DefaultConfig()
	conf.Address, conf.MaxRetries = v.Address, 0
	c, err := baoapi.NewClient(conf)
	if err != nil {
		t.Fatal(err)
	}
	kv := c.KVv2("secret")
	return client{
		setToken: c.SetToken,
		put: func(ctx context.Context, path string, data object, cas int) (int, error) {
			s, err := kv.Put(ctx, path, data, baoapi.WithCheckAndSet(cas))
			if err != nil {
				return 0, err
			}
			return s.VersionMetadata.Version, nil
		},
		get: func(ctx context.Context, path string, version int) (object, error) {
			s, err := kv.GetVersion(ctx, path, version)
			if err != nil {
				return nil, err
			}
			return s.Data, nil
		},
		list: func(ctx context.Context, path string) (object, error) {
			s, err := c.Logical().ListWithContext(ctx, path)
			if err != nil || s == nil {
				return nil, err
			}
			return s.Data, nil
		},
		login: func(ctx context.Context, path string, data object) (string, error) {
			s, err := c.Logical().WriteWithContext(ctx, path, data)
			if err != nil {
				return "", err
			}
			return s.Auth.ClientToken, nil
		},
		status: func(err error) int {
			var failed *baoapi.ResponseError
			switch {
			case errors.Is(err, baoapi.ErrSecretNotFound):
				return http.StatusNotFound
			case errors.As(err, &failed):
				return failed.StatusCode
			}
			return 0
		},
	}
}

// Two libraries that know nothing of each other agree on what the server is.
func TestClients(t *testing.T) {
	v := start(t)
	if v.Version != "1.14.1" {
		t.Errorf("version %q", v.Version)
	}
	v.write(t, "sys/auth/approle", object{"type": "approle"})
	v.write(t, "sys/policies/acl/reader", object{"policy": `path "secret/data/+/allowed" { capabilities = ["read"] }`})
	v.write(t, "auth/approle/role/app", object{"token_policies": "reader", "token_ttl": "60s"})
	_, role := v.ask(t, root, http.MethodGet, "auth/approle/role/app/role-id", nil)
	secretID := v.write(t, "auth/approle/role/app/secret-id", nil)

	for name, open := range map[string]func(*testing.T, *server) client{"hashicorp": hashicorp, "openbao": openbao} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			c := open(t, v)
			c.setToken(root)
			path := name + "/allowed"

			if n, err := c.put(ctx, path, object{"k": "one"}, 0); n != 1 || err != nil {
				t.Fatalf("put: version %d, %v", n, err)
			}
			if n, err := c.put(ctx, path, object{"k": "two"}, 1); n != 2 || err != nil {
				t.Fatalf("put with the right version: version %d, %v", n, err)
			}
			if _, err := c.put(ctx, path, object{"k": "three"}, 1); c.status(err) != http.StatusBadRequest {
				t.Errorf("put with the wrong version: %v", err)
			}
			for version, want := range map[int]string{0: "two", 1: "one", 2: "two"} {
				if data, err := c.get(ctx, path, version); err != nil || data["k"] != want {
					t.Errorf("get version %d: %v, %v", version, data, err)
				}
			}
			if _, err := c.get(ctx, name+"/missing", 0); c.status(err) != http.StatusNotFound {
				t.Errorf("get what is missing: %v", err)
			}
			found, err := c.list(ctx, "secret/metadata/"+name)
			if keys, _ := found["keys"].([]any); err != nil || len(keys) != 1 || keys[0] != "allowed" {
				t.Errorf("list: %v, %v", found, err)
			}

			token, err := c.login(ctx, "auth/approle/login", object{
				"role_id": text(t, role, "data.role_id"), "secret_id": text(t, secretID, "data.secret_id"),
			})
			if err != nil {
				t.Fatal(err)
			}
			c.setToken(token)
			if _, err := c.get(ctx, path, 0); err != nil {
				t.Errorf("get what the role may: %v", err)
			}
			for _, other := range []string{"forbidden", "allowed/missing"} {
				if _, err := c.get(ctx, name+"/"+other, 0); c.status(err) != http.StatusForbidden {
					t.Errorf("get %s: %v", other, err)
				}
			}
		})
	}
}

// Soft deletion and destruction are told apart, and KV version 1 has neither.
func TestKV(t *testing.T) {
	v := start(t)
	for range 2 {
		v.write(t, "secret/data/a", object{"data": object{"k": "v"}})
	}
	v.ask(t, root, http.MethodDelete, "secret/data/a", nil)
	v.write(t, "secret/destroy/a", object{"versions": []int{1}})
	status, deleted := v.ask(t, root, http.MethodGet, "secret/data/a", nil)
	if status != http.StatusNotFound || at(deleted, "data.metadata.deletion_time") == "" || at(deleted, "data.metadata.destroyed") != false {
		t.Errorf("deleted: %d %v", status, deleted)
	}
	status, destroyed := v.ask(t, root, http.MethodGet, "secret/data/a?version=1", nil)
	if status != http.StatusNotFound || at(destroyed, "data.metadata.destroyed") != true {
		t.Errorf("destroyed: %d %v", status, destroyed)
	}
	v.write(t, "secret/metadata/a", object{"custom_metadata": object{"team": "x"}})
	if _, meta := v.ask(t, root, http.MethodGet, "secret/metadata/a", nil); at(meta, "data.custom_metadata.team") != "x" {
		t.Errorf("metadata: %v", meta)
	}

	v.write(t, "kv1/a", object{"k": "v"})
	if _, got := v.ask(t, root, http.MethodGet, "kv1/a", nil); at(got, "data.k") != "v" {
		t.Errorf("version 1: %v", got)
	}
	if status, _ := v.ask(t, root, "LIST", "kv1/none", nil); status != http.StatusNotFound {
		t.Errorf("list of nothing: %d", status)
	}
}

func TestEvents(t *testing.T) {
	subscribe := func(t *testing.T, v *server) (*websocket.Conn, *http.Response, error) {
		t.Helper()
		return websocket.Dial(t.Context(), strings.Replace(v.Address, "http", "ws", 1)+"/v1/sys/events/subscribe/kv*?json=true",
			&websocket.DialOptions{HTTPHeader: http.Header{"X-Vault-Token": {root}}})
	}
	v := start(t)
	conn, _, err := subscribe(t, v)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(websocket.StatusNormalClosure, "") }()
	v.write(t, "secret/data/app/db", object{"data": object{"k": "v"}})
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	_, message, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var event object
	if err := json.Unmarshal(message, &event); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"data.event_type":             "kv-v2/data-write",
		"data.event.metadata.path":    "data/app/db",
		"data.plugin_info.mount_path": "secret/",
	} {
		if at(event, path) != want {
			t.Errorf("%s: %v in %s", path, at(event, path), message)
		}
	}

	without := start(t, "-events=false")
	_, resp, err := subscribe(t, without)
	if err == nil || resp == nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("without events: %v, %v", resp, err)
	}
}
