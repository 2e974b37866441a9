// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

func text(s string) backend.Value { return backend.NewValue([]byte(s)) }

func TestView(t *testing.T) {
	cases := map[string]struct {
		reason string
		secret backend.Secret
		want   string
	}{
		"Arbitrary": {"property: payload", backend.Secret{Payload: text("p")}, `{"payload":"p"}`},
		"ArbitraryJSON": {
			"a document in a payload is text to the product, and was to KES",
			backend.Secret{Payload: text(`{"a":1}`)},
			`{"payload":"{\"a\":1}"}`,
		},
		"ArbitraryEmpty": {"empty is not missing", backend.Secret{Payload: text("")}, `{"payload":""}`},
		"UsernamePassword": {
			"property: username, property: password, in the order of API v1",
			backend.Secret{Fields: map[string]backend.Value{"password": text("p"), "username": text("u")}},
			`{"username":"u","password":"p"}`,
		},
		"KV": {"property: payload.key", backend.Secret{Payload: text(`{"k":"v"}`), JSON: true}, `{"payload":{"k":"v"}}`},
		"KVNested": {
			"order, depth and digits are the secret's own",
			backend.Secret{Payload: text(`{"z":{"b":[1,{"c":null}],"a":true},"n":12345678901234567890.10,"e":1E400,"10":0,"9":0}`), JSON: true},
			`{"payload":{"z":{"b":[1,{"c":null}],"a":true},"n":12345678901234567890.10,"e":1E400,"10":0,"9":0}}`,
		},
		"KVEmpty": {"an empty object is there", backend.Secret{Payload: text(`{}`), JSON: true}, `{"payload":{}}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Driver().View(backend.KES, backend.Ref{}, c.secret)
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
			arbitrary := backend.Secret{Payload: text(want)}
			pair := backend.Secret{Fields: map[string]backend.Value{"username": text(want), "password": text(want)}}
			for _, s := range []backend.Secret{arbitrary, pair} {
				got, err := view(backend.KES, backend.Ref{}, s)
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
}

func TestViewOfOthers(t *testing.T) {
	s := backend.Secret{Payload: text("p"), Version: "1"}
	got, err := view(backend.ESO, backend.Ref{}, s)
	if err != nil || !got.Equal(s) || got.JSON {
		t.Errorf("ESO does not see the secret as it is (error %v)", err)
	}
}
