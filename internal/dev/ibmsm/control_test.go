// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
)

func metadataOf(t *testing.T, c *sm.SecretsManagerV2, id string) *sm.ArbitrarySecretMetadata {
	t.Helper()
	m, _, err := c.GetSecretMetadata(&sm.GetSecretMetadataOptions{ID: &id})
	if err != nil {
		t.Fatal(err)
	}
	return m.(*sm.ArbitrarySecretMetadata)
}

func TestTouch(t *testing.T) {
	c := newClock() // stands still
	s, hs := start(t, Options{Now: c.Now})
	api := client(t, hs, readerKey)
	id := put(t, s, "touched", "v")
	before := metadataOf(t, api, id)
	if err := s.Touch(id); err != nil {
		t.Fatal(err)
	}
	after := metadataOf(t, api, id)
	if !time.Time(*after.UpdatedAt).After(time.Time(*before.UpdatedAt)) || *after.VersionsTotal != 1 {
		t.Error("updated_at moves even while the clock stands, and there is no version")
	}
	if s.Touch("missing") == nil {
		t.Error("a missing secret was touched")
	}
}

func TestExpireAndDeactivate(t *testing.T) {
	s, hs := start(t, Options{})
	api := client(t, hs, secretsKey)
	id := put(t, s, "ends", "v")
	if err := s.Deactivate(id); err != nil {
		t.Fatal(err)
	}
	if m := metadataOf(t, api, id); *m.State != 3 || getPayload(t, api, id) != "v" {
		t.Error("a deactivated secret keeps its data")
	}
	if s.Deactivate(id) == nil {
		t.Error("it was deactivated twice")
	}
	if _, err := s.Rotate(id, map[string]any{"payload": "w"}); err != nil || *metadataOf(t, api, id).State != 1 {
		t.Errorf("the next version makes it active: %v", err)
	}
	if err := s.Lock(id); err != nil {
		t.Fatal(err)
	}
	if err := s.Expire(id); err != nil {
		t.Fatal(err)
	}
	got, _, err := api.GetSecret(&sm.GetSecretOptions{ID: &id})
	if err != nil || *got.(*sm.ArbitrarySecret).State != 5 || got.(*sm.ArbitrarySecret).Payload != nil {
		t.Errorf("an expired secret is destroyed and has no data: %v", err)
	}
}

