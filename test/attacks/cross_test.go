// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestCredentialsOfOthers has stores of the attacker's namespace name
// credentials, service accounts and certificates of the victim's (rows 1 to 3).
// None of them is looked at.
func TestCredentialsOfOthers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason   string
		provider string // %[1]s is the victim's namespace, %[2]s the manager
		field    string // that the message names
	}{
		"webhook-secret": {
			reason:   "it would be sent to whom the attacker names",
			provider: `webhook: {url: "%[2]s/{{ .login.token }}", secrets: [{name: login, secretRef: {name: login, namespace: %[1]s}}]}`,
		},
		"webhook-header": {
			reason:   "it would be sent to whom the attacker names",
			provider: `webhook: {url: "%[2]s/secrets/db", headers: {Authorization: "{{ .login.token }}"}, secrets: [{name: login, secretRef: {name: login, namespace: %[1]s}}]}`,
		},
		"webhook-ca-secret": {
			reason:   "whether it is there, and a certificate, would be told",
			provider: `webhook: {url: "%[2]s/secrets/db", caProvider: {type: Secret, name: login, key: token, namespace: %[1]s}}`,
		},
		"webhook-ca-configmap": {
			reason:   "whether it is there, and a certificate, would be told",
			provider: `webhook: {url: "%[2]s/secrets/db", caProvider: {type: ConfigMap, name: login, key: token, namespace: %[1]s}}`,
		},
		"kubernetes-token": {
			reason:   "the server is the attacker's",
			provider: `kubernetes: {server: {url: "https://127.0.0.1:1"}, auth: {token: {bearerToken: {name: login, key: token, namespace: %[1]s}}}}`,
			field:    "spec.provider.kubernetes.auth.token.bearerToken.namespace",
		},
		"kubernetes-cert": {
			reason:   "the server is the attacker's",
			provider: `kubernetes: {server: {url: "https://127.0.0.1:1"}, auth: {cert: {clientCert: {name: login, key: token, namespace: %[1]s}, clientKey: {name: login, key: token}}}}`,
			field:    "spec.provider.kubernetes.auth.cert.clientCert.namespace",
		},
		"kubernetes-kubeconfig": {
			reason:   "it is a login to a cluster",
			provider: `kubernetes: {authRef: {name: login, key: token, namespace: %[1]s}}`,
			field:    "spec.provider.kubernetes.authRef.namespace",
		},
		"kubernetes-ca": {
			reason:   "whether it is there, and a certificate, would be told",
			provider: `kubernetes: {server: {caProvider: {type: Secret, name: login, key: token, namespace: %[1]s}}, auth: {token: {bearerToken: {name: own, key: token}}}}`,
			field:    "spec.provider.kubernetes.server.caProvider.namespace",
		},
		"kubernetes-ca-configmap": {
			reason:   "whether it is there, and a certificate, would be told",
			provider: `kubernetes: {server: {caProvider: {type: ConfigMap, name: login, key: token, namespace: %[1]s}}, auth: {token: {bearerToken: {name: own, key: token}}}}`,
			field:    "spec.provider.kubernetes.server.caProvider.namespace",
		},
		"kubernetes-service-account": {
			reason:   "a token of it would be made, and sent to whom the attacker names",
			provider: `kubernetes: {server: {url: "https://127.0.0.1:1"}, auth: {serviceAccount: {name: login, namespace: %[1]s}}}`,
			field:    "spec.provider.kubernetes.auth.serviceAccount.namespace",
		},
		"ibm-key": {
			reason:   "the server is the attacker's",
			provider: `ibm: {serviceUrl: "https://127.0.0.1:1", auth: {secretRef: {secretApiKeySecretRef: {name: login, key: token, namespace: %[1]s}}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ours)
			h := newHook(t, map[string]string{"db": "x"})
			w.in(w.vic, fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: login, labels: {external-secrets.io/type: webhook}}
stringData: {token: %[1]q}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: login}
data: {token: %[1]q}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: login}
`, w.canary))
			w.in(w.atk, "apiVersion: v1\nkind: Secret\nmetadata: {name: own}\nstringData: {token: mine}\n")
			w.in(w.atk, "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: s}\nspec: {provider: {"+
				fmt.Sprintf(tc.provider, w.vic, h.URL)+"}}\n---"+externalSecret("app", "s", id, rarely, ""))
			told := []string{w.vic, "credentials of its own namespace only", tc.field}
			w.becomes(ss, w.atk, "s", "False", append(told, "InvalidProviderConfig")...)
			w.failed(w.atk, "app", append(told, "spec.data[0], SecretStore")...)
			w.none(w.atk, "app")
			w.untouched(w.vic)
			if n := h.reads(""); n != 0 {
				t.Errorf("%s: the manager was asked %d times", tc.reason, n)
			}
		})
	}
}

