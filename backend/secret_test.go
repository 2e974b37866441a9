// SPDX-License-Identifier: Apache-2.0

package backend_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/lockstep-secrets/lockstep/backend"
)

const canary = "canary secret?0123456789~"

// holders are all ways to hold a Value that printing could look into.
func holders() map[string]any {
	type exported struct{ V backend.Value }
	type unexported struct{ v backend.Value }
	type deep struct {
		inner unexported
		list  []exported
		byKey map[string]backend.Value
		any   any
	}
	v := backend.NewValue([]byte(canary))
	p := &v
	secret := backend.Secret{Payload: v, Fields: map[string]backend.Value{"password": v}, Version: "7"}
	return map[string]any{
		"value":             v,
		"pointer":           p,
		"pointer twice":     &p,
		"exported field":    exported{v},
		"unexported field":  unexported{v},
		"pointer to struct": &unexported{v},
		"slice":             []backend.Value{v},
		"array":             [1]backend.Value{v},
		"map":               map[string]backend.Value{"k": v},
		"map of pointers":   map[string]*backend.Value{"k": &v},
		"interface":         []any{v, &v, unexported{v}},
		"deep":              deep{unexported{v}, []exported{{v}}, map[string]backend.Value{"k": v}, v},
		"secret":            secret,
		"result":            backend.Result{Ref: backend.Ref{Path: "p"}, Secret: secret},
		"found":             backend.Found{Secret: &secret},
		"write":             backend.Write{Secret: secret, Owner: "me"},
	}
}

// leaks returns the form in which text contains the canary, or "".
func leaks(text string) string {
	var decimal []string
	for _, b := range []byte(canary) {
		decimal = append(decimal, fmt.Sprint(b))
	}
	upper := strings.ToUpper(text)
	for form, w := range map[string]string{
		"raw":       canary,
		"base64":    base64.StdEncoding.EncodeToString([]byte(canary)),
		"base64url": base64.RawURLEncoding.EncodeToString([]byte(canary)),
		"hex":       hex.EncodeToString([]byte(canary)),
		"hex words": fmt.Sprintf("% x", canary),
		"go bytes":  strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", []byte(canary)), "[]byte{"), "}"),
		"url":       url.QueryEscape(canary),
		"decimal":   strings.Join(decimal, " "),
		"decimal,":  strings.Join(decimal, ","),
	} {
		if strings.Contains(upper, strings.ToUpper(w)) {
			return form
		}
	}
	return ""
}

func TestLeaksFinds(t *testing.T) {
	for _, text := range []string{
		canary,
		fmt.Sprint([]byte(canary)),
		fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("% x", canary), fmt.Sprintf("%#v", []byte(canary)),
		base64.StdEncoding.EncodeToString([]byte(canary)),
	} {
		if leaks("before "+text+" after") == "" {
			t.Errorf("%q is not taken for a leak, so the tests here cannot fail", text)
		}
	}
}

func TestValueLeaksNothing(t *testing.T) {
	for name, held := range holders() {
		t.Run(name, func(t *testing.T) {
			look := func(how, text string) {
				t.Helper()
				if form := leaks(text); form != "" {
					t.Errorf("%s shows the value as %s", how, form)
				}
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%o", "%b", "%c", "%U", "%T", "%p", "%t", "%e", "%100v", "%-100.90s"} {
				look(verb, fmt.Sprintf(verb, held))
			}
			look("Print", fmt.Sprint(held))
			look("an error", fmt.Errorf("wrapping: %w, %v", errors.New("cause"), held).Error())

			var log bytes.Buffer
			for _, h := range []slog.Handler{
				slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug - 8}),
				slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug - 8}),
			} {
				slog.New(h).With("with", held).WithGroup("group").Info("message", "held", held, slog.Any("any", held), slog.Group("in", "held", held))
			}
			look("slog", log.String())

			if text, err := json.Marshal(held); err == nil {
				look("JSON", string(text))
			}
			if text, err := yaml.Marshal(held); err == nil {
				look("YAML", string(text))
			}
			look("cmp", cmp.Diff(held, nil))
		})
	}
}

func TestValue(t *testing.T) {
	absent, empty, some := backend.Value{}, backend.NewValue(nil), backend.NewValue([]byte("some"))
	if absent.IsSet() || absent.Reveal() != nil || absent.Len() != 0 {
		t.Error("the zero Value is not absent")
	}
	if !empty.IsSet() || empty.Reveal() == nil || empty.Len() != 0 {
		t.Error("a Value of nil is not present and empty")
	}
	if !some.IsSet() || string(some.Reveal()) != "some" || some.Len() != 4 {
		t.Error("a Value does not hold its bytes")
	}
	values := []backend.Value{absent, empty, some, backend.NewValue([]byte("same"))}
	for i, v := range values {
		for k, o := range values {
			if got, want := v.Equal(o), i == k; got != want {
				t.Errorf("Equal of %d and %d is %t", i, k, got)
			}
		}
	}
	if !some.Equal(backend.NewValue([]byte("some"))) {
		t.Error("equal bytes are not equal")
	}
	if text, err := some.MarshalText(); err != nil || string(text) != some.String() {
		t.Errorf("MarshalText says %q, String %q", text, some.String())
	}
}

func TestSecretEqual(t *testing.T) {
	v := func(s string) backend.Value { return backend.NewValue([]byte(s)) }
	base := backend.Secret{Payload: v("p"), Fields: map[string]backend.Value{"a": v("1"), "b": v("2")}}
	for name, c := range map[string]struct {
		reason string
		other  backend.Secret
		want   bool
	}{
		"same":          {"equal bytes in the same places", backend.Secret{Payload: v("p"), Fields: map[string]backend.Value{"b": v("2"), "a": v("1")}}, true},
		"metadata":      {"what is not value does not count", backend.Secret{Payload: v("p"), Fields: base.Fields, Version: "2", Expires: time.Unix(1, 0), Labels: map[string]string{"a": "b"}}, true},
		"payload":       {"the payload counts", backend.Secret{Payload: v("q"), Fields: base.Fields}, false},
		"no payload":    {"absent is not a value", backend.Secret{Fields: base.Fields}, false},
		"field":         {"fields count", backend.Secret{Payload: v("p"), Fields: map[string]backend.Value{"a": v("1"), "b": v("3")}}, false},
		"fewer fields":  {"a field less is a change", backend.Secret{Payload: v("p"), Fields: map[string]backend.Value{"a": v("1")}}, false},
		"other names":   {"names count", backend.Secret{Payload: v("p"), Fields: map[string]backend.Value{"a": v("1"), "c": v("2")}}, false},
		"absent, empty": {"an empty field is not an absent one", backend.Secret{Payload: v("p"), Fields: map[string]backend.Value{"a": v("1"), "b": {}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if base.Equal(c.other) != c.want || c.other.Equal(base) != c.want {
				t.Errorf("%s: Equal is not %t both ways", c.reason, c.want)
			}
		})
	}
	if diff := cmp.Diff([]string{"a", "b"}, base.FieldNames()); diff != "" {
		t.Error(diff)
	}
}
