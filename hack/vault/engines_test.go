// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"path/filepath"
	"testing"
)

// users lists the users of a pretended database.
func (v *server) users(t *testing.T, database string) []string {
	t.Helper()
	resp := v.look(t, http.MethodGet, database, "", "")
	defer func() { _ = resp.Body.Close() }()
	var out struct{ Users []string }
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out.Users
}

// logIn is the status of a login to a pretended database.
func (v *server) logIn(t *testing.T, database string, creds object) int {
	t.Helper()
	resp := v.look(t, http.MethodGet, database+"/login", text(t, creds, "data.username"), text(t, creds, "data.password"))
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (v *server) look(t *testing.T, method, path, user, password string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, v.Address+"/_database/"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(user, password)
	resp, err := v.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// withDatabase sets up database/creds/app on the database "orders".
func withDatabase(t *testing.T, v *server) {
	t.Helper()
	v.write(t, "sys/mounts/database", object{"type": "database"})
	v.write(t, "database/config/orders", object{
		"plugin_name": "memory-database-plugin", "connection_url": "memory://orders", "allowed_roles": "*",
	})
	v.write(t, "database/roles/app", object{
		"db_name": "orders", "creation_statements": "CREATE", "default_ttl": "1h", "max_ttl": "24h",
	})
}

// A dynamic credential works until its lease is revoked.
func TestDatabase(t *testing.T) {
	v := start(t)
	withDatabase(t, v)
	_, one := v.ask(t, root, http.MethodGet, "database/creds/app", nil)
	_, two := v.ask(t, root, http.MethodGet, "database/creds/app", nil)
	if got := v.users(t, "orders"); len(got) != 2 || text(t, one, "data.username") == text(t, two, "data.username") {
		t.Fatalf("each read makes a user: %v", got)
	}
	if one["renewable"] != true || one["lease_duration"] != 3600.0 {
		t.Errorf("lease of %v s, renewable %v", one["lease_duration"], one["renewable"])
	}
	v.write(t, "sys/leases/renew", object{"lease_id": text(t, one, "lease_id")})
	if got := v.logIn(t, "orders", one); got != http.StatusNoContent {
		t.Errorf("login: %d", got)
	}
	v.write(t, "sys/leases/revoke", object{"lease_id": text(t, one, "lease_id"), "sync": true})
	if got := v.logIn(t, "orders", one); got != http.StatusUnauthorized {
		t.Errorf("login after the revocation: %d", got)
	}
	if got := v.logIn(t, "orders", two); got != http.StatusNoContent {
		t.Errorf("login of the other: %d", got)
	}

	_ = v.look(t, http.MethodPut, "orders/down", "", "").Body.Close()
	if status, _ := v.ask(t, root, http.MethodGet, "database/creds/app", nil); status != http.StatusInternalServerError {
		t.Errorf("a database that is down: %d", status)
	}
	_ = v.look(t, http.MethodDelete, "orders/down", "", "").Body.Close()
	if status, _ := v.ask(t, root, http.MethodGet, "database/creds/app", nil); status != http.StatusOK {
		t.Errorf("a database that is up again: %d", status)
	}

	v.write(t, "database/static-roles/batch", object{"db_name": "orders", "username": "batch", "rotation_period": "24h"})
	_, static := v.ask(t, root, http.MethodGet, "database/static-creds/batch", nil)
	if got := v.logIn(t, "orders", static); got != http.StatusNoContent || static["lease_id"] != "" {
		t.Errorf("static role: login %d, lease %v", got, static["lease_id"])
	}
	v.write(t, "database/rotate-role/batch", nil)
	if got := v.logIn(t, "orders", static); got != http.StatusUnauthorized {
		t.Errorf("login after the rotation: %d", got)
	}
}

func TestPKI(t *testing.T) {
	v := start(t)
	v.write(t, "sys/mounts/pki", object{"type": "pki", "config": object{"max_lease_ttl": "8760h"}})
	ca := v.write(t, "pki/root/generate/internal", object{"common_name": "Test CA", "ttl": "8760h"})
	v.write(t, "pki/roles/web", object{"allowed_domains": "example.com", "allow_subdomains": true, "generate_lease": true, "max_ttl": "72h"})
	issued := v.write(t, "pki/issue/web", object{"common_name": "a.example.com"})

	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(text(t, ca, "data.certificate")))
	block, _ := pem.Decode([]byte(text(t, issued, "data.certificate")))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: "a.example.com"}); err != nil {
		t.Error(err)
	}
	_ = text(t, issued, "data.private_key")
	v.write(t, "sys/leases/revoke", object{"lease_id": text(t, issued, "lease_id"), "sync": true})
	_, got := v.ask(t, root, http.MethodGet, "pki/cert/"+text(t, issued, "data.serial_number"), nil)
	if at(got, "data.revocation_time") == 0.0 {
		t.Error("the certificate is not revoked")
	}
}

// A Vault that was killed comes back on its port with its data, sealed if it
// is told to; its leases still end.
func TestRestart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	v := start(t, "-data", data)
	withDatabase(t, v)
	v.write(t, "secret/data/a", object{"data": object{"k": "v"}})
	_, creds := v.ask(t, root, http.MethodGet, "database/creds/app", nil)
	v.kill()

	v = start(t, "-data", data, "-listen", v.Address[len("http://"):])
	if _, got := v.ask(t, root, http.MethodGet, "secret/data/a", nil); at(got, "data.data.k") != "v" {
		t.Errorf("after the restart: %v", got)
	}
	if got := v.logIn(t, "orders", creds); got != http.StatusNoContent {
		t.Errorf("login after the restart: %d", got)
	}
	v.write(t, "sys/leases/revoke", object{"lease_id": text(t, creds, "lease_id"), "sync": true})
	if got := v.users(t, "orders"); len(got) != 0 {
		t.Errorf("users after the revocation: %v", got)
	}
	if err := v.stop(); err != nil {
		t.Error(err)
	}

	v = start(t, "-data", data, "-sealed")
	if status, _ := v.ask(t, root, http.MethodGet, "secret/data/a", nil); status != http.StatusServiceUnavailable {
		t.Errorf("sealed: %d", status)
	}
	v.write(t, "sys/unseal", object{"key": v.UnsealKey})
	if status, _ := v.ask(t, root, http.MethodGet, "secret/data/a", nil); status != http.StatusOK {
		t.Errorf("unsealed: %d", status)
	}
	v.write(t, "sys/seal", nil)
	if status, _ := v.ask(t, root, http.MethodGet, "secret/data/a", nil); status != http.StatusServiceUnavailable {
		t.Errorf("sealed by a request: %d", status)
	}
}
