// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProviderProduct(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		name   string
		raw    string
		n      int
	}{
		"Known":    {"a product with its fields, as they are written", `{"fake": {"data": [],"x":1.50}}`, "fake", `{"data": [],"x":1.50}`, 1},
		"Unknown":  {"a product that we do not have", `{"vault":{"a":{"b":[null]}}}`, "vault", `{"a":{"b":[null]}}`, 1},
		"Case":     {"a key in another case is another key", `{"FAKE":{}}`, "FAKE", `{}`, 1},
		"None":     {"the schema refuses it, a decoder must not", `{}`, "", "", 0},
		"Two":      {"the schema refuses it, a decoder must not", `{"fake":{},"vault":{}}`, "", "", 2},
		"NullToo":  {"null is as good as absent", `{"fake":{},"vault":null}`, "fake", "{}", 1},
		"Null":     {"absent", `null`, "", "", 0},
		"NoObject": {"the schema refuses it, a decoder must not", `[1]`, "", "", 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var spec SecretStoreSpec
			if err := json.Unmarshal([]byte(`{"provider":`+tc.text+`}`), &spec); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			name, raw, n := spec.Provider.Product()
			if name != tc.name || string(raw) != tc.raw || n != tc.n {
				t.Errorf("%s: Product() = %q, %s, %d, want %q, %s, %d", tc.reason, name, raw, n, tc.name, tc.raw, tc.n)
			}
		})
	}
}

func TestProviderRoundTrip(t *testing.T) {
	cases := map[string]struct {
		reason   string
		provider Provider
		want     string
	}{
		"Raw":   {"what was read is written as it was", decoded(t, `{"vault":{"n":1.50,"x":null}}`), `{"vault":{"n":1.50,"x":null}}`},
		"Typed": {"what code made is written by its fields", Provider{Fake: &FakeProvider{Data: []FakeData{{Key: "k", Value: "v"}}}}, `{"fake":{"data":[{"key":"k","value":"v"}]}}`},
		"Both":  {"what was read wins", Provider{Fake: &FakeProvider{}, Raw: []byte(`{"ibm":{}}`)}, `{"ibm":{}}`},
		"Zero":  {"a schema wants an object", Provider{}, `{}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(tc.provider)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tc.want {
				t.Errorf("%s: got %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

func TestProviderDoesNotAlias(t *testing.T) {
	buffer := []byte(`{"fake":{}}`)
	p := Provider{Fake: &FakeProvider{}}
	if err := p.UnmarshalJSON(buffer); err != nil {
		t.Fatal(err)
	}
	c := p.DeepCopy()
	for i := range buffer {
		buffer[i] = ' '
	}
	for i := range p.Raw {
		if p.Raw[i] == 'k' {
			p.Raw[i] = 'c'
		}
	}
	if diff := cmp.Diff(Provider{Raw: json.RawMessage(`{"fake":{}}`)}, *c); diff != "" {
		t.Errorf("a copy shares bytes, or typed fields survive (-want +got):\n%s", diff)
	}
	if got := string(p.Raw); got != `{"face":{}}` {
		t.Errorf("the decoder's buffer is shared: %s", got)
	}
}

func decoded(t *testing.T, text string) Provider {
	t.Helper()
	var p Provider
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return p
}
