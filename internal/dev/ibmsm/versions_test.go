// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"strconv"
	"strings"
	"testing"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
)

func rotateTo(t *testing.T, c *sm.SecretsManagerV2, id, payload string) int {
	t.Helper()
	_, r, err := c.CreateSecretVersion(&sm.CreateSecretVersionOptions{
		SecretID: &id, SecretVersionPrototype: &sm.ArbitrarySecretVersionPrototype{Payload: &payload},
	})
	return code(t, r, err)
}

func versionPayload(t *testing.T, c *sm.SecretsManagerV2, id, version string) *string {
	t.Helper()
	v, _, err := c.GetSecretVersion(&sm.GetSecretVersionOptions{SecretID: &id, ID: &version})
	if err != nil {
		t.Fatal(err)
	}
	return v.(*sm.ArbitrarySecretVersion).Payload
}

func TestRotation(t *testing.T) {
	s, hs := start(t, Options{})
	c := client(t, hs, writerKey)
	id := put(t, s, "turning", "v1")
	for _, p := range []string{"v2", "v3"} {
		if got := rotateTo(t, c, id, p); got != 201 {
			t.Fatalf("rotate: %d", got)
		}
	}
	if got := getPayload(t, c, id); got != "v3" {
		t.Error("the secret does not show the newest version")
	}
	list, _, err := c.ListSecretVersions(&sm.ListSecretVersionsOptions{SecretID: &id})
	if err != nil {
		t.Fatal(err)
	}
	aliases, available := []string{"current", "previous", ""}, []bool{true, true, false}
	if len(list.Versions) != 3 {
		t.Fatalf("got %d versions", len(list.Versions))
	}
	for i, v := range list.Versions {
		m := v.(*sm.ArbitrarySecretVersionMetadata)
		alias := ""
		if m.Alias != nil {
			alias = *m.Alias
		}
		if alias != aliases[i] || *m.PayloadAvailable != available[i] {
			t.Errorf("version %d: alias %q, payload available %v", i, alias, *m.PayloadAvailable)
		}
	}
	oldest := *list.Versions[2].(*sm.ArbitrarySecretVersionMetadata).ID
	if p := versionPayload(t, c, id, "current"); p == nil || *p != "v3" {
		t.Error("current is not the newest")
	}
	if p := versionPayload(t, c, id, "previous"); p == nil || *p != "v2" {
		t.Error("previous is not the one before")
	}
	if p := versionPayload(t, c, id, oldest); p != nil {
		t.Error("the third last version still has data")
	}
}

func TestRestorePrevious(t *testing.T) {
	s, hs := start(t, Options{})
	c := client(t, hs, writerKey)
	id := put(t, s, "restored", "v1")
	restore := func() int {
		_, r, err := c.CreateSecretVersion(&sm.CreateSecretVersionOptions{
			SecretID: &id, SecretVersionPrototype: &sm.SecretVersionPrototype{RestoreFromVersion: core.StringPtr("previous")},
		})
		return code(t, r, err)
	}
	if got := restore(); got != 400 {
		t.Errorf("without a previous version: %d", got)
	}
	rotateTo(t, c, id, "v2")
	if got := restore(); got != 201 {
		t.Fatalf("restore: %d", got)
	}
	if getPayload(t, c, id) != "v1" || *versionPayload(t, c, id, "previous") != "v2" {
		t.Error("the previous value is not current again")
	}
}