// id is a name that every product could have for a secret.
const id = "e0246cea-d668-aba7-eef2-58ca11ad3707"

// TestOwnCredentials is the other side of TestCredentialsOfOthers: to name one's
// own namespace is allowed.
func TestOwnCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, map[string]string{"db": "x"})
	w.in(w.atk, "apiVersion: v1\nkind: Secret\nmetadata: {name: own, labels: {external-secrets.io/type: webhook}}\nstringData: {token: mine}\n---"+
		h.store(ss, "s", "", `, headers: {Authorization: "Bearer {{ .login.token }}"}, secrets: [{name: login, secretRef: {name: own, namespace: `+w.atk+`}}]`)+
		"---"+externalSecret("app", "s", "db", rarely, ""))
	w.secret(w.atk, "app", map[string]string{"password": "x"})
	if got := h.login(); got != "Bearer mine" {
		t.Errorf("the manager saw %q", got)
	}
}

// TestReferent has a ClusterSecretStore whose credentials are those of whoever
// uses it. Nobody gets what was read with those of another.
func TestReferent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, nil)
	values := map[string]string{"Bearer " + w.atk: "mine", "Bearer " + w.vic: w.canary}
	h.instead(func(w http.ResponseWriter, r *http.Request) bool {
		value, known := values[r.Header.Get("Authorization")]
		if !known {
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		_, _ = fmt.Fprintf(w, `{"value":%q}`, value)
		return true
	})
	w.in("", h.store(css, w.store(), "", `, headers: {Authorization: "Bearer {{ .login.token }}"}, secrets: [{name: login, secretRef: {name: login}}]`))
	w.becomes(css, "", w.store(), "True", "ValidationUnknown")
	for _, ns := range []string{w.vic, w.atk} {
		w.in(ns, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: login, labels: {external-secrets.io/type: webhook}}\nstringData: {token: %s}\n---", ns)+
			externalSecretOf(css, "app", w.store(), "db", rarely, ""))
		w.secret(ns, "app", map[string]string{"password": values["Bearer "+ns]})
	}
	w.in(w.well, externalSecretOf(css, "app", w.store(), "db", rarely, ""))
	w.failed(w.well, "app", "Unauthenticated", "there is no Secret login")
	w.none(w.well, "app")
}

// TestUnlabelledSecret has a webhook ask for a Secret that nobody said may leave
// the cluster.
func TestUnlabelledSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, map[string]string{"db": "x"})
	w.holds = true
	w.in(w.atk, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: own}\nstringData: {token: %q}\n---", w.canary)+
		h.store(ss, "s", "", `, headers: {Authorization: "{{ .login.token }}"}, secrets: [{name: login, secretRef: {name: own}}]`)+
		"---"+externalSecret("app", "s", "db", rarely, ""))
	w.failed(w.atk, "app", "PermissionDenied", "own", "external-secrets.io/type: webhook")
	w.none(w.atk, "app")
	if n := h.reads(""); n != 0 {
		t.Errorf("the manager was asked %d times", n)
	}
}

// TestOtherNamespaceOfTheCluster has a store of the attacker's, with a login of
// its own, read the victim's namespace through the provider kubernetes.
func TestOtherNamespaceOfTheCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	w.in(w.vic, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: %q}\n", w.canary))
	w.in(w.atk, "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: mine}\n")
	w.in(w.atk, `
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [secrets], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: `+w.atk+`}]
`)
	w.holds = true // the token's Secret; what is looked for is the victim's value
	w.in(w.atk, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {token: %q}\n", w.token(w.atk, "reader")))
	for name, namespace := range map[string]string{"own": w.atk, "foreign": w.vic} {
		w.in(w.atk, fmt.Sprintf(`
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: %s}
spec: {provider: {kubernetes: {remoteNamespace: %s, server: {url: %q, caBundle: %s}, auth: {token: {bearerToken: {name: login, key: token}}}}}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: %[1]s}
spec: {secretStoreRef: {name: %[1]s}, data: [{secretKey: password, remoteRef: {key: db, property: password}}]}
`, name, namespace, w.plane.Admin.Host, base64.StdEncoding.EncodeToString(w.plane.Admin.CAData)))
	}
	w.secret(w.atk, "own", map[string]string{"password": "mine"})
	w.becomes(ss, w.atk, "foreign", "False", "PermissionDenied", w.vic)
	w.failed(w.atk, "foreign", "PermissionDenied", w.vic)
	w.none(w.atk, "foreign")
}

