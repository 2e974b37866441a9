// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// fails is the value of a vector that cannot be decoded.
const fails = "\x00fails"

func TestDecode(t *testing.T) {
	const (
		std  = "aGVsbG8/Pz8+Pj4="
		url  = "aGVsbG8_Pz8-Pj4="
		full = "hello???>>>"
	)
	cases := map[string]struct {
		reason                  string
		value                   string
		none, base64, url, auto string
	}{
		"Std":   {"the usual alphabet", std, std, full, fails, full},
		"URL":   {"the alphabet for addresses", url, url, fails, full, full},
		"Both":  {"what is in both", "aGk=", "aGk=", "hi", "hi", "hi"},
		"Text":  {"text is text", "not base64!", "not base64!", fails, fails, "not base64!"},
		"Word":  {"four letters are base64, as ESO has it", "test", "test", "\xb5\xeb-", "\xb5\xeb-", "\xb5\xeb-"},
		"NoPad": {"padding is needed", "aGVsbG8", "aGVsbG8", fails, fails, "aGVsbG8"},
		"Lines": {"line ends are passed over", "aGVs\nbG8=\r\n", "aGVs\nbG8=\r\n", "hello", "hello", "hello"},
		"Blank": {"other space is not", " ", " ", fails, fails, " "},
		"None":  {"of nothing", "", "", "", "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for d, wanted := range map[spec.Decode]string{
				spec.DecodeNone: tc.none, spec.DecodeBase64: tc.base64, spec.DecodeBase64URL: tc.url, spec.DecodeAuto: tc.auto,
			} {
				e := data("x", "k")
				e.Decode = d
				got := world{answers: map[string]plan.Answer{"k": text(tc.value)}}.one(e)
				if wanted != fails {
					want(t, tc.reason, got, map[string]string{"x": wanted})
					continue
				}
				if len(got.Problems) != 1 || got.Problems[0].Code != backend.InvalidRef {
					t.Errorf("%s, decoding %d: problems %v, want one", tc.reason, d, got.Problems)
				}
			}
		})
	}
}

func TestDecodeEntries(t *testing.T) {
	with := func(e spec.Entry, d spec.Decode, noNull bool) spec.Entry {
		e.Decode, e.NoNull = d, noNull
		return e
	}
	const nul = " has a NUL byte in it, which nullBytePolicy forbids"
	answers := map[string]plan.Answer{
		"map": text(`{"a":"aGk=","b":"eW8="}`), "mix": text(`{"a":"aGk=","b":"***` + canary + `"}`), "nul": text("YQBi"), "mapnul": text(`{"a":"YQBi","b":"eW8="}`),
		"txt": text(canary + "!"), "raw": text("a\x00" + canary),
	}
	cases := map[string]struct {
		reason  string
		entry   spec.Entry
		want    map[string]string
		problem string
	}{
		"Property":     {reason: "first the property", entry: with(property("x", "map", "a"), spec.DecodeBase64, false), want: map[string]string{"x": "hi"}},
		"Map":          {reason: "each value", entry: with(from("map"), spec.DecodeBase64, false), want: map[string]string{"a": "hi", "b": "yo"}},
		"MapAuto":      {reason: "each for itself", entry: with(from("map"), spec.DecodeAuto, false), want: map[string]string{"a": "hi", "b": "yo"}},
		"MapFails":     {reason: "the key is named", entry: with(from("mix"), spec.DecodeBase64, false), problem: `the value of key "b" of mix is not base64`},
		"Fails":        {reason: "the secret is named", entry: with(data("x", "txt"), spec.DecodeBase64URL, false), problem: "the value of txt is not base64 of the URL alphabet"},
		"FailsHere":    {reason: "the property is named", entry: with(property("x", "mix", "b"), spec.DecodeBase64, false), problem: "the value of property b of mix is not base64"},
		"Nul":          {reason: "is allowed", entry: with(data("x", "nul"), spec.DecodeBase64, false), want: map[string]string{"x": "a\x00b"}},
		"NulFails":     {reason: "unless it is not", entry: with(data("x", "nul"), spec.DecodeBase64, true), problem: "the value of nul" + nul},
		"NulEncoded":   {reason: "and is looked for after decoding", entry: with(data("x", "nul"), spec.DecodeNone, true), want: map[string]string{"x": "YQBi"}},
		"NulRaw":       {reason: "also without any", entry: with(data("x", "raw"), spec.DecodeNone, true), problem: "the value of raw" + nul},
		"NulMap":       {reason: "in every value", entry: with(from("mapnul"), spec.DecodeBase64, true), problem: `the value of key "a" of mapnul` + nul},
		"AfterRewrite": {reason: "the name is the new one", entry: rewritten(with(from("mix"), spec.DecodeBase64, false), regex("^", "m_")), problem: `the value of key "m_b" of mix is not base64`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := world{answers: answers}.one(tc.entry)
			if tc.problem != "" {
				wantProblem(t, tc.reason, got, backend.InvalidRef, tc.problem)
				return
			}
			want(t, tc.reason, got, tc.want)
		})
	}
}