func TestGeneratedPassword(t *testing.T) {
	_, hs := start(t, Options{})
	c := client(t, hs, writerKey)
	created, _, err := c.CreateSecret(&sm.CreateSecretOptions{SecretPrototype: &sm.UsernamePasswordSecretPrototype{
		Name: core.StringPtr("login"), SecretType: core.StringPtr("username_password"), Username: core.StringPtr("someone"),
		PasswordGenerationPolicy: &sm.PasswordGenerationPolicy{Length: core.Int64Ptr(20), IncludeSymbols: core.BoolPtr(false)},
		Rotation:                 &sm.CommonRotationPolicy{AutoRotate: core.BoolPtr(true), Interval: core.Int64Ptr(2), Unit: core.StringPtr("day")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	first := created.(*sm.UsernamePasswordSecret)
	if len(*first.Password) != 20 || strings.ContainsAny(*first.Password, symbols) || !strings.ContainsAny(*first.Password, digits) {
		t.Error("the password is not of the policy")
	}
	if first.NextRotationDate == nil {
		t.Error("there is no next rotation date")
	}
	_, _, err = c.CreateSecretVersion(&sm.CreateSecretVersionOptions{
		SecretID: first.ID, SecretVersionPrototype: &sm.UsernamePasswordSecretVersionPrototype{},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := c.GetSecret(&sm.GetSecretOptions{ID: first.ID})
	if err != nil {
		t.Fatal(err)
	}
	second := got.(*sm.UsernamePasswordSecret)
	if *second.Username != "someone" || *second.Password == *first.Password || len(*second.Password) != 20 {
		t.Error("rotation keeps the user name and makes a new password of the same policy")
	}
}

func TestVersionsKept(t *testing.T) {
	s := New(Options{Keys: allKeys})
	id := put(t, s, "busy", "v0")
	for i := range keptVersions + 5 {
		if _, err := s.Rotate(id, map[string]any{"payload": "v" + strconv.Itoa(i+1)}); err != nil {
			t.Fatal(err)
		}
	}
	sec := s.store.secrets[id]
	if len(sec.versions) != keptVersions || sec.total != keptVersions+6 {
		t.Errorf("kept %d versions of %d", len(sec.versions), sec.total)
	}
	with := 0
	for _, v := range sec.versions {
		if v.data != nil {
			with++
		}
	}
	if with != 2 {
		t.Errorf("%d versions have data", with)
	}
}

func TestLocks(t *testing.T) {
	s, hs := start(t, Options{})
	c := client(t, hs, managerKey)
	id := put(t, s, "locked", "v1")
	lockIt := func(mode *string) {
		t.Helper()
		_, _, err := c.CreateSecretLocksBulk(&sm.CreateSecretLocksBulkOptions{
			ID: &id, Locks: []sm.SecretLockPrototype{{Name: core.StringPtr("pod-1")}}, Mode: mode,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	lockIt(nil)
	r, err := c.DeleteSecret(&sm.DeleteSecretOptions{ID: &id})
	if got := code(t, r, err); got != 412 {
		t.Errorf("deleting a locked secret: %d", got)
	}
	if got := rotateTo(t, c, id, "v2"); got != 201 {
		t.Errorf("a locked current version moves to previous: %d", got)
	}
	if got := rotateTo(t, c, id, "v3"); got != 412 {
		t.Errorf("a locked previous version would be lost: %d", got)
	}
	lockIt(core.StringPtr("remove_previous_and_delete"))
	if p := versionPayload(t, c, id, "previous"); p != nil {
		t.Error("the mode deletes the previous version's data")
	}
	if got := rotateTo(t, c, id, "v3"); got != 201 {
		t.Errorf("the mode removes the previous version's lock: %d", got)
	}
	m, _, err := c.GetSecretMetadata(&sm.GetSecretMetadataOptions{ID: &id})
	if err != nil || *m.(*sm.ArbitrarySecretMetadata).LocksTotal != 1 {
		t.Errorf("locks_total: %v", err)
	}
	if _, _, err := c.DeleteSecretLocksBulk(&sm.DeleteSecretLocksBulkOptions{ID: &id}); err != nil {
		t.Fatal(err)
	}
	r, err = c.DeleteSecret(&sm.DeleteSecretOptions{ID: &id})
	if got := code(t, r, err); got != 204 {
		t.Errorf("deleting an unlocked secret: %d", got)
	}
}
