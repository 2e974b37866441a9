// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// TestRead reads each type that is served from the stand-in.
func TestRead(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.open(nil)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	id, err := w.Put(ibmsm.Seed{Name: "expiring", Fields: map[string]any{"payload": "p"}, Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		ref     backend.Ref
		want    backend.Secret
		expires time.Time
	}{
		"Arbitrary": {
			ref:  w.put("arb", typeArbitrary, map[string]any{"payload": "<p> & \u2028 ü"}),
			want: backend.Secret{Payload: text("<p> & \u2028 ü")},
		},
		"UsernamePassword": {
			ref:  w.put("pair", typeUsernamePassword, map[string]any{"username": "user123", "password": `"p" <&>`}),
			want: backend.Secret{Fields: map[string]backend.Value{"username": text("user123"), "password": text(`"p" <&>`)}},
		},
		"KV": {
			ref:  w.put("kv", typeKV, map[string]any{"data": map[string]any{"k": "v"}}),
			want: backend.Secret{Payload: text(`{"k":"v"}`), JSON: true},
		},
		"Expiring": {
			ref:  backend.Ref{Path: id, Kind: typeArbitrary},
			want: backend.Secret{Payload: text("p")}, expires: expires,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := read(t.Context(), b, c.ref)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Equal(c.want) || got.JSON != c.want.JSON {
				t.Error("it is not what was put there")
			}
			if !got.Expires.Equal(c.expires) {
				t.Errorf("expires %s, want %s", got.Expires, c.expires)
			}
		})
	}
}

