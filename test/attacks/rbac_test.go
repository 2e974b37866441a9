// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"bytes"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/lockstep-secrets/lockstep/deploy"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

// lockstep is the access of the shipped service account.
func (w *world) lockstep() *rest.Config {
	w.t.Helper()
	access, err := w.plane.Lockstep(w.t.Context())
	must(w.t, err)
	return access
}

// elsewhere applies shipped RBAC for an instance that is installed in another
// namespace: everything in it is as it is shipped but for that name.
func (w *world) elsewhere(system, namespace string, files ...string) {
	w.t.Helper()
	for _, name := range files {
		raw, err := deploy.RBAC.ReadFile(name)
		must(w.t, err)
		raw = bytes.ReplaceAll(raw, []byte(plane.Namespace), []byte(system))
		must(w.t, plane.Apply(w.t.Context(), w.plane.Admin, raw, namespace))
	}
}

// accessFrom is the access of the service account of such an instance.
func (w *world) accessFrom(system string) *rest.Config {
	w.t.Helper()
	return &rest.Config{
		Host: w.plane.Admin.Host, BearerToken: w.token(system, plane.ServiceAccount),
		TLSClientConfig: rest.TLSClientConfig{CAData: w.plane.Admin.CAData},
	}
}

// scoped grants an instance what is shipped for a list of namespaces, and returns
// its access.
func (w *world) scoped(namespaces ...string) *rest.Config {
	w.t.Helper()
	system := "sys-" + w.id
	w.elsewhere(system, "", "rbac/base.yaml")
	for _, ns := range namespaces {
		w.elsewhere(system, ns, "rbac/namespace.yaml", "rbac/namespace-eso.yaml")
	}
	return w.accessFrom(system)
}

// power is something that an account may or may not do: verb, group/resource, and
// namespace, of which * is all.
type power struct{ verb, resource, namespace string }

