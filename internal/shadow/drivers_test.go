// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/shadow"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// TestDrivers: what reading changes is not read, its neighbours are, and nothing
// can be written or leased.
func TestDrivers(t *testing.T) {
	m := memory.New()
	for _, path := range []string{"plain", "mutates", "lends", "other"} {
		m.Set(path, backend.Secret{Payload: backend.NewValue([]byte("v"))})
	}
	m.SetReadMutates("mutates", true)
	m.SetLends("lends", true)
	before := spec.Drivers{"memory": m.Driver()}
	b, _, err := shadow.Drivers(before)["memory"].Open(t.Context(), backend.Config{Raw: []byte(`{}`)}, nil, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	if b.Writer != nil || b.Lessor != nil {
		t.Error("it writes, or looks after leases")
	}
	refs := []backend.Ref{{Path: "mutates"}, {Path: "plain"}, {Path: "lends"}, {Path: "other"}, {Path: "missing"}}
	results, err := b.Reader.Read(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Ref != refs[i] {
			t.Errorf("answer %d belongs to %s, want %s", i, r.Ref, refs[i])
		}
		want := map[string]backend.Code{"mutates": backend.PermissionDenied, "lends": backend.PermissionDenied, "missing": backend.NotFound}[r.Ref.Path]
		if code := backend.CodeOf(r.Err); code != want || errors.Is(r.Err, backend.ErrUntouched) != (want == backend.PermissionDenied) {
			t.Errorf("%s: %v", r.Ref.Path, r.Err)
		}
	}
	if n := m.Reads("mutates") + m.Reads("lends"); n > 0 || len(m.Leases()) > 0 {
		t.Errorf("%d reads of what reading changes, and %d leases", n, len(m.Leases()))
	}
	if m.Reads("plain") != 1 || m.Reads("other") != 1 {
		t.Error("their neighbours were not read once")
	}
	if direct, _, err := before["memory"].Open(t.Context(), backend.Config{Raw: []byte(`{}`)}, nil, http.DefaultClient); err != nil || direct.Writer == nil {
		t.Error("the drivers that were given are other ones now")
	}
}