// TestReadExpired: IBM destroys the data of an expired secret.
func TestReadExpired(t *testing.T) {
	clock := newClock()
	w := start(t, ibmsm.Options{Now: clock.Now, TokenTTL: 100 * time.Hour})
	b := w.open(nil)
	id, err := w.Put(ibmsm.Seed{Name: "expiring", Fields: map[string]any{"payload": canary}, Expires: clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	clock.advance(2 * time.Hour)
	for _, version := range []string{"", "current"} {
		_, err := read(t.Context(), b, backend.Ref{Path: id, Kind: typeArbitrary, Version: version})
		if backend.CodeOf(err) != backend.NotFound {
			t.Errorf("version %q: code %q, want NotFound", version, backend.CodeOf(err))
		}
		clean(t, err)
	}
}

// answering opens an instance that answers each read with one HTTP message. It
// does not check tokens.
func answering(t *testing.T, respond http.HandlerFunc) backend.Backend {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /identity/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"t","expires_in":3600,"expiration":%d}`, time.Now().Add(time.Hour).Unix())
	})
	mux.HandleFunc("GET /api/v2/secrets/", respond)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return open(t, map[string]string{
		envPrefix + "ENDPOINT": server.URL, envPrefix + "AUTH_URL": server.URL, envPrefix + "APIKEY": goodKey,
	}, nil)
}

// says answers with a status and a body of JSON.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// secretBody is an answer of the API with the fields of a type.
func secretBody(typ, fields string) string {
	return `{"id":"x1","secret_type":"` + typ + `","state":1,"versions_total":1,"updated_at":"2026-01-02T03:04:05Z"` + fields + `}`
}

func TestAnswers(t *testing.T) {
	const (
		unread = "IBM Cloud Secrets Manager gave an answer to the request for %s x1 that cannot be read"
		nodata = "%s x1 holds no data any more: it was destroyed or has expired"
	)
	cases := map[string]struct {
		reason string
		kind   string // arbitrary when empty
		answer http.HandlerFunc
		want   string // the payload
		code   backend.Code
		err    string // with %s for the kind
	}{
		"Payload": {reason: "as it should be", answer: says(200, secretBody("arbitrary", `,"payload":"p"`)), want: "p"},
		"Empty":   {reason: "an empty payload is one", answer: says(200, secretBody("arbitrary", `,"payload":""`)), want: ""},
		"NewFields": {
			reason: "the product grows",
			answer: says(200, secretBody("arbitrary", `,"payload":"p","retrieved_at":5,"later":{"x":[]}`)), want: "p",
		},
		"KVOrder": {
			reason: "order and digits are the secret's own", kind: "kv",
			answer: says(200, secretBody("kv", `,"data":{"z":1.50,"a":12345678901234567890,"m":{"y":"\u003c","b":[]}}`)),
			want:   `{"z":1.50,"a":12345678901234567890,"m":{"y":"\u003c","b":[]}}`,
		},
		"KVEmpty": {reason: "an empty object is there", kind: "kv", answer: says(200, secretBody("kv", `,"data":{}`)), want: "{}"},

		"NoPayload":  {reason: "never an empty value", answer: says(200, secretBody("arbitrary", "")), code: backend.NotFound, err: nodata},
		"Null":       {reason: "as above", answer: says(200, secretBody("arbitrary", `,"payload":null`)), code: backend.NotFound, err: nodata},
		"NoPassword": {reason: "half is not enough", kind: "username_password", answer: says(200, secretBody("username_password", `,"username":"canary"`)), code: backend.NotFound, err: nodata},
		"NoData":     {reason: "as above", kind: "kv", answer: says(200, secretBody("kv", "")), code: backend.NotFound, err: nodata},
		"NullData":   {reason: "null is no data", kind: "kv", answer: says(200, secretBody("kv", `,"data":null`)), code: backend.NotFound, err: nodata},
		"Destroyed": {
			reason: "whatever else it says",
			answer: says(200, `{"id":"x1","secret_type":"arbitrary","state":5,"payload":"canary"}`), code: backend.NotFound, err: nodata,
		},

		"TextForReuse": {
			reason: "it decides whether reading changes the secret", kind: "iam_credentials",
			answer: says(200, secretBody("iam_credentials", `,"api_key":"canary","reuse_api_key":"yes"`)), code: backend.Unavailable, err: unread,
		},
		"NoAPIKey":      {reason: "as above", kind: "iam_credentials", answer: says(200, secretBody("iam_credentials", `,"reuse_api_key":true`)), code: backend.NotFound, err: nodata},
		"EmptyAPIKey":   {reason: "nobody can log in with it", kind: "iam_credentials", answer: says(200, secretBody("iam_credentials", `,"api_key":""`)), code: backend.NotFound, err: nodata},
		"Credentials":   {reason: "as a kv", kind: "service_credentials", answer: says(200, secretBody("service_credentials", `,"credentials":{"z":1.50,"apikey":"k"}`)), want: `{"z":1.50,"apikey":"k"}`},
		"NoCredentials": {reason: "never an empty value", kind: "service_credentials", answer: says(200, secretBody("service_credentials", `,"credentials":null`)), code: backend.NotFound, err: nodata},
		"TextForCredentials": {
			reason: "an object", kind: "service_credentials",
			answer: says(200, secretBody("service_credentials", `,"credentials":"canary"`)), code: backend.Unavailable, err: unread,
		},
		"Content":  {reason: "as a kv", kind: "custom_credentials", answer: says(200, secretBody("custom_credentials", `,"credentials_content":{"b":[],"a":null}`)), want: `{"b":[],"a":null}`},
		"NoCustom": {reason: "never an empty value", kind: "custom_credentials", answer: says(200, secretBody("custom_credentials", "")), code: backend.NotFound, err: nodata},

		"WrongType": {
			reason: "KES users name the type by hand",
			answer: says(200, secretBody("kv", `,"data":{"canary":1}`)), code: backend.InvalidRef,
			err: "secret x1 is of type kv, not %s; correct secretType",
		},
		"UnknownType": {
			reason: "the SDK's own models fail on it, and the word is the server's",
			answer: says(200, secretBody("canary_type", `,"payload":"p"`)), code: backend.InvalidRef,
			err: "secret x1 is not of type %s but of a type that this version of Lockstep does not know",
		},

		"NoBody":        {reason: "not a secret of type nothing", answer: says(200, ""), code: backend.Unavailable, err: unread},
		"NoContent":     {reason: "as above", answer: says(204, ""), code: backend.Unavailable, err: unread},
		"JSONNull":      {reason: "as above", answer: says(200, "null"), code: backend.Unavailable, err: unread},
		"EmptyObject":   {reason: "not a secret without data, which is a missing one", answer: says(200, "{}"), code: backend.Unavailable, err: unread},
		"NoType":        {reason: "as above", answer: says(200, `{"id":"x1","state":1}`), code: backend.Unavailable, err: unread},
		"AnotherID":     {reason: "not somebody else's password", answer: says(200, strings.Replace(secretBody("arbitrary", `,"payload":"canary"`), "x1", "x2", 1)), code: backend.Unavailable, err: unread},
		"Array":         {reason: "no secret", answer: says(200, `["canary"]`), code: backend.Unavailable, err: unread},
		"Text":          {reason: "no JSON", answer: says(200, "canary"), code: backend.Unavailable, err: unread},
		"Half":          {reason: "no JSON", answer: says(200, secretBody("arbitrary", `,"payload":"canary`)[:120]), code: backend.Unavailable, err: unread},
		"NumberForText": {reason: "Go's error quotes the number", answer: says(200, secretBody("arbitrary", `,"payload":8675309`)), code: backend.Unavailable, err: unread},
		"TextForState":  {reason: "a wrong type", answer: says(200, `{"id":"x1","secret_type":"arbitrary","state":"canary"}`), code: backend.Unavailable, err: unread},
		"TextForData":   {reason: "data is an object", kind: "kv", answer: says(200, secretBody("kv", `,"data":"canary"`)), code: backend.Unavailable, err: unread},
		"ListForData":   {reason: "data is an object", kind: "kv", answer: says(200, secretBody("kv", `,"data":["canary"]`)), code: backend.Unavailable, err: unread},
		"HTML": {
			reason: "a captive portal",
			answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>canary</html>")) },
			code:   backend.Unavailable, err: unread,
		},
		"CutOff": {
			reason: "the connection breaks in the body",
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Content-Length", "1000")
				_, _ = w.Write([]byte(secretBody("arbitrary", `,"payload":"canary`)))
			},
			code: backend.Unavailable, err: unread,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.kind == "" {
				c.kind = typeArbitrary
			}
			got, err := read(t.Context(), answering(t, c.answer), backend.Ref{Path: "x1", Kind: c.kind})
			if c.err != "" {
				failed(t, err, c.code, fmt.Sprintf(c.err, c.kind))
				if strings.Contains(fmt.Sprintf("%+v", err), "8675309") {
					t.Error("the error has a part of the answer in it")
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.want, string(got.Payload.Reveal())); diff != "" || !got.Payload.IsSet() {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

// TestVersionAnswers looks at the answers of the endpoint for one version.
func TestVersionAnswers(t *testing.T) {
	cases := map[string]struct {
		reason string
		body   string
		want   backend.Code
	}{
		"Available": {"as it should be", `{"id":"v1","secret_id":"x1","secret_type":"arbitrary","payload_available":true,"payload":"p"}`, ""},
		"Gone":      {"IBM keeps the data of two versions", `{"id":"v1","secret_id":"x1","secret_type":"arbitrary","payload_available":false,"payload":""}`, backend.NotFound},
		"NoData":    {"never an empty value", `{"id":"v1","secret_id":"x1","secret_type":"arbitrary","payload_available":true}`, backend.NotFound},
		"Another":   {"a version of another secret", `{"id":"x1","secret_id":"x2","secret_type":"arbitrary","payload":"p"}`, backend.Unavailable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := answering(t, says(200, c.body))
			s, err := read(t.Context(), b, backend.Ref{Path: "x1", Kind: typeArbitrary, Version: "previous"})
			if got := backend.CodeOf(err); got != c.want {
				t.Errorf("%s: code %q, want %q", c.reason, got, c.want)
			}
			if err == nil && s.Version != "v1" {
				t.Errorf("version %q, want the id", s.Version)
			}
		})
	}
}
