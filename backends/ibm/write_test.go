// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// manager opens the instance with the role that may do everything.
func (w *world) manager() backend.Backend {
	w.SetRole(goodKey, ibmsm.Manager)
	return w.open(nil)
}

// TestWriteTypes writes each type that can be written, twice.
func TestWriteTypes(t *testing.T) {
	pair := func(user, password string) backend.Secret {
		return backend.Secret{Fields: map[string]backend.Value{"username": text(user), "password": text(password)}}
	}
	cases := map[string]struct {
		kind      string
		old, next backend.Secret
		want      backend.Secret // of next, when it is read as it is not written
	}{
		"Arbitrary": {kind: typeArbitrary, old: backend.Secret{Payload: text("old")}, next: backend.Secret{Payload: text("<new> ü")}},
		"Pair":      {kind: typeUsernamePassword, old: pair("u", "old"), next: pair("u", `"new"`)},
		"KV":        {kind: typeKV, old: backend.Secret{Payload: text(`{"k":"old"}`), JSON: true}, next: backend.Secret{Payload: text(`{"k":"new"}`), JSON: true}},
		"KVFields": {
			kind: typeKV, old: backend.Secret{Fields: map[string]backend.Value{"k": text("old")}},
			next: backend.Secret{Fields: map[string]backend.Value{"k": text("new")}}, want: backend.Secret{Payload: text(`{"k":"new"}`)},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := start(t, ibmsm.Options{})
			b := w.manager()
			for _, args := range []string{"name", "name:team", "name:default"} {
				ref := backend.Ref{Path: "written-" + args[4:], Kind: c.kind, Args: args}
				if ref.Path = "written"; args != "name" {
					ref.Path += "-in-" + args[5:]
				}
				if _, err := w.Group("team"); err != nil {
					t.Fatal(err)
				}
				for _, s := range []backend.Secret{c.old, c.next} {
					if _, err := b.Writer.Write(t.Context(), backend.Write{Ref: ref, Secret: s, Owner: "me"}); err != nil {
						t.Fatal(err)
					}
				}
				if !c.want.Payload.IsSet() {
					c.want = c.next
				}
				got, err := read(t.Context(), b, ref)
				if err != nil || !got.Equal(c.want) {
					t.Errorf("%s: it is not what was written: %v", args, err)
				}
				if err := b.Writer.Delete(t.Context(), ref, "me"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestWriteRefused(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.manager()
	mark := map[string]any{ownerMark: "me"}
	hand := w.seed(ibmsm.Seed{Name: "by-hand"})
	w.seed(ibmsm.Seed{Name: "theirs", CustomMetadata: map[string]any{ownerMark: "they"}})
	w.seed(ibmsm.Seed{Name: "mine", CustomMetadata: mark})
	pair := w.seed(ibmsm.Seed{Name: "pair", Type: typeUsernamePassword, CustomMetadata: mark, Fields: map[string]any{"username": "u", "password": "p"}})
	byName := func(kind, name string) backend.Ref { return backend.Ref{Path: name, Kind: kind, Args: "name"} }
	old := hand
	old.Version = "previous"
	payload := backend.Secret{Payload: text(canary)}
	cases := map[string]struct {
		reason string
		write  backend.Write
		code   backend.Code
		text   string
	}{
		"ByHand":    {"nobody's mark", backend.Write{Ref: hand, Secret: payload, Owner: "me"}, backend.Conflict, foreign(hand).Error()},
		"Theirs":    {"another's mark", backend.Write{Ref: named("theirs"), Secret: payload, Owner: "me"}, backend.Conflict, foreign(named("theirs")).Error()},
		"Exists":    {"it had to be new", backend.Write{Ref: named("mine"), Secret: payload, Owner: "me", IfVersion: backend.Absent}, backend.Conflict, "arbitrary mine exists already"},
		"Stale":     {"somebody was quicker", backend.Write{Ref: named("mine"), Secret: payload, Owner: "me", IfVersion: "x"}, backend.Conflict, "arbitrary mine was changed by somebody else"},
		"Gone":      {"it had to be there", backend.Write{Ref: named("none"), Secret: payload, Owner: "me", IfVersion: "x"}, backend.Conflict, "arbitrary none is not there any more"},
		"NoOwner":   {"nobody could write it again", backend.Write{Ref: named("new"), Secret: payload}, backend.InvalidRef, "arbitrary new has no owner to be written for"},
		"OldOne":    {"history stays", backend.Write{Ref: old, Secret: payload, Owner: "me"}, backend.InvalidRef, old.String() + " is an old version, which cannot be written"},
		"NewID":     {"the product makes ids", backend.Write{Ref: backend.Ref{Path: "none", Kind: typeArbitrary}, Secret: payload, Owner: "me"}, backend.InvalidRef, "there is no arbitrary none; a new secret is written by its name, and gets its id from the product"},
		"OtherType": {"as reading it", backend.Write{Ref: backend.Ref{Path: pair.Path, Kind: typeArbitrary}, Secret: payload, Owner: "me"}, backend.InvalidRef, "secret " + pair.Path + " is of type username_password, not arbitrary; correct secretType"},
		"Group":     {"not made by the way", backend.Write{Ref: backend.Ref{Path: "new", Kind: typeArbitrary, Args: "name:none"}, Secret: payload, Owner: "me"}, backend.PermissionDenied, `there is no secret group named "none", or the API key may not see it`},
		"Binary":    {"JSON has no bytes", backend.Write{Ref: named("new"), Secret: backend.Secret{Payload: text("\xff")}, Owner: "me"}, backend.InvalidRef, "arbitrary new cannot be written: it takes one value of text that is not empty; encode binary data as base64"},
		"Empty":     {"the product refuses it", backend.Write{Ref: named("new"), Secret: backend.Secret{Payload: text("")}, Owner: "me"}, backend.InvalidRef, "arbitrary new cannot be written: it takes one value of text that is not empty; encode binary data as base64"},
		"Fields":    {"it has none", backend.Write{Ref: named("new"), Secret: backend.Secret{Fields: map[string]backend.Value{"a": text("b")}}, Owner: "me"}, backend.InvalidRef, "arbitrary new cannot be written: it takes one value of text that is not empty; encode binary data as base64"},
		"NotKV":     {"an object", backend.Write{Ref: byName(typeKV, "new"), Secret: payload, Owner: "me"}, backend.InvalidRef, "kv new cannot be written: it takes a JSON object"},
		"ListKV":    {"an object", backend.Write{Ref: byName(typeKV, "new"), Secret: backend.Secret{Payload: text(`["canary"]`)}, Owner: "me"}, backend.InvalidRef, "kv new cannot be written: it takes a JSON object"},
		"HalfPair":  {"both", backend.Write{Ref: byName(typeUsernamePassword, "new"), Secret: backend.Secret{Fields: map[string]backend.Value{"password": text("canary")}}, Owner: "me"}, backend.InvalidRef, "username_password new cannot be written: it takes the fields username and password, and no others"},
		"OtherUser": {
			"a silent change of half",
			backend.Write{Ref: pair, Owner: "me", Secret: backend.Secret{Fields: map[string]backend.Value{"username": text("canary"), "password": text("canary")}}},
			backend.Conflict, pair.String() + " has another user name, which the product cannot change; delete it first",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			writes := func() int { k := w.Stats().Kinds; return k[ibmsm.KindCreate] + k[ibmsm.KindRotate] }
			before := writes()
			_, err := b.Writer.Write(t.Context(), c.write)
			failed(t, err, c.code, c.text)
			if writes() != before {
				t.Errorf("%s: it was written", c.reason)
			}
		})
	}
}

// TestWriteAnswers: what the product says to a change.
func TestWriteAnswers(t *testing.T) {
	cases := map[string]struct {
		reason string
		kind   ibmsm.Kind
		status int
		code   backend.Code
		text   string
	}{
		"Taken":      {"somebody was quicker, or it cannot be seen", ibmsm.KindCreate, 409, backend.Conflict, "arbitrary new exists already"},
		"NoWriter":   {"the role", ibmsm.KindCreate, 403, backend.PermissionDenied, "the API key may not create arbitrary new (403): it needs the role Writer for the instance or its secret group"},
		"WrongURL":   {"not a missing secret", ibmsm.KindCreate, 404, backend.Unavailable, "IBM Cloud Secrets Manager does not take new secrets: check the URL of the instance"},
		"NoRotation": {"the role", ibmsm.KindRotate, 403, backend.PermissionDenied, "the API key may not write arbitrary mine (403): it needs the role Writer for the instance or its secret group"},
		"Locked":     {"somebody holds the version", ibmsm.KindRotate, 412, backend.Conflict, "arbitrary mine is locked (412)"},
		"Refused":    {"nothing we know", ibmsm.KindRotate, 400, backend.Unknown, "IBM Cloud Secrets Manager does not accept the request for arbitrary mine (400)"},
		"NoManager":  {"the role", ibmsm.KindDelete, 403, backend.PermissionDenied, "the API key may not delete arbitrary mine (403): it needs the role Manager for the instance or its secret group"},
		"GoneByNow":  {"somebody was quicker", ibmsm.KindDelete, 404, "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := start(t, ibmsm.Options{})
			b := w.manager()
			w.seed(ibmsm.Seed{Name: "mine", CustomMetadata: map[string]any{ownerMark: "me"}})
			w.Fail(ibmsm.Match{Kind: c.kind}, ibmsm.Fault{Status: c.status, Body: errorBody(canary)})
			ref := named("mine")
			if c.kind == ibmsm.KindCreate {
				ref = named("new")
			}
			var err error
			if c.kind == ibmsm.KindDelete {
				err = b.Writer.Delete(t.Context(), ref, "me")
			} else {
				_, err = b.Writer.Write(t.Context(), backend.Write{Ref: ref, Secret: backend.Secret{Payload: text("p")}, Owner: "me"})
			}
			failed(t, err, c.code, c.text)
			if n := w.Stats().Kinds[c.kind]; n != 1 {
				t.Errorf("%s: %d requests", c.reason, n)
			}
		})
	}
}

// TestWriteAfterRemoval: the directory's id is dead, and the secret is made
// anew.
func TestWriteAfterRemoval(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.manager()
	write := backend.Write{Ref: named("mine"), Secret: backend.Secret{Payload: text("p")}, Owner: "me"}
	for range 2 {
		if _, err := b.Writer.Write(t.Context(), write); err != nil {
			t.Fatal(err)
		}
		w.drop(backend.Ref{Path: mustLookup(w, "mine")})
	}
}
