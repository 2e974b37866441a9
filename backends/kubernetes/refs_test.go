// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestParseRef(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		key    backend.Key
		want   backend.Ref
		code   backend.Code
	}{
		"name":       {"of a Secret", backend.Key{Key: "db.prod-1"}, backend.Ref{Path: "db.prod-1"}, ""},
		"metadata":   {"is another part", backend.Key{Key: "db", Part: backend.Metadata}, backend.Ref{Path: "db", Part: backend.Metadata}, ""},
		"version":    {"means nothing, so that two entries are one read", backend.Key{Key: "db", Version: "7"}, backend.Ref{Path: "db"}, ""},
		"empty":      {"would list all", backend.Key{}, backend.Ref{}, backend.InvalidRef},
		"namespace":  {"is not part of a name", backend.Key{Key: "other/db"}, backend.Ref{}, backend.InvalidRef},
		"upwards":    {"leaves the namespace", backend.Key{Key: "../../kube-system/secrets/db"}, backend.Ref{}, backend.InvalidRef},
		"dots":       {"leave the namespace", backend.Key{Key: ".."}, backend.Ref{}, backend.InvalidRef},
		"escaped":    {"may be unescaped on the way", backend.Key{Key: "..%2fdb"}, backend.Ref{}, backend.InvalidRef},
		"query":      {"asks for something else", backend.Key{Key: "db?watch=1"}, backend.Ref{}, backend.InvalidRef},
		"upper case": {"is no name of Kubernetes", backend.Key{Key: "DB"}, backend.Ref{}, backend.InvalidRef},
		"long":       {"is no name of Kubernetes", backend.Key{Key: strings.Repeat("a", 254)}, backend.Ref{}, backend.InvalidRef},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Driver().Ref(backend.ESO, c.key)
			if backend.CodeOf(err) != c.code || err == nil && got != c.want {
				t.Errorf("%s: %+v with code %q, want %+v with %q", c.reason, got, backend.CodeOf(err), c.want, c.code)
			}
		})
	}
	if got := backend.CodeOf(sound(backend.Ref{Path: "db", Version: "7"})); got != backend.InvalidRef {
		t.Errorf("a version that nobody keeps has code %q", got)
	}
}
