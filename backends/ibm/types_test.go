// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// reveal is a secret as a test compares it: fields, or the payload under "".
func reveal(s backend.Secret) map[string]string {
	out := map[string]string{}
	for name, v := range s.Fields {
		out[name] = string(v.Reveal())
	}
	if s.Payload.IsSet() {
		out[""] = string(s.Payload.Reveal())
	}
	return out
}

// made is a certificate to import.
func made(t *testing.T) ibmsm.Certificate {
	t.Helper()
	c, err := ibmsm.NewCertificate("app.example.com", time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTypesAreServed(t *testing.T) {
	if diff := cmp.Diff(slices.Sorted(maps.Keys(layouts)), slices.Sorted(slices.Values(served))); diff != "" {
		t.Errorf("-with a layout +served\n%s", diff)
	}
}

// TestReadTypes reads each type from the stand-in, at first and after a new
// version, and the version before by each of its names.
func TestReadTypes(t *testing.T) {
	a, b := made(t), made(t)
	cases := map[string]struct {
		seed, next map[string]any
		want, then map[string]string
		json       bool
	}{
		typeArbitrary: {
			map[string]any{"payload": "<p> ü"},
			map[string]any{"payload": "q"},
			map[string]string{"": "<p> ü"},
			map[string]string{"": "q"},
			false,
		},
		typeUsernamePassword: {
			map[string]any{"username": "u", "password": `"p" <&>`},
			map[string]any{"password": "q"},
			map[string]string{"username": "u", "password": `"p" <&>`},
			map[string]string{"username": "u", "password": "q"},
			false,
		},
		typeKV: {
			map[string]any{"data": map[string]any{"k": "v"}},
			map[string]any{"data": map[string]any{"k": nil}},
			map[string]string{"": `{"k":"v"}`},
			map[string]string{"": `{"k":null}`},
			true,
		},
		typeIAMCredentials: {
			map[string]any{"ttl": "1h", "reuse_api_key": true, "service_id": "s", "api_key": "k"},
			map[string]any{"api_key": "l"},
			map[string]string{"api_key": "k"},
			map[string]string{"api_key": "l"},
			false,
		},
		typeServiceCredentials: {
			map[string]any{"source_service": map[string]any{"instance": map[string]any{"crn": "crn:v1:x"}}, "credentials": map[string]any{"apikey": "k"}},
			map[string]any{"credentials": map[string]any{"apikey": "l"}},
			map[string]string{"": `{"apikey":"k"}`},
			map[string]string{"": `{"apikey":"l"}`},
			true,
		},
		typeImportedCert: {
			map[string]any{"certificate": a.Certificate, "intermediate": a.Intermediate, "private_key": a.PrivateKey},
			map[string]any{"certificate": b.Certificate},
			map[string]string{"certificate": a.Certificate, "intermediate": a.Intermediate, "private_key": a.PrivateKey},
			map[string]string{"certificate": b.Certificate},
			false,
		},
		typePublicCert: {
			map[string]any{"ca": "c", "dns": "d", "common_name": "app.example.com", "certificate": a.Certificate, "private_key": a.PrivateKey},
			map[string]any{"certificate": b.Certificate, "private_key": b.PrivateKey, "intermediate": b.Intermediate, "rotation": map[string]any{"rotate_keys": true}},
			map[string]string{"certificate": a.Certificate, "private_key": a.PrivateKey},
			map[string]string{"certificate": b.Certificate, "private_key": b.PrivateKey, "intermediate": b.Intermediate},
			false,
		},
		typePrivateCert: {
			map[string]any{
				"certificate_template": "t", "common_name": "app.example.com", "certificate": a.Certificate, "private_key": a.PrivateKey,
				"issuing_ca": a.Intermediate, "ca_chain": []any{a.Intermediate, a.Root},
			},
			map[string]any{"certificate": b.Certificate, "private_key": b.PrivateKey, "issuing_ca": b.Intermediate, "ca_chain": []any{b.Intermediate}},
			map[string]string{
				"certificate": a.Certificate, "private_key": a.PrivateKey, "issuing_ca": a.Intermediate,
				"ca_chain": "[" + string(quote([]byte(a.Intermediate))) + "," + string(quote([]byte(a.Root))) + "]",
			},
			map[string]string{
				"certificate": b.Certificate, "private_key": b.PrivateKey, "issuing_ca": b.Intermediate,
				"ca_chain": "[" + string(quote([]byte(b.Intermediate))) + "]",
			},
			false,
		},
		typeCustomCredentials: {
			map[string]any{"configuration": "c", "credentials_content": map[string]any{"token": "k"}},
			map[string]any{"credentials_content": map[string]any{"token": "l"}},
			map[string]string{"": `{"token":"k"}`},
			map[string]string{"": `{"token":"l"}`},
			true,
		},
	}
	for _, typ := range served {
		t.Run(typ, func(t *testing.T) {
			c := cases[typ]
			w := start(t, ibmsm.Options{})
			b := w.open(nil)
			ref := w.put("some-secret", typ, c.seed)
			byName := backend.Ref{Path: "some-secret", Kind: typ, Args: "name"}
			holds := func(ref backend.Ref, want map[string]string) (version string) {
				t.Helper()
				s, err := read(t.Context(), b, ref)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, reveal(s)); diff != "" {
					t.Errorf("%#v: -want +got\n%s", ref, diff)
				}
				if s.JSON != c.json || s.ReadMutates != (typ == typeIAMCredentials && ref.Version != "") {
					t.Errorf("%#v: JSON is %t, ReadMutates %t", ref, s.JSON, s.ReadMutates)
				}
				return s.Version
			}
			old := holds(ref, c.want)
			holds(byName, c.want)
			if _, err := w.Rotate(ref.Path, c.next); err != nil {
				t.Fatal(err)
			}
			if now := holds(ref, c.then); now == old || now == "" {
				t.Errorf("version %q after %q", now, old)
			}
			for _, r := range []backend.Ref{ref, byName} {
				r.Version = "current"
				current := holds(r, c.then)
				r.Version = "previous"
				r.Version = holds(r, c.want)
				holds(r, c.want)
				if r.Version == current {
					t.Error("two versions have one id")
				}
			}
		})
	}
}

// TestStates: what becomes of secrets that are not active.
func TestStates(t *testing.T) {
	pem := made(t)
	cases := map[string]struct {
		reason string
		kind   string
		seed   map[string]any
		then   func(*world, string) error
		code   backend.Code
		err    string // with %s for the ref
	}{
		"Ordered": {
			"it comes", typePublicCert,
			map[string]any{"ca": "c", "dns": "d", "common_name": "app.example.com"},
			nil,
			backend.Conflict, "%s is not issued yet",
		},
		"Requested": {
			"it comes", typeImportedCert,
			map[string]any{"managed_csr": map[string]any{"common_name": "app.example.com"}},
			nil,
			backend.Conflict, "%s is not issued yet",
		},
		"Issued": {
			"it came", typePublicCert,
			map[string]any{"ca": "c", "dns": "d", "common_name": "app.example.com"},
			func(w *world, id string) error { return w.Issue(id) }, "", "",
		},
		"Revoked": {
			"its values are still given out", typePrivateCert,
			map[string]any{"certificate_template": "t", "common_name": "app.example.com"},
			func(w *world, id string) error { return w.Deactivate(id) }, "", "",
		},
		"Deactivated": {
			"its values are still given out", typeArbitrary,
			map[string]any{"payload": "p"},
			func(w *world, id string) error { return w.Deactivate(id) }, "", "",
		},
		"Expired": {
			"there is no value", typeImportedCert,
			map[string]any{"certificate": pem.Certificate},
			func(w *world, id string) error { return w.Expire(id) }, backend.NotFound, "%s holds no data any more: it was destroyed or has expired",
		},
		"ExpiredKey": {
			"there is no value", typeIAMCredentials,
			map[string]any{"ttl": "1h", "reuse_api_key": true, "service_id": "s"},
			func(w *world, id string) error { return w.Expire(id) }, backend.NotFound, "%s holds no data any more: it was destroyed or has expired",
		},
		"Locked": {
			"IBM would have to make a new key", typeIAMCredentials,
			map[string]any{"ttl": "1h", "reuse_api_key": false, "service_id": "s"},
			func(w *world, id string) error { return w.Lock(id) }, backend.Conflict, "%s is locked (412)",
		},
		"LockedWithReuse": {
			"nothing changes", typeIAMCredentials,
			map[string]any{"ttl": "1h", "reuse_api_key": true, "service_id": "s"},
			func(w *world, id string) error { return w.Lock(id) }, "", "",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := start(t, ibmsm.Options{})
			ref := w.put("some-secret", c.kind, c.seed)
			if c.then != nil {
				if err := c.then(w, ref.Path); err != nil {
					t.Fatal(err)
				}
			}
			s, err := read(t.Context(), w.open(nil), ref)
			if c.code != "" {
				failed(t, err, c.code, fmt.Sprintf(c.err, ref))
				return
			}
			if err != nil || !s.Payload.IsSet() && len(s.Fields) == 0 {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
}

// TestCertificateAnswers looks at what certificates may lack.
func TestCertificateAnswers(t *testing.T) {
	const (
		unread = "IBM Cloud Secrets Manager gave an answer to the request for %s x1 that cannot be read"
		nodata = "%s x1 holds no data any more: it was destroyed or has expired"
	)
	cases := map[string]struct {
		reason string
		kind   string
		fields string
		want   map[string]string
		code   backend.Code
		err    string
	}{
		"Alone":     {"the key may be somebody else's", typePrivateCert, `"state":1,"certificate":"c"`, map[string]string{"certificate": "c"}, "", ""},
		"Nulls":     {"null is not there", typeImportedCert, `"state":1,"certificate":"c","intermediate":null,"private_key":null`, map[string]string{"certificate": "c"}, "", ""},
		"Blanks":    {"no certificate is empty", typePublicCert, `"state":1,"certificate":"c","intermediate":"","private_key":"k"`, map[string]string{"certificate": "c", "private_key": "k"}, "", ""},
		"NoChain":   {"nor is a chain", typePrivateCert, `"state":1,"certificate":"c","ca_chain":[]`, map[string]string{"certificate": "c"}, "", ""},
		"Suspended": {"as IBM gives it out", typePublicCert, `"state":2,"certificate":"c"`, map[string]string{"certificate": "c"}, "", ""},
		"CSR":       {"it is no value", typeImportedCert, `"state":1,"certificate":"c","csr":"r"`, map[string]string{"certificate": "c"}, "", ""},

		"Pending":      {"not missing", typePrivateCert, `"state":0`, nil, backend.Conflict, "%s x1 is not issued yet"},
		"PendingBlank": {"never an empty value", typePublicCert, `"state":0,"certificate":""`, nil, backend.Conflict, "%s x1 is not issued yet"},
		"PendingKey":   {"half is not enough", typePublicCert, `"state":0,"private_key":"canary"`, nil, backend.Conflict, "%s x1 is not issued yet"},
		"Failed":       {"nothing proves that it was there", typePublicCert, `"state":3`, nil, backend.Conflict, "%s x1 holds no certificate: its order may have failed"},
		"Destroyed":    {"whatever else it says", typePublicCert, `"state":5,"certificate":"canary"`, nil, backend.NotFound, nodata},
		"TextForChain": {"a list", typePrivateCert, `"state":1,"certificate":"c","ca_chain":"canary"`, nil, backend.Unavailable, unread},
		"NumberInChain": {
			"of texts", typePrivateCert, `"state":1,"certificate":"c","ca_chain":[8675309]`, nil, backend.Unavailable, unread,
		},
		"ListForKey": {"a text", typePrivateCert, `"state":1,"certificate":"c","private_key":["canary"]`, nil, backend.Unavailable, unread},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := answering(t, says(200, `{"id":"x1","secret_type":"`+c.kind+`",`+c.fields+`}`))
			s, err := read(t.Context(), b, backend.Ref{Path: "x1", Kind: c.kind})
			if c.err != "" {
				failed(t, err, c.code, fmt.Sprintf(c.err, c.kind))
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.want, reveal(s)); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

// TestMutates: of IAM credentials without reuse, reading is marked, and neither
// reading nor an edit of the metadata is a new version.
func TestMutates(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.open(nil)
	ref := w.mutating("key")
	byName := backend.Ref{Path: "key", Kind: mutatingType, Args: "name"}
	pinned := ref
	pinned.Version = "current"
	keys, versions := map[string]bool{}, map[string]bool{}
	for _, r := range []backend.Ref{ref, byName, ref} {
		s, err := read(t.Context(), b, r)
		if err != nil || !s.ReadMutates {
			t.Fatalf("ReadMutates is %t (%v)", s.ReadMutates, err)
		}
		keys[string(s.Fields["api_key"].Reveal())], versions[s.Version] = true, true
		if err := w.Touch(ref.Path); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys) != 3 || len(versions) != 1 || versions[""] {
		t.Errorf("%d keys and %d versions, want 3 and 1", len(keys), len(versions))
	}
	if s, err := read(t.Context(), b, pinned); err != nil || !s.ReadMutates {
		t.Errorf("a version: ReadMutates is %t (%v)", s.ReadMutates, err)
	}
}

// TestMutatesNobodyElses: a name that the directory knows may belong to another
// secret by now, whose key must not be replaced for that.
func TestMutatesNobodyElses(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.open(nil)
	old := w.mutating("key")
	byName := backend.Ref{Path: "key", Kind: mutatingType, Args: "name"}
	if _, err := read(t.Context(), b, byName); err != nil {
		t.Fatal(err)
	}
	if err := w.Rename(old.Path, "theirs"); err != nil {
		t.Fatal(err)
	}
	_, err := read(t.Context(), b, byName)
	failed(t, err, backend.NotFound, "No iam_credentials secret named key")
	next := w.mutating("key")
	if _, err := read(t.Context(), b, byName); err != nil {
		t.Error(err)
	}
	if made := w.Stats().KeysMade; made[old.Path] != 1 || made[next.Path] != 1 {
		t.Errorf("%d keys of the old secret and %d of the next, want 1 and 1", made[old.Path], made[next.Path])
	}
}
