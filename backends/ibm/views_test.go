// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

func text(s string) backend.Value { return backend.NewValue([]byte(s)) }

// withFields is a secret with named fields.
func withFields(kv ...string) backend.Secret {
	s := backend.Secret{Fields: map[string]backend.Value{}}
	for i := 0; i < len(kv); i += 2 {
		s.Fields[kv[i]] = text(kv[i+1])
	}
	return s
}

func TestView(t *testing.T) {
	document := func(s string) backend.Secret { return backend.Secret{Payload: text(s), JSON: true} }
	cases := map[string]struct {
		reason string
		kind   string
		secret backend.Secret
		want   string
	}{
		"Arbitrary": {"property: payload", typeArbitrary, backend.Secret{Payload: text("p")}, `{"payload":"p"}`},
		"ArbitraryJSON": {
			"a document in a payload is text to the product, and was to KES", typeArbitrary,
			backend.Secret{Payload: text(`{"a":1}`)},
			`{"payload":"{\"a\":1}"}`,
		},
		"ArbitraryEmpty": {"empty is not missing", typeArbitrary, backend.Secret{Payload: text("")}, `{"payload":""}`},
		"UsernamePassword": {
			"property: username, property: password, in the order of API v1", typeUsernamePassword,
			withFields("password", "p", "username", "u"), `{"username":"u","password":"p"}`,
		},
		"KV": {"property: payload.key", typeKV, document(`{"k":"v"}`), `{"payload":{"k":"v"}}`},
		"KVNested": {
			"order, depth and digits are the secret's own", typeKV,
			document(`{"z":{"b":[1,{"c":null}],"a":true},"n":12345678901234567890.10,"e":1E400,"10":0,"9":0}`),
			`{"payload":{"z":{"b":[1,{"c":null}],"a":true},"n":12345678901234567890.10,"e":1E400,"10":0,"9":0}}`,
		},
		"KVEmpty":            {"an empty object is there", typeKV, document(`{}`), `{"payload":{}}`},
		"ServiceCredentials": {"property: credentials.apikey", typeServiceCredentials, document(`{"z":1.50,"apikey":"k"}`), `{"credentials":{"z":1.50,"apikey":"k"}}`},
		"CustomCredentials":  {"property: credentials_content.token", typeCustomCredentials, document(`{"token":"t"}`), `{"credentials_content":{"token":"t"}}`},
		"ImportedCert": {
			"in the order of API v1", typeImportedCert, withFields("private_key", "k\n", "intermediate", "i\n", "certificate", "c\n"),
			`{"certificate":"c\n","intermediate":"i\n","private_key":"k\n"}`,
		},
		"ImportedCertAlone": {"what is not there is left out", typeImportedCert, withFields("certificate", "c\n"), `{"certificate":"c\n"}`},
		"PublicCert": {
			"as above", typePublicCert, withFields("certificate", "c", "private_key", "k"), `{"certificate":"c","private_key":"k"}`,
		},
		"PrivateCert": {
			"the chain is a list: property: ca_chain[0]", typePrivateCert,
			withFields("certificate", "c", "private_key", "k", "issuing_ca", "i", "ca_chain", `["a\n","b"]`),
			`{"certificate":"c","private_key":"k","issuing_ca":"i","ca_chain":["a\n","b"]}`,
		},
		"PrivateCertAlone": {"as above", typePrivateCert, withFields("certificate", "c"), `{"certificate":"c"}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Driver().View(backend.KES, backend.Ref{Kind: c.kind}, c.secret)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got.Payload.Reveal())); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
			if !got.JSON || got.Fields != nil {
				t.Errorf("%s: JSON is %t, and there are %d fields", c.reason, got.JSON, len(got.Fields))
			}
		})
	}
}

// TestViewOfAPIKey: it is the value without a property, and the property
// api_key.
func TestViewOfAPIKey(t *testing.T) {
	in := withFields("api_key", "k")
	in.Version, in.ReadMutates = "1", true
	got, err := view(backend.KES, backend.Ref{Kind: typeIAMCredentials}, in)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Payload.Reveal()) != "k" || got.JSON {
		t.Error("the value is not the bare key")
	}
	if len(got.Fields) != 1 || string(got.Fields["api_key"].Reveal()) != "k" {
		t.Error("the key is no property")
	}
	if !got.ReadMutates || got.Version != "1" {
		t.Error("what is not the value is lost")
	}
}

// TestViewKeeps holds that each text comes out of the view as it went in.
func TestViewKeeps(t *testing.T) {
	for name, want := range map[string]string{
		"HTML":      `<a href="x">&amp;</a>`,
		"Quotes":    `"'\"` + "`",
		"Lines":     "a\r\nb\tc\x00\x1f\x7f",
		"Separator": "a\u2028b\u2029c",
		"Beyond":    "ü 密 𝄞 \ufeff \ufffd",
	} {
		t.Run(name, func(t *testing.T) {
			for kind, s := range map[string]backend.Secret{
				typeArbitrary:        {Payload: text(want)},
				typeUsernamePassword: withFields("username", want, "password", want),
				typePublicCert:       withFields("certificate", want, "intermediate", want, "private_key", want),
			} {
				got, err := view(backend.KES, backend.Ref{Kind: kind}, s)
				if err != nil {
					t.Fatal(err)
				}
				var fields map[string]string
				if err := json.Unmarshal(got.Payload.Reveal(), &fields); err != nil {
					t.Fatal(err)
				}
				for name, field := range fields {
					if field != want {
						t.Errorf("%s is %q, want %q", name, field, want)
					}
				}
			}
		})
	}
}

func TestViewOfNothing(t *testing.T) {
	_, err := view(backend.KES, backend.Ref{Path: "x", Kind: typeArbitrary}, backend.Secret{})
	failed(t, err, backend.Unknown, "arbitrary x has no value")
	_, err = view(backend.KES, backend.Ref{Path: "x", Kind: "new"}, backend.Secret{Payload: text(canary)})
	failed(t, err, backend.Unknown, "new x has no value")
	_, err = view(backend.ESO, backend.Ref{Path: "x", Kind: typeKV}, backend.Secret{})
	failed(t, err, backend.Unknown, "kv x has no value")
}

func TestViewOfOthers(t *testing.T) {
	s := backend.Secret{Payload: text("p"), Version: "1"}
	got, err := view(backend.CSI, backend.Ref{}, s)
	if err != nil || !got.Equal(s) || got.JSON {
		t.Errorf("CSI does not see the secret as it is (error %v)", err)
	}
}