// TestTokenOfAServiceAccount is about a power that the shipped RBAC does not
// have, unless the operator gives it.
func TestTokenOfAServiceAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	w.in(w.atk, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: own}\n---"+`
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: s}
spec: {provider: {kubernetes: {server: {url: "https://127.0.0.1:1"}, auth: {serviceAccount: {name: own}}}}}
---`+externalSecret("app", "s", "db", rarely, ""))
	w.becomes(ss, w.atk, "s", "False", `service account "own"`, "token-requests.yaml")
	w.failed(w.atk, "app", `service account "own"`, "token-requests.yaml")
}

// TestDeniedNamespace has ClusterSecretStores whose conditions do not admit the
// attacker's namespace (rows 4 and 5): the manager is not asked at all.
func TestDeniedNamespace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, map[string]string{"db": w.canary})
	for name, tc := range map[string]struct {
		reason     string
		conditions string // %s is the id of the world
		ns         string
		admitted   bool
	}{
		"name":           {reason: "another namespace is named", conditions: "[{namespaces: [vic-%s]}]", ns: w.atk},
		"names":          {reason: "others are named", conditions: "[{namespaces: [a, b]}, {namespaces: [vic-%s]}]", ns: w.atk},
		"labels":         {reason: "it does not have the label", conditions: "[{namespaceSelector: {matchLabels: {team: vic}}}]", ns: w.atk},
		"some-labels":    {reason: "it has one of two labels", conditions: "[{namespaceSelector: {matchLabels: {half: 'yes', team: vic}}}]", ns: "half-" + w.id},
		"expression":     {reason: "it does not have the label", conditions: "[{namespaceSelector: {matchExpressions: [{key: team, operator: Exists}]}}]", ns: w.atk},
		"empty":          {reason: "an empty condition admits nobody, as in ESO", conditions: "[{}]", ns: w.atk},
		"suffix":         {reason: "the expression is the whole name", conditions: "[{namespaceRegexes: [team-a-%s]}]", ns: "team-a-" + w.id + "-evil"},
		"prefix":         {reason: "the expression is the whole name", conditions: "[{namespaceRegexes: [team-a-%s]}]", ns: "xteam-a-" + w.id},
		"alternative":    {reason: "both alternatives are the whole name", conditions: "[{namespaceRegexes: ['team-b|team-a-%s']}]", ns: "xteam-a-" + w.id},
		"first-of-two":   {reason: "both alternatives are the whole name", conditions: "[{namespaceRegexes: ['team-a-%s|team-b']}]", ns: "team-a-" + w.id + "-evil"},
		"flags":          {reason: "a flag does not end the anchor", conditions: "[{namespaceRegexes: ['(?m)team-a-%s']}]", ns: "team-a-" + w.id + "-evil"},
		"itself":         {reason: "the name that was meant", conditions: "[{namespaceRegexes: [team-a-%s]}]", ns: "team-a-" + w.id, admitted: true},
		"anchored":       {reason: "who anchored it is right too", conditions: "[{namespaceRegexes: ['^team-a-%s$']}]", ns: "team-a-" + w.id, admitted: true},
		"another-one":    {reason: "one condition is enough", conditions: "[{namespaces: [x]}, {namespaceRegexes: ['team-a-.*', '%s']}]", ns: "team-a-" + w.id + "-evil", admitted: true},
		"by-label":       {reason: "it has the labels", conditions: "[{namespaceSelector: {matchLabels: {half: 'yes'}}}]", ns: "half-" + w.id, admitted: true},
		"without-limits": {reason: "nobody said who may not", conditions: "[]", ns: w.atk, admitted: true},
	} {
		if !tc.admitted {
			w.deniedStore(h, name, strings.ReplaceAll(tc.conditions, "%s", w.id))
		}
		switch tc.ns {
		case w.atk:
		default:
			w.ensure(tc.ns)
		}
		t.Run(name, func(t *testing.T) {
			w := w.at(t)
			own := newHook(t, map[string]string{"db": "x"})
			if tc.admitted {
				w.deniedStore(own, name, strings.ReplaceAll(tc.conditions, "%s", w.id))
			}
			store := name + "-" + w.id
			w.in(tc.ns, externalSecretOf(css, name, store, "db", rarely, ""))
			if tc.admitted {
				w.secret(tc.ns, name, map[string]string{"password": "x"})
				return
			}
			w.failed(tc.ns, name, "spec.data[0], ClusterSecretStore", store, "PermissionDenied", "not allowed from namespace", tc.ns)
			w.none(tc.ns, name)
			if n := h.reads(""); n != 0 {
				t.Errorf("%s: the manager was asked %d times", tc.reason, n)
			}
		})
	}
}

// deniedStore makes a ClusterSecretStore with conditions.
func (w *world) deniedStore(h *hook, name, conditions string) {
	w.t.Helper()
	w.in("", h.store(css, name+"-"+w.id, ", conditions: "+conditions, ""))
}

// ensure makes a namespace that may be there already.
func (w *world) ensure(name string) {
	w.t.Helper()
	if w.get("Namespace", "", name) == nil {
		w.namespace(name, map[string]string{"half": "yes"})
	}
}

// TestNamespaceLosesItsPermission takes the permission away after the first sync
// (row 6): it is denied at once, and what the manager has later is not written.
func TestNamespaceLosesItsPermission(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason     string
		conditions string
		lose       func(w *world, store string)
	}{
		"label": {
			reason:     "the namespace loses its label",
			conditions: "[{namespaceSelector: {matchLabels: {team: good}}}]",
			lose:       func(w *world, _ string) { w.patch("Namespace", "", w.atk, `{"metadata":{"labels":{"team":null}}}`) },
		},
		"label changes": {
			reason:     "the namespace has another label",
			conditions: "[{namespaceSelector: {matchLabels: {team: good}}}]",
			lose:       func(w *world, _ string) { w.patch("Namespace", "", w.atk, `{"metadata":{"labels":{"team":"evil"}}}`) },
		},
		"list": {
			reason:     "the store does not name it any more",
			conditions: "[{namespaces: [%s]}]",
			lose: func(w *world, store string) {
				w.patch(css, "", store, `{"spec":{"conditions":[{"namespaces":[%q]}]}}`, w.vic)
			},
		},
		"expression": {
			reason:     "the store has another expression",
			conditions: "[{namespaceRegexes: [%s]}]",
			lose: func(w *world, store string) {
				w.patch(css, "", store, `{"spec":{"conditions":[{"namespaceRegexes":["vic-.*"]}]}}`)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ours)
			h := newHook(t, map[string]string{"db": "old"})
			store := "shared-" + w.id
			w.patch("Namespace", "", w.atk, `{"metadata":{"labels":{"team":"good"}}}`)
			w.in("", h.store(css, store, ", conditions: "+strings.ReplaceAll(tc.conditions, "%s", w.atk), ""))
			w.in(w.atk, externalSecretOf(css, "app", store, "db", "1s", ""))
			w.secret(w.atk, "app", map[string]string{"password": "old"})
			tc.lose(w, store)
			w.failed(w.atk, "app", "PermissionDenied", "not allowed from namespace")
			reads := h.reads("db")
			h.put("db", w.canary)
			// Two more reads would have come by the time that another object got its
			// second value.
			w.in(w.well, h.store(ss, "same", "", "")+"---"+externalSecret("same", "same", "clock", "1s", ""))
			for _, v := range []string{"one", "two", "three"} {
				h.put("clock", v)
				w.secret(w.well, "same", map[string]string{"password": v})
			}
			w.secret(w.atk, "app", map[string]string{"password": "old"})
			if n := h.reads("db") - reads; n > 1 { // one may have been under way
				t.Errorf("%s, and the manager was asked %d times more", tc.reason, n)
			}
		})
	}
}
