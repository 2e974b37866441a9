// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// TestViewESO reads each type from the stand-in, as manifests of ESO see it.
// The payload is under "".
func TestViewESO(t *testing.T) {
	c := made(t)
	type m = map[string]any
	cases := map[string]struct {
		reason string
		kind   string
		fields m
		want   map[string]string
	}{
		"Arbitrary": {"extract brings one key, whatever is in it", typeArbitrary, m{"payload": `{"a":"b"}`}, map[string]string{"": `{"a":"b"}`, "arbitrary": `{"a":"b"}`}},
		"Pair":      {"no value as a whole", typeUsernamePassword, m{"username": "u", "password": "p"}, map[string]string{"username": "u", "password": "p"}},
		"KV": {
			"members with their digits, and dots in their names", typeKV,
			m{"data": m{"a": "t", "a.b": "dot", "n": 12.5, "o": m{"x": []any{1, "y"}}, "t": true, "z": nil, "": "empty"}},
			map[string]string{
				"":  `{"":"empty","a":"t","a.b":"dot","n":12.5,"o":{"x":[1,"y"]},"t":true,"z":null}`,
				"a": "t", "a.b": "dot", "n": "12.5", "o": `{"x":[1,"y"]}`, "t": "true", "z": "",
			},
		},
		"IAM":     {"the bare key; extract has another name for it", typeIAMCredentials, m{"ttl": "1h", "reuse_api_key": true, "service_id": "s", "api_key": "k"}, map[string]string{"": "k", "apikey": "k"}},
		"Service": {"JSON, and not Go's map[…]", typeServiceCredentials, m{"source_service": m{"instance": m{"crn": "crn:v1:x"}}, "credentials": m{"apikey": "k"}}, map[string]string{"": `{"apikey":"k"}`, "credentials": `{"apikey":"k"}`}},
		"Imported": {
			"what is absent is empty", typeImportedCert,
			m{"certificate": c.Certificate},
			map[string]string{"certificate": c.Certificate, "intermediate": "", "private_key": ""},
		},
		"ImportedAll": {
			"what is there", typeImportedCert,
			m{"certificate": c.Certificate, "intermediate": c.Intermediate, "private_key": c.PrivateKey},
			map[string]string{"certificate": c.Certificate, "intermediate": c.Intermediate, "private_key": c.PrivateKey},
		},
		"Public": {
			"what is absent is absent", typePublicCert,
			m{"ca": "c", "dns": "d", "common_name": "app.example.com", "certificate": c.Certificate, "private_key": c.PrivateKey},
			map[string]string{"certificate": c.Certificate, "private_key": c.PrivateKey},
		},
		"Private": {
			"two keys; the rest are paths in the value", typePrivateCert,
			m{"certificate_template": "t", "common_name": "app.example.com", "certificate": c.Certificate, "private_key": c.PrivateKey, "issuing_ca": c.Intermediate, "ca_chain": []any{c.Root}},
			map[string]string{
				"certificate": c.Certificate, "private_key": c.PrivateKey,
				"": `{"certificate":` + string(quote([]byte(c.Certificate))) + `,"private_key":` + string(quote([]byte(c.PrivateKey))) +
					`,"issuing_ca":` + string(quote([]byte(c.Intermediate))) + `,"ca_chain":[` + string(quote([]byte(c.Root))) + `]}`,
			},
		},
		"Custom": {"as a kv", typeCustomCredentials, m{"configuration": "c", "credentials_content": m{"token": "k"}}, map[string]string{"": `{"token":"k"}`, "token": "k"}},
	}
	// The empty name is a member of the kv, which reveal has no room for.
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := start(t, ibmsm.Options{})
			ref := w.put("app", tc.kind, tc.fields)
			raw, err := read(t.Context(), w.open(nil), ref)
			if err != nil {
				t.Fatal(err)
			}
			before := reveal(raw)
			got, err := Driver().View(backend.ESO, ref, raw)
			if err != nil {
				t.Fatal(err)
			}
			if tc.kind == typeKV {
				if string(got.Fields[""].Reveal()) != "empty" {
					t.Error("a member without a name is lost")
				}
				delete(got.Fields, "")
			}
			if diff := cmp.Diff(tc.want, reveal(got)); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(before, reveal(raw)); diff != "" {
				t.Errorf("the secret that was read is changed: %s", diff)
			}
			if got.Version != raw.Version || got.Version == "" {
				t.Error("what is not the value is lost")
			}
		})
	}
}