// TestLockKeepsFromExpiring is IBM's rule for all types but certificates.
func TestLockKeepsFromExpiring(t *testing.T) {
	c := newClock()
	s, hs := start(t, Options{Now: c.Now, TokenTTL: day})
	api := client(t, hs, secretsKey)
	id, err := s.Put(Seed{Name: "locked", Fields: map[string]any{"payload": "v"}, Expires: c.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Lock(id); err != nil {
		t.Fatal(err)
	}
	c.advance(2 * time.Hour)
	if getPayload(t, api, id) != "v" || *metadataOf(t, api, id).LocksTotal != 1 {
		t.Error("a locked secret lives past its expiry")
	}
	if err := s.Unlock(id); err != nil {
		t.Fatal(err)
	}
	if *metadataOf(t, api, id).State != 5 {
		t.Error("and ends when the last lock is gone")
	}
}

func TestRename(t *testing.T) {
	s, hs := start(t, Options{})
	api := client(t, hs, readerKey)
	id, other := put(t, s, "old-name", "v"), put(t, s, "taken", "v")
	if err := s.Rename(id, "new-name"); err != nil {
		t.Fatal(err)
	}
	if got, ok := s.Lookup("default", "arbitrary", "new-name"); !ok || got != id || *metadataOf(t, api, id).Name != "new-name" {
		t.Error("the secret is not known by its new name")
	}
	for _, name := range []string{"taken", "-bad"} {
		if s.Rename(id, name) == nil {
			t.Errorf("renamed to %s", name)
		}
	}
	if got, _ := s.Lookup("default", "arbitrary", "taken"); got != other {
		t.Error("the other secret lost its name")
	}
}

func TestDenyList(t *testing.T) {
	s, hs := start(t, Options{})
	api := client(t, hs, secretsKey)
	id := put(t, s, "readable", "v")
	list := func() int {
		_, r, err := api.ListSecrets(&sm.ListSecretsOptions{})
		return code(t, r, err)
	}
	if got := list(); got != 200 {
		t.Fatalf("before: %d", got)
	}
	s.DenyList(secretsKey, true)
	if got := list(); got != 403 || getPayload(t, api, id) != "v" {
		t.Errorf("lists are forbidden and reads are not: %d", got)
	}
	s.DenyList(secretsKey, false)
	if got := list(); got != 200 {
		t.Errorf("after: %d", got)
	}
}

func TestGroupRoles(t *testing.T) {
	s, hs := start(t, Options{})
	in := func(group string) string {
		id, err := s.Put(Seed{Name: "of-" + group, Group: group, Fields: map[string]any{"payload": "v"}})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	mine, theirs := in("mine"), in("theirs")
	s.SetGroupRole(nobodyKey, "mine", SecretsReader)
	api := client(t, hs, nobodyKey)
	for id, want := range map[string]int{mine: 200, theirs: 403} {
		_, r, err := api.GetSecret(&sm.GetSecretOptions{ID: &id})
		if got := code(t, r, err); got != want {
			t.Errorf("a read got %d, want %d", got, want)
		}
	}
	list, _, err := api.ListSecrets(&sm.ListSecretsOptions{})
	if err != nil || len(list.Secrets) != 1 || *list.TotalCount != 1 || *list.Secrets[0].(*sm.ArbitrarySecretMetadata).ID != mine {
		t.Errorf("the list shows the group's secrets only: %v", err)
	}
	r, err := api.DeleteSecret(&sm.DeleteSecretOptions{ID: &mine})
	if got := code(t, r, err); got != 403 {
		t.Errorf("the role in the group is not enough for %d", got)
	}
}

func TestPutMany(t *testing.T) {
	s, hs := start(t, Options{})
	if err := s.PutMany(2500, "foreign"); err != nil {
		t.Fatal(err)
	}
	own := put(t, s, "own", "v")
	api := client(t, hs, secretsKey)
	pager, err := api.NewSecretsPager(&sm.ListSecretsOptions{Limit: core.Int64Ptr(1000)})
	if err != nil {
		t.Fatal(err)
	}
	all, err := pager.GetAll()
	if err != nil || len(all) != 2501 || *all[2500].(*sm.ArbitrarySecretMetadata).ID != own {
		t.Errorf("listed %d: %v", len(all), err)
	}
	id, ok := s.Lookup("default", "arbitrary", "foreign-002499")
	if !ok || getPayload(t, api, id) != "foreign-002499" {
		t.Error("the last one is a secret like any other")
	}
	if err := s.Delete(id); err != nil || len(s.store.sorted) != 2500 {
		t.Errorf("deleting one: %v", err)
	}
	if s.PutMany(1, "foreign") == nil || s.PutMany(1, "-x") == nil {
		t.Error("a taken name or a bad one was accepted")
	}
	if len(s.store.secrets) != len(s.store.sorted) || len(s.store.names) != len(s.store.sorted) {
		t.Error("a refused PutMany left something behind")
	}
}

// BenchmarkList lists one page of 21,000 secrets.
func BenchmarkList(b *testing.B) {
	s := New(Options{Keys: allKeys})
	if err := s.PutMany(21000, "foreign"); err != nil {
		b.Fatal(err)
	}
	for name, query := range map[string]string{
		"Page": "limit=1000&offset=10000", "Search": "search=foreign-020999", "Types": "secret_types=kv", "Sorted": "limit=1000&sort=-name",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if w := call(b, s, "GET", "/api/v2/secrets?"+query); w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

func BenchmarkPutMany(b *testing.B) {
	for i := range b.N {
		if err := New(Options{}).PutMany(20000, fmt.Sprintf("load-%d", i)); err != nil {
			b.Fatal(err)
		}
	}
}
