// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/internal/dev/vault"
)

const (
	readCreds   = `path "database/creds/*" { capabilities = ["read"] }`
	keepLeases  = `path "sys/leases/renew" { capabilities = ["update"] }` + "\n" + `path "sys/leases/revoke" { capabilities = ["update"] }`
	databaseOf  = "path: database\nversion: v1"
	renewal     = "update sys/leases/renew"
	issuance    = "read database/creds/app"
	credentials = `data:
  - secretKey: username
    remoteRef:
      key: creds/app
      property: username
  - secretKey: password
    remoteRef:
      key: creds/app
      property: password`
)

// database brings a role whose credentials last so long, and at the longest.
func (w *world) database(ttl, longest string) {
	w.Helper()
	must(w.T, w.vault.Mount(w.Context(), "database", "database", nil))
	w.write("database/config/orders", vault.Object{
		"plugin_name": "memory-database-plugin", "connection_url": "memory://orders", "allowed_roles": "app",
	})
	w.write("database/roles/app", vault.Object{
		"db_name": "orders", "creation_statements": "CREATE", "default_ttl": ttl, "max_ttl": longest,
	})
}

// lending is a world with a database, whose store is called database. A store
// pulse and its object of the same name are for telling that time passed.
func (w *world) lending(ttl, longest string) {
	w.Helper()
	w.database(ttl, longest)
	w.kubernetes()
	w.policy(readCreds, keepLeases, readSecret)
	w.put("pulse")
	w.store("database", databaseOf, asApp)
	w.store("pulse", secondEngine, asApp)
	w.wants("pulse", "pulse", "1s", password)
}

// beats waits until the pulse was read n more times.
func (w *world) beats(n int) {
	w.Helper()
	count := func() int { return w.count("read secret/data/app") }
	from := count()
	w.eventually(func() error {
		if got := count() - from; got < n {
			return fmt.Errorf("%d of %d polls", got, n)
		}
		return nil
	})
}

// count is how often somebody asked for something.
func (w *world) count(what string) int {
	w.Helper()
	return vault.Count(w.requests(), "")[what]
}

func (w *world) users() []string {
	w.Helper()
	out, err := w.vault.Users(w.Context(), "orders")
	must(w.T, err)
	slices.Sort(out)
	return out
}

// left waits until the database has these users and no others.
func (w *world) left(want ...string) {
	w.Helper()
	slices.Sort(want)
	w.eventually(func() error {
		if diff := cmp.Diff(want, append([]string(nil), w.users()...)); diff != "" {
			return fmt.Errorf("users of the database, -want +got:\n%s", diff)
		}
		return nil
	})
}

// issued waits for a Secret with a credential that works, and returns its user.
// other is the user that it must not be.
func (w *world) issued(name, other string) (user string, s *corev1.Secret) {
	w.Helper()
	w.eventually(func() error {
		var err error
		if s, err = w.look(name); err != nil {
			return err
		}
		if user = string(s.Data["username"]); user == "" || user == other || len(s.Data) != 2 {
			return fmt.Errorf("Secret %s has the user %q and %d keys", name, user, len(s.Data))
		}
		return nil
	})
	in, err := w.vault.Admits(w.Context(), "orders", user, string(s.Data["password"]))
	if must(w.T, err); !in {
		w.Errorf("the user name and the password of Secret %s are not of one credential", name)
	}
	return user, s
}

func (w *world) object(kind, name string) *unstructured.Unstructured {
	w.Helper()
	out := object(kind, w.ns)
	out.SetAPIVersion(w.group)
	must(w.T, shared.user.Get(w.Context(), types.NamespacedName{Namespace: w.ns, Name: name}, out))
	return out
}

func (w *world) remove(kind, name string) {
	w.Helper()
	must(w.T, shared.user.Delete(w.Context(), w.object(kind, name)))
}

// held is what an object's status says of the lease that its Secret has.
func (w *world) held(kind, name string) string {
	w.Helper()
	versions, _, err := unstructured.NestedStringMap(w.object(kind, name).Object, "status", "versions")
	must(w.T, err)
	for _, v := range versions {
		if _, id, ok := strings.Cut(v, " database/creds/app/"); ok {
			return "database/creds/app/" + id
		}
	}
	return ""
}

// TestLeases: a credential belongs to one object, and ends with it.
func TestLeases(t *testing.T) {
	w := newWorld(t)
	w.lending("1h", "24h")
	w.wants("a", "database", "1s", credentials)
	w.wants("b", "database", "1s", credentials)
	a, sa := w.issued("a", "")
	b, sb := w.issued("b", "")
	if a == b {
		t.Error("two objects have one credential")
	}
	w.left(a, b)
	for _, name := range []string{"a", "b"} {
		w.says("ExternalSecret", name, synced)
	}
	w.beats(5)
	w.left(a, b)
	w.same(sa)
	w.same(sb)
	if n := w.count(issuance); n != 2 {
		t.Errorf("%d credentials were made for two objects", n)
	}

	w.remove("ExternalSecret", "a")
	w.left(b)
	w.same(sb)
	for _, s := range []*corev1.Secret{sa, sb} {
		if strings.Contains(shared.eso.logs.String(), string(s.Data["password"])) {
			t.Errorf("the password in Secret %s is in the logs", s.Name)
		}
	}
}