// TestPowers asks the API server what the shipped service account may do (row
// 53), when it looks after everything and when it looks after a list.
func TestPowers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	scoped := w.scoped(w.atk, w.well)
	// Nobody but this instance has the powers of this file.
	tokens := "tok-" + w.id
	w.elsewhere(tokens, "", "rbac/base.yaml", "rbac/token-requests.yaml")
	const eso = "external-secrets.io/"
	never := []power{
		{"*", "*/*", "*"},
		{"get", "*/*", "*"},
		{"*", "/secrets", "*"},
		{"*", eso + "*", "*"},
		{"create", "/serviceaccounts/token", "*"},
		{"create", "/serviceaccounts/token", w.vic},
		{"create", "/serviceaccounts/token", "kube-system"},
		{"get", "/serviceaccounts", "*"},
		{"impersonate", "/serviceaccounts", "*"},
		{"impersonate", "/users", "*"},
		{"impersonate", "/groups", "*"},
		{"create", "/pods", w.atk},
		{"create", "/pods/exec", w.atk},
		{"patch", "apps/deployments", w.atk},
		{"create", "rbac.authorization.k8s.io/rolebindings", w.atk},
		{"bind", "rbac.authorization.k8s.io/clusterroles", "*"},
		{"escalate", "rbac.authorization.k8s.io/clusterroles", "*"},
		{"patch", "apiextensions.k8s.io/customresourcedefinitions", "*"},
		{"update", "admissionregistration.k8s.io/validatingwebhookconfigurations", "*"},
		{"update", "/configmaps", w.atk},
		{"create", "/configmaps", w.atk},
		{"delete", "/configmaps", w.atk},
		{"patch", "/secrets", w.atk},
		{"deletecollection", "/secrets", w.atk},
		{"update", "/namespaces", "*"},
		{"patch", "/namespaces", "*"},
		{"delete", "/namespaces", "*"},
		{"patch", "/namespaces/finalize", "*"},
		{"create", eso + "externalsecrets", w.atk},
		{"delete", eso + "externalsecrets", w.atk},
		{"update", eso + "secretstores", w.atk},
		{"delete", eso + "secretstores", w.atk},
		{"create", eso + "clustersecretstores", "*"},
		{"delete", eso + "clustersecretstores", "*"},
		{"update", eso + "externalsecrets/status", w.atk},
		{"create", "certificates.k8s.io/certificatesigningrequests", "*"},
		{"get", "/nodes", "*"},
		{"get", "/nodes/proxy", "*"},
	}
	only := func(list []power, more ...power) []power { return slices.Concat(list, more) }
	for name, tc := range map[string]struct {
		reason      string
		access      *rest.Config
		may, maynot []power
	}{
		"everywhere": {
			reason: "cluster.yaml and cluster-eso.yaml", access: w.lockstep(),
			may: []power{
				{"list", "/secrets", "*"},
				{"create", "/secrets", "*"},
				{"update", "/secrets", "*"},
				{"delete", "/secrets", "*"},
				{"watch", "/configmaps", "*"},
				{"watch", "/namespaces", "*"},
				{"watch", eso + "externalsecrets", "*"},
				{"patch", eso + "externalsecrets", "*"},
				{"patch", eso + "externalsecrets/status", "*"},
				{"watch", eso + "clustersecretstores", "*"},
				{"patch", eso + "clustersecretstores/status", "*"},
				{"create", "events.k8s.io/events", "*"},
			},
			maynot: never,
		},
		"some namespaces": {
			reason: "namespace.yaml and namespace-eso.yaml, twice", access: scoped,
			may: []power{
				{"list", "/secrets", w.atk},
				{"list", "/secrets", w.well},
				{"create", "/secrets", w.atk},
				{"update", "/secrets", w.atk},
				{"delete", "/secrets", w.atk},
				{"watch", "/configmaps", w.atk},
				{"watch", eso + "externalsecrets", w.atk},
				{"patch", eso + "secretstores/status", w.well},
				{"create", "events.k8s.io/events", w.atk},
			},
			maynot: only(never,
				power{"list", "/secrets", "*"}, power{"get", "/secrets", "*"}, power{"watch", "/secrets", "*"}, power{"get", "/secrets", w.vic}, power{"create", "/secrets", w.vic},
				power{"get", "/secrets", "kube-system"}, power{"get", "/secrets", "sys-" + w.id}, power{"list", "/namespaces", "*"}, power{"get", "/configmaps", w.vic},
				power{"list", eso + "externalsecrets", "*"}, power{"get", eso + "externalsecrets", w.vic}, power{"list", eso + "secretstores", "*"},
				power{"get", eso + "clustersecretstores", "*"}, power{"list", eso + "clustersecretstores", "*"}, power{"create", "events.k8s.io/events", w.vic},
				power{"create", "/serviceaccounts/token", w.atk}),
		},
		"tokens": {
			reason: "token-requests.yaml is what its name says, and nothing else", access: w.accessFrom(tokens),
			may:    []power{{"create", "/serviceaccounts/token", "*"}},
			maynot: []power{{"get", "/serviceaccounts", "*"}, {"create", "/serviceaccounts", "*"}, {"*", "/serviceaccounts/token", "*"}, {"get", "/secrets", "*"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.clientset(tc.access)
			for want, list := range map[bool][]power{true: tc.may, false: tc.maynot} {
				for _, p := range list {
					review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: p.attributes()}}
					answer, err := c.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
					must(t, err)
					if answer.Status.Allowed != want {
						t.Errorf("%s: %s %s in %s: allowed is %v", tc.reason, p.verb, p.resource, p.namespace, answer.Status.Allowed)
					}
				}
			}
		})
	}
}

func (p power) attributes() *authorizationv1.ResourceAttributes {
	group, resource, _ := strings.Cut(p.resource, "/")
	resource, sub, _ := strings.Cut(resource, "/")
	return &authorizationv1.ResourceAttributes{
		Verb: p.verb, Group: group, Resource: resource, Subresource: sub, Namespace: strings.TrimSuffix(p.namespace, "*"),
	}
}

// TestShippedRoles holds of the files themselves: no wildcard, and nothing that
// adds to what people have who may view or edit a namespace (row 54).
func TestShippedRoles(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(deploy.RBAC, "rbac/*.yaml")
	must(t, err)
	if len(names) < 6 {
		t.Fatalf("only %v are shipped", names)
	}
	for _, name := range names {
		raw, err := deploy.RBAC.ReadFile(name)
		must(t, err)
		docs, err := documents(string(raw))
		must(t, err)
		for _, doc := range docs {
			if labels := doc.GetLabels(); len(labels) > 0 {
				t.Errorf("%s: %s %s has the labels %v", name, doc.GetKind(), doc.GetName(), slices.Sorted(maps.Keys(labels)))
			}
			if _, aggregates := doc.Object["aggregationRule"]; aggregates {
				t.Errorf("%s: %s %s aggregates", name, doc.GetKind(), doc.GetName())
			}
			rules, _ := doc.Object["rules"].([]any)
			for _, rule := range rules {
				for field, list := range rule.(map[string]any) {
					if slices.Contains(list.([]any), any("*")) {
						t.Errorf("%s: %s %s has * in %s", name, doc.GetKind(), doc.GetName(), field)
					}
				}
			}
		}
	}
}