// TestMetadata: metadataPolicy Fetch brings what the API says, and the value's
// own names come first.
func TestMetadata(t *testing.T) {
	w := start(t, ibmsm.Options{})
	labels := []string{"prod", "team=blue"}
	kv := w.seed(ibmsm.Seed{Name: "db", Type: typeKV, Labels: labels, Fields: map[string]any{"data": map[string]any{"k": "v", "name": "mine", "id": 5}}})
	pair := w.seed(ibmsm.Seed{Name: "login", Type: typeUsernamePassword, Labels: labels, Fields: map[string]any{"username": "u", "password": "p"}})
	payload := w.seed(ibmsm.Seed{Name: "text", Labels: labels})
	b := w.open(nil)
	both := func(ref backend.Ref) (map[string]string, backend.Secret) {
		t.Helper()
		ref.Part = backend.Metadata
		s, err := read(t.Context(), b, ref)
		if err != nil {
			t.Fatal(err)
		}
		out, err := Driver().View(backend.ESO, ref, s)
		if err != nil {
			t.Fatal(err)
		}
		return reveal(out), s
	}
	got, _ := both(kv)
	want := map[string]string{
		"": `{"id":5,"k":"v","name":"mine"}`, "k": "v", "name": "mine", "id": "5",
		"labels": `["prod","team=blue"]`, "secret_type": "kv", "state": "1", "versions_total": "1", "custom_metadata": "{}", "data": `{"id":5,"k":"v","name":"mine"}`,
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
	for _, name := range []string{"created_at", "updated_at", "crn", "secret_group_id"} {
		if got[name] == "" {
			t.Errorf("there is no %s in %q", name, slices.Sorted(maps.Keys(got)))
		}
	}
	if _, ok := got["retrieved_at"]; ok {
		t.Error("retrieved_at changes with each read")
	}
	if got, _ = both(pair); got["username"] != "u" || got["password"] != "p" || got["name"] != "login" {
		t.Errorf("username, password and name are not all there: %q", slices.Sorted(maps.Keys(got)))
	}
	got, first := both(payload)
	if got["arbitrary"] != "p" || got["payload"] != "p" || got[""] != "p" {
		t.Errorf("the payload is not there by each of its names: %q", slices.Sorted(maps.Keys(got)))
	}
	// The second read differs in nothing: "downloaded" was set by the first.
	_, second := both(payload)
	_, third := both(payload)
	if !second.Equal(third) || first.Version != third.Version {
		t.Error("what nobody changed is another thing at the next read")
	}
	if b.Prober == nil {
		t.Fatal("there is no prober")
	}
	payload.Part = backend.Metadata
	if tokens, err := b.Prober.Probe(t.Context(), []backend.Ref{payload}); err != nil || tokens[0] != third.Version {
		t.Errorf("token %q (error %v), want the version %q", tokens, err, third.Version)
	}
}

// TestMetadataRefused: what would read a value once more, or is no metadata.
func TestMetadataRefused(t *testing.T) {
	w := start(t, ibmsm.Options{})
	key := w.mutating("key")
	key.Part = backend.Metadata
	before := w.Stats().Kinds[ibmsm.KindGet]
	if _, err := read(t.Context(), w.open(nil), key); backend.CodeOf(err) != backend.InvalidRef || w.Stats().Kinds[ibmsm.KindGet] != before {
		t.Errorf("a key was read for its metadata: %v", err)
	}
	gone := backend.Ref{Path: someID, Kind: typeKV, Part: backend.Metadata}
	if _, err := view(backend.ESO, gone, withFields("secret_type", `"kv"`)); backend.CodeOf(err) != backend.Unavailable {
		t.Errorf("metadata without a value: %v", err)
	}
	_, err := w.manager().Writer.Write(t.Context(), backend.Write{Ref: gone, Secret: backend.Secret{Payload: text("{}")}, Owner: "me"})
	failed(t, err, backend.InvalidRef, "the metadata of kv "+someID+" cannot be written")
}
