// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"testing"

	"github.com/lockstep-secrets/lockstep/internal/dev/vault"
)

// fill puts in what the fields are tried on.
func (w *world) fill() {
	w.Helper()
	w.write("secret/data/app/config", vault.Object{"data": vault.Object{"username": "ann", "password": canary + "-old"}})
	w.write("secret/data/app/config", vault.Object{"data": vault.Object{
		"username": "ann", "password": canary + "-new", "nested": vault.Object{"deep": vault.Object{"leaf": "x"}}, "a.dot": "y", "hosts": []string{"h1", "h2"},
	}})
	w.write("secret/metadata/app/config", vault.Object{"custom_metadata": map[string]string{"team": "payments", "env": "prod"}})
	w.write("secret/data/app/db", vault.Object{"data": vault.Object{"host": "db.internal", "port": 5432}})
	w.write("secret/metadata/app/db", vault.Object{"custom_metadata": map[string]string{"team": "payments"}})
	w.write("secret/data/other", vault.Object{"data": vault.Object{"k": "v"}})
	w.write("kv1/app/db", vault.Object{"host": "db1.internal", "nested": vault.Object{"leaf": "z"}})
	w.write("kv1/other", vault.Object{"k": "v1"})
}

// fieldCase is what a manifest asks for, and what the Secret has, or else the
// condition.
type fieldCase struct {
	reason string
	spec   string
	want   map[string]string
	says   string
}

// fieldCases are read as a store of version 2 on secret/.
var fieldCases = map[string]fieldCase{
	"property": {
		reason: "one field of a secret",
		spec:   "data: [{secretKey: k, remoteRef: {key: app/config, property: password}}]",
		want:   map[string]string{"k": canary + "-new"},
	},
	"whole": {
		reason: "without a property, all of it in JSON",
		spec:   "data: [{secretKey: k, remoteRef: {key: app/db}}]",
		want:   map[string]string{"k": `{"host":"db.internal","port":5432}`},
	},
	"with-mount": {
		reason: "the mount may be in the key, and what the API has behind it",
		spec: "data: [{secretKey: a, remoteRef: {key: secret/app/db, property: host}}, " +
			"{secretKey: b, remoteRef: {key: secret/data/app/db, property: host}}]",
		want: map[string]string{"a": "db.internal", "b": "db.internal"},
	},
	"nested": {
		reason: "a property is a path, an index, or a name with a dot in it",
		spec: "data: [{secretKey: a, remoteRef: {key: app/config, property: nested.deep.leaf}}, " +
			"{secretKey: b, remoteRef: {key: app/config, property: hosts.1}}, " +
			"{secretKey: c, remoteRef: {key: app/config, property: a.dot}}, " +
			"{secretKey: d, remoteRef: {key: app/config, property: nested.deep}}]",
		want: map[string]string{"a": "x", "b": "h2", "c": "y", "d": `{"leaf":"x"}`},
	},
	"version": {
		reason: "an older version of the secret",
		spec:   "data: [{secretKey: k, remoteRef: {key: app/config, property: password, version: \"1\"}}]",
		want:   map[string]string{"k": canary + "-old"},
	},
	"extract": {
		reason: "every field becomes a key, and numbers are written as they are",
		spec:   "dataFrom: [{extract: {key: app/db}}]",
		want:   map[string]string{"host": "db.internal", "port": "5432"},
	},
	"extract-property": {
		reason: "every field of an object in the secret",
		spec:   "dataFrom: [{extract: {key: app/config, property: nested.deep}}]",
		want:   map[string]string{"leaf": "x"},
	},
	"extract-version": {
		reason: "every field of an older version",
		spec:   "dataFrom: [{extract: {key: app/config, version: \"1\"}}]",
		want:   map[string]string{"username": "ann", "password": canary + "-old"},
	},
	"metadata": {
		reason: "custom metadata in place of the value",
		spec: "data: [{secretKey: all, remoteRef: {key: app/config, metadataPolicy: Fetch}}, " +
			"{secretKey: team, remoteRef: {key: app/config, property: team, metadataPolicy: Fetch}}]",
		want: map[string]string{"all": `{"env":"prod","team":"payments"}`, "team": "payments"},
	},
	"metadata-extract": {
		reason: "every entry of the custom metadata becomes a key",
		spec:   "dataFrom: [{extract: {key: app/config, metadataPolicy: Fetch}}]",
		want:   map[string]string{"env": "prod", "team": "payments"},
	},
	"find-name": {
		reason: "every secret whose path matches, under its path",
		spec:   "dataFrom: [{find: {name: {regexp: \"(db|other)$\"}}}]",
		want:   map[string]string{"app_db": `{"host":"db.internal","port":5432}`, "other": `{"k":"v"}`},
	},
	"find-path": {
		reason: "only what is below a folder",
		spec:   "dataFrom: [{find: {path: app, name: {regexp: \"db|other\"}}}]",
		want:   map[string]string{"app_db": `{"host":"db.internal","port":5432}`},
	},
	"find-tags": {
		reason: "by custom metadata, of which all must match",
		spec:   "dataFrom: [{find: {tags: {team: payments, env: prod}}, rewrite: [{regexp: {source: \"app/(.*)\", target: \"found-$1\"}}]}]",
		want: map[string]string{
			"found-config": `{"a.dot":"y","hosts":["h1","h2"],"nested":{"deep":{"leaf":"x"}},"password":"` + canary + `-new","username":"ann"}`,
		},
	},
	"missing": {
		reason: "a secret that is not there is an error without a policy that accepts it",
		spec:   "data: [{secretKey: k, remoteRef: {key: app/none}}]",
		says:   "secret/data/app/none",
	},
	"missing-property": {
		reason: "so is a field that is not there",
		spec:   "data: [{secretKey: k, remoteRef: {key: app/db, property: none}}]",
		says:   "none",
	},
	"missing-version": {
		reason: "so is a version that is not there",
		spec:   "data: [{secretKey: k, remoteRef: {key: app/db, property: host, version: \"7\"}}]",
		says:   "secret/data/app/db",
	},
}