// TestPeople holds of those who may edit or view one namespace: the built-in roles
// give them nothing of ours, and nothing elsewhere.
func TestPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	c := w.clientset(w.plane.Admin)
	for _, role := range []string{"view", "edit"} {
		w.in(w.atk, strings.ReplaceAll(`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: ROLE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ROLE}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ROLEr}]
`, "ROLE", role))
		for _, p := range []power{
			{"create", "external-secrets.io/clustersecretstores", "*"},
			{"update", "external-secrets.io/clustersecretstores", "*"},
			{"get", "external-secrets.io/clustersecretstores", "*"},
			{"patch", "external-secrets.io/externalsecrets/status", w.atk},
			{"get", "external-secrets.io/secretstores", w.vic},
			{"get", "/secrets", w.vic},
		} {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: role + "r", ResourceAttributes: p.attributes()}}
			answer, err := c.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
			must(t, err)
			if answer.Status.Allowed {
				t.Errorf("who may %s one namespace may %s %s in %s", role, p.verb, p.resource, p.namespace)
			}
		}
	}
}

// TestSeveralNamespaces runs an instance that looks after two namespaces, and has
// Roles there and nothing else.
func TestSeveralNamespaces(t *testing.T) {
	for name, s := range map[string]*stage{"our CRDs": ours, "their CRDs": theirs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			w.holds = true
			class := "scoped-" + w.id
			second := "two-" + w.id
			w.namespace(second, nil)
			seen := &audit{}
			end := control(t.Context(), w.scoped(w.atk, second), seen, config.Controller{Class: class, Namespaces: []string{w.atk, second}, PermitAddresses: loopback})
			t.Cleanup(func() { noError(t, end()) })
			h := newHook(t, map[string]string{"db": w.canary})
			w.in("", h.store(css, w.store(), ", controller: "+class, ""))
			for _, ns := range []string{w.atk, second, w.vic} {
				w.in(ns, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: templates}\ndata: {a: '{{ .password }}'}\n---"+
					h.store(ss, "s", ", controller: "+class, "")+"---"+externalSecret("app", "s", "db", rarely, "")+
					"---"+externalSecret("templated", "s", "db", rarely, ", target: {template: {templateFrom: [{configMap: {name: templates, items: [{key: a}]}}]}}")+
					"---"+externalSecretOf(css, "shared", w.store(), "db", rarely, ""))
			}
			for _, ns := range []string{w.atk, second} {
				w.secret(ns, "app", map[string]string{"password": w.canary})
				w.secret(ns, "templated", map[string]string{"a": w.canary})
				w.becomes(ss, ns, "s", "True", "Valid")
				w.failed(ns, "shared", "spec.secretStoreRef.kind", "InvalidRef", "ClusterSecretStore cannot be used here", "use a SecretStore")
				w.none(ns, "shared")
			}
			// What is changed is followed.
			h.put("db", w.canary+"2")
			w.patch("ConfigMap", second, "templates", `{"data":{"a":"new {{ .password }}"}}`)
			w.secret(second, "templated", map[string]string{"a": "new " + w.canary})
			w.patch(es, w.atk, "app", `{"metadata":{"annotations":{"force-sync":"1"}}}`)
			w.secret(w.atk, "app", map[string]string{"password": w.canary + "2"})
			w.remove("Secret", second, "app")
			w.secret(second, "app", map[string]string{"password": w.canary}) // its hour is not over
			w.patch(es, w.atk, "app", `{"metadata":{"finalizers":["externalsecrets.external-secrets.io/externalsecret-cleanup"]}}`)
			w.remove(es, w.atk, "app")
			w.gone(es, w.atk, "app")
			// Nothing is touched elsewhere.
			for _, name := range []string{"app", "templated", "shared"} {
				w.none(w.vic, name)
				if c := w.readiness(es, w.vic, name); c != (condition{}) {
					t.Errorf("the ExternalSecret %s of a namespace that is not on the list says %s", name, c)
				}
			}
			if c := w.readiness(css, "", w.store()); c != (condition{}) {
				t.Errorf("the ClusterSecretStore says %s", c)
			}
			for _, line := range seen.since(0, "") {
				_, path, _ := strings.Cut(line, " ")
				if !within(path, w.atk, second) {
					t.Errorf("the controller asked for %s", line)
				}
			}
		})
	}
}

// within reports whether a path is in one of the namespaces, or tells only what
// kinds of objects there are.
func within(path string, namespaces ...string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if i := slices.Index(parts, "namespaces"); i >= 0 {
		return len(parts) > i+1 && slices.Contains(namespaces, parts[i+1])
	}
	return parts[0] == "api" && len(parts) <= 2 || parts[0] == "apis" && len(parts) <= 3
}