// TestLeaseIsRenewed: as long as it can be, and replaced before its end.
func TestLeaseIsRenewed(t *testing.T) {
	t.Run("renewed", func(t *testing.T) {
		w := newWorld(t)
		w.lending("20s", "24h")
		w.wants("a", "database", rarely, credentials)
		user, s := w.issued("a", "")
		w.eventually(func() error {
			if n := w.count(renewal); n < 3 {
				return fmt.Errorf("it was renewed %d times", n)
			}
			return nil
		})
		w.left(user)
		w.same(s)
		if n := w.count(issuance); n != 1 {
			t.Errorf("%d credentials were made for one object", n)
		}
	})
	t.Run("replaced", func(t *testing.T) {
		w := newWorld(t)
		w.lending("10s", "30s")
		w.wants("a", "database", rarely, credentials)
		user, _ := w.issued("a", "")
		next, _ := w.issued("a", user)
		if !slices.Contains(w.users(), next) {
			t.Error("the next one does not exist")
		}
		w.says("ExternalSecret", "a", synced)
	})
}

// TestLeaseAfterRestart: the next process takes over what is there.
func TestLeaseAfterRestart(t *testing.T) {
	w := newWorld(t)
	w.class = w.ns // the program that all share leaves these stores alone
	start := func() *program {
		p, err := shared.run(nil, "--dialects", "eso", "--namespaces", w.ns, "--controller-class", w.class)
		must(t, err)
		return p
	}
	p := start()
	t.Cleanup(func() { must(t, p.stop()) })
	w.lending("1h", "24h")
	w.wants("a", "database", "1s", credentials)
	user, s := w.issued("a", "")
	w.says("ExternalSecret", "a", synced)
	lease := w.held("ExternalSecret", "a")
	w.write("sys/leases/lookup", vault.Object{"lease_id": lease})
	must(t, p.stop())
	w.left(user)

	p = start()
	w.beats(5)
	w.left(user)
	w.same(s)
	if n := w.count(issuance); n != 1 {
		t.Errorf("%d credentials were made for one object", n)
	}
	if now := w.held("ExternalSecret", "a"); now != lease || lease == "" {
		t.Errorf("the status says lease %q, and said %q", now, lease)
	}
	w.remove("ExternalSecret", "a")
	w.left()
}

// TestLeaseThatCannotBeWritten: what is in no Secret is of no use, and must not
// be left in the database.
func TestLeaseThatCannotBeWritten(t *testing.T) {
	cases := map[string]struct {
		reason string
		secret string // that is there already
		target string
		says   string
	}{
		"owned": {
			reason: "the Secret is somebody else's",
			secret: `apiVersion: v1
kind: Secret
metadata:
  name: app
  ownerReferences:
    - {apiVersion: v1, kind: ConfigMap, name: owner, uid: UID, controller: true}
stringData: {k: v}
`,
			says: failed,
		},
		"immutable": {
			reason: "the Secret cannot be changed",
			secret: "apiVersion: v1\nkind: Secret\nmetadata: {name: app}\nimmutable: true\nstringData: {k: v}\n",
			target: "target: {creationPolicy: Merge}\n",
			says:   "immutable",
		},
		"absent": {
			reason: "there is nothing to merge with",
			target: "target: {creationPolicy: Merge}\n",
			says:   "SecretMissing",
		},
		"none": {
			reason: "there is not to be a Secret",
			target: "target: {creationPolicy: None}\n",
			says:   "True",
		},
		"template": {
			reason: "what is made of the credential is no text of a Secret",
			target: "target: {template: {data: {k: '{{ .username | nothing }}'}}}\n",
			says:   failed,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			w := newWorld(t)
			w.lending("1h", "24h")
			if c.secret != "" {
				w.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owner}\n")
				owner, err := shared.sets.CoreV1().ConfigMaps(w.ns).Get(t.Context(), "owner", metav1.GetOptions{})
				must(t, err)
				w.apply(strings.ReplaceAll(c.secret, "UID", string(owner.UID)))
			}
			w.wants("app", "database", "1s", c.target+credentials)
			w.says("ExternalSecret", "app", c.says)
			w.left()
			w.beats(5)
			w.left()
			if s, err := w.look("app"); err == nil && string(s.Data["k"]) != "v" {
				t.Error("the Secret was changed")
			}
			t.Logf("%d credentials were made, and ended", w.count(issuance))
		})
	}
}