// firstCases are read as a store of version 1 on kv1/.
var firstCases = map[string]fieldCase{
	"v1-property": {
		reason: "one field of a secret",
		spec:   "data: [{secretKey: a, remoteRef: {key: app/db, property: host}}, {secretKey: b, remoteRef: {key: app/db, property: nested.leaf}}]",
		want:   map[string]string{"a": "db1.internal", "b": "z"},
	},
	"v1-whole": {
		reason: "all of it in JSON",
		spec:   "data: [{secretKey: k, remoteRef: {key: other}}]",
		want:   map[string]string{"k": `{"k":"v1"}`},
	},
	"v1-extract": {
		reason: "every field becomes a key",
		spec:   "dataFrom: [{extract: {key: other}}]",
		want:   map[string]string{"k": "v1"},
	},
	"v1-find": {
		reason: "by path and name",
		spec:   "dataFrom: [{find: {path: app, name: {regexp: \".*\"}}}]",
		want:   map[string]string{"app_db": `{"host":"db1.internal","nested":{"leaf":"z"}}`},
	},
	"v1-version": {
		reason: "there are no versions: the newest in place of one that was asked for would be a lie",
		spec:   "data: [{secretKey: k, remoteRef: {key: other, property: k, version: \"1\"}}]",
		says:   "version",
	},
	"v1-metadata": {
		reason: "there is no metadata",
		spec:   "data: [{secretKey: k, remoteRef: {key: other, metadataPolicy: Fetch}}]",
		says:   "metadata",
	},
	"v1-tags": {
		reason: "there is no metadata",
		spec:   "dataFrom: [{find: {tags: {team: payments}}}]",
		says:   "find by tag",
	},
}

// TestFields asks for everything that a manifest can ask for, and logs in once
// for each store.
func TestFields(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.kubernetes()
	w.policy(readSecret, readMetadata, readFirst)
	all := map[string]map[string]fieldCase{"second": fieldCases, "first": firstCases}
	for store, cases := range all {
		for name, c := range cases {
			w.wants(name, store, rarely, c.spec)
		}
	}
	w.store("second", secondEngine, asApp)
	w.store("first", firstEngine, asApp)
	for store, cases := range all {
		w.says("SecretStore", store, "True", "Valid")
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				v := *w
				v.T = t
				v.is(name, c)
			})
		}
	}
	if n := len(w.logins()); n != len(all) {
		t.Errorf("%d logins for %d stores", n, len(all))
	}
}

func (w *world) is(name string, c fieldCase) {
	w.Helper()
	w.Log(c.reason)
	if c.says == "" {
		w.secret(name, c.want)
		w.says("ExternalSecret", name, synced)
		return
	}
	w.says("ExternalSecret", name, failed, c.says)
	if _, err := w.look(name); err == nil {
		w.Error("there is a Secret")
	}
}

// TestOpenBao has the provider of that name, which takes fewer logins.
func TestOpenBao(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.policy(readSecret, readMetadata)
	token := w.write("auth/token/create", vault.Object{"policies": []string{"app"}})
	w.credential("bao-token", "token", vault.Text(token, "auth", "client_token"))
	w.approle()
	w.storeOf("openBao", "token", secondEngine, `auth:
  tokenSecretRef:
    name: bao-token
    key: token`)
	w.storeOf("openBao", "approle", secondEngine, byRole(w.roleID()))
	for _, store := range []string{"token", "approle"} {
		for _, name := range []string{"property", "whole", "version", "extract", "find-path"} {
			w.wants(name+"-of-"+store, store, rarely, fieldCases[name].spec)
		}
	}
	for _, store := range []string{"token", "approle"} {
		w.says("SecretStore", store, "True", "Valid")
		for _, name := range []string{"property", "whole", "version", "extract", "find-path"} {
			w.is(name+"-of-"+store, fieldCases[name])
		}
	}
}