// TestLeaseInSecretThatStays: where another credential cannot replace the one in
// the Secret, it is the other one that ends.
func TestLeaseInSecretThatStays(t *testing.T) {
	cases := map[string]struct {
		reason string
		target string
		spoil  func(*corev1.Secret)
		says   string
	}{
		"frozen": {
			reason: "the manifest says that the Secret is not to change once it is there",
			target: "target: {immutable: true}\n",
			says:   synced,
		},
		"immutable": {
			reason: "somebody made the Secret immutable",
			spoil:  func(s *corev1.Secret) { s.Immutable = new(true) },
			says:   failed,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			w := newWorld(t)
			w.lending("1h", "24h")
			w.wants("app", "database", rarely, c.target+credentials)
			user, s := w.issued("app", "")
			w.says("ExternalSecret", "app", synced)
			if c.spoil != nil {
				c.spoil(s)
				_, err := shared.sets.CoreV1().Secrets(w.ns).Update(t.Context(), s, metav1.UpdateOptions{})
				must(t, err)
			}
			es := w.object("ExternalSecret", "app")
			es.SetAnnotations(map[string]string{"force-sync": "1"})
			must(t, shared.user.Update(t.Context(), es))
			w.eventually(func() error {
				if w.count(issuance) < 2 {
					return errors.New("no other credential was asked for")
				}
				return nil
			})
			w.says("ExternalSecret", "app", c.says)
			w.left(user)
			if got, _ := w.issued("app", ""); got != user {
				t.Error("the Secret was changed")
			}
		})
	}
}

// TestLeaseInTrouble: as long as the Secret is there, what is in it is to work.
func TestLeaseInTrouble(t *testing.T) {
	cases := map[string]struct {
		reason string
		do     func(*world)
	}{
		"store": {
			reason: "somebody deletes the store",
			do:     func(w *world) { w.remove("SecretStore", "database") },
		},
		"manifest": {
			reason: "somebody makes a mistake in the manifest",
			do: func(w *world) {
				w.wants("app", "database", rarely, strings.ReplaceAll(credentials, "creds/app", "../app"))
			},
		},
		"property": {
			reason: "a property is not there",
			do: func(w *world) {
				w.wants("app", "database", rarely, strings.ReplaceAll(credentials, "property: password", "property: none"))
			},
		},
		"policy": {
			reason: "the policies do not have it any more",
			do: func(w *world) {
				w.policy(readSecret)
				es := w.object("ExternalSecret", "app")
				es.SetAnnotations(map[string]string{"force-sync": "1"})
				must(w.T, shared.user.Update(w.Context(), es))
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			w := newWorld(t)
			w.lending("1h", "24h")
			w.wants("app", "database", rarely, credentials)
			user, s := w.issued("app", "")
			w.says("ExternalSecret", "app", synced)
			c.do(w)
			w.says("ExternalSecret", "app", failed)
			w.beats(5)
			w.left(user)
			w.same(s)
		})
	}
}

// TestLeaseOfMissingDatabase: a role that makes nothing leaves no user, and the
// first that works is enough.
func TestLeaseOfMissingDatabase(t *testing.T) {
	w := newWorld(t)
	w.lending("1h", "24h")
	must(t, w.vault.Remove(t.Context(), "database/roles/app"))
	w.wants("a", "database", "1s", credentials)
	w.says("ExternalSecret", "a", failed)
	w.write("database/roles/app", vault.Object{"db_name": "orders", "creation_statements": "CREATE", "default_ttl": "1h"})
	user, _ := w.issued("a", "")
	w.left(user)
}

// TestLeaseOutlivesItsObject: whose Secret stays, its credential stays.
func TestLeaseOutlivesItsObject(t *testing.T) {
	cases := map[string]struct {
		reason string
		target string
		how    metav1.DeletionPropagation
	}{
		"cascade": {reason: "kubectl delete --cascade=orphan", how: metav1.DeletePropagationOrphan},
		"policy":  {reason: "the manifest says so", target: "target: {creationPolicy: Orphan}\n", how: metav1.DeletePropagationBackground},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			w := newWorld(t)
			w.lending("1h", "24h")
			w.wants("app", "database", "1s", c.target+credentials)
			w.wants("other", "database", "1s", credentials)
			user, s := w.issued("app", "")
			other, _ := w.issued("other", "")
			w.says("ExternalSecret", "app", synced)
			must(t, shared.user.Delete(t.Context(), w.object("ExternalSecret", "app"), client.PropagationPolicy(c.how)))
			w.remove("ExternalSecret", "other")
			w.left(user) // and other is gone, so that there was time
			if now, err := w.look("app"); err != nil || now.UID != s.UID || other == user {
				t.Errorf("the Secret did not stay: %v", err)
			}
		})
	}
}
