// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestFollowing changes what an ExternalSecret depends on, and nothing else. The
// object follows, though neither its interval nor a pause after a failure is over:
// both are a year. How long it takes is in the log of the test; External Secrets
// Operator waits out a back-off of up to seven minutes, or the interval.
func TestFollowing(t *testing.T) {
	t.Parallel()
	allowed := func(token string) func(h *hook) {
		return func(h *hook) { h.demand("Bearer " + token) }
	}
	const (
		credential = "apiVersion: v1\nkind: Secret\nmetadata: {name: login, labels: {external-secrets.io/type: webhook}}\nstringData: {token: %s}\n"
		bearer     = `, headers: {Authorization: "Bearer {{ .login.token }}"}, secrets: [{name: login, secretRef: {name: login}}]`
		templates  = "apiVersion: v1\nkind: %s\nmetadata: {name: templates}\n%s: {a: %q}\n"
	)
	for name, tc := range map[string]struct {
		manager func(h *hook)
		before  func(w *world, h *hook)
		told    string // what the object says before; "" is that it is in sync
		change  func(w *world, h *hook)
		want    map[string]string // after the change
		status  string            // after the change; "" is in sync
		says    string
	}{
		"a store is repaired": {
			before: func(w *world, _ *hook) {
				w.in(w.atk, "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: s}\nspec: {provider: {webhook: {url: 'http://127.0.0.1:1/'}}, retrySettings: {maxRetries: 9, retryInterval: "+rarely+"}}\n")
			},
			told:   "cannot be reached",
			change: func(w *world, h *hook) { w.in(w.atk, h.store(ss, "s", "", "")) },
			want:   map[string]string{"password": "x"},
		},
		"an invalid store is repaired": {
			before: func(w *world, _ *hook) {
				w.in(w.atk, "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: s}\nspec: {refreshInterval: soon, provider: {fake: {data: [{key: db, value: x}]}}}\n")
			},
			told:   "spec.refreshInterval",
			change: func(w *world, _ *hook) { w.patch(ss, w.atk, "s", `{"spec":{"refreshInterval":null}}`) },
			want:   map[string]string{"password": "x"},
		},
		"a store appears": {
			told:   "does not exist",
			change: func(w *world, h *hook) { w.in(w.atk, h.store(ss, "s", "", "")) },
			want:   map[string]string{"password": "x"},
		},
		"a store changes its manager": {
			before: func(w *world, h *hook) { w.in(w.atk, h.store(ss, "s", "", "")) },
			change: func(w *world, _ *hook) {
				other := newHook(w.t, map[string]string{"db": "y"})
				w.in(w.atk, other.store(ss, "s", "", ""))
			},
			want: map[string]string{"password": "y"},
		},
		"a store vanishes": {
			before: func(w *world, h *hook) { w.in(w.atk, h.store(ss, "s", "", "")) },
			change: func(w *world, _ *hook) { w.remove(ss, w.atk, "s") },
			want:   map[string]string{"password": "x"}, status: "False", says: "does not exist",
		},
		"a credential is repaired": {
			manager: allowed("right"),
			before: func(w *world, h *hook) {
				w.in(w.atk, fmt.Sprintf(credential, "wrong")+"---"+h.store(ss, "s", "", bearer))
			},
			told:   "Unauthenticated",
			change: func(w *world, _ *hook) { w.in(w.atk, fmt.Sprintf(credential, "right")) },
			want:   map[string]string{"password": "x"},
		},
		"a credential appears": {
			manager: allowed("right"),
			before:  func(w *world, h *hook) { w.in(w.atk, h.store(ss, "s", "", bearer)) },
			told:    "there is no Secret login",
			change:  func(w *world, _ *hook) { w.in(w.atk, fmt.Sprintf(credential, "right")) },
			want:    map[string]string{"password": "x"},
		},
		"a credential gets its label": {
			manager: allowed("right"),
			before: func(w *world, h *hook) {
				w.in(w.atk, fmt.Sprintf(credential, "right")+"---"+h.store(ss, "s", "", bearer))
				w.patch("Secret", w.atk, "login", `{"metadata":{"labels":null}}`)
			},
			told: "external-secrets.io/type: webhook",
			change: func(w *world, _ *hook) {
				w.patch("Secret", w.atk, "login", `{"metadata":{"labels":{"external-secrets.io/type":"webhook"}}}`)
			},
			want: map[string]string{"password": "x"},
		},
		"a credential is rotated": {
			manager: allowed("first"),
			before: func(w *world, h *hook) {
				w.in(w.atk, fmt.Sprintf(credential, "first")+"---"+h.store(ss, "s", "", bearer))
			},
			change: func(w *world, h *hook) {
				h.demand("Bearer second")
				h.put("db", "y")
				w.in(w.atk, fmt.Sprintf(credential, "second"))
			},
			want: map[string]string{"password": "y"},
		},
		"a credential vanishes": {
			before: func(w *world, h *hook) {
				w.in(w.atk, fmt.Sprintf(credential, "first")+"---"+h.store(ss, "s", "", bearer))
			},
			change: func(w *world, _ *hook) { w.remove("Secret", w.atk, "login") },
			want:   map[string]string{"password": "x"}, status: "False", says: "there is no Secret login",
		},
		"a ConfigMap of templates changes": {
			before: func(w *world, h *hook) {
				w.in(w.atk, h.store(ss, "s", "", "")+"---\n"+fmt.Sprintf(templates, "ConfigMap", "data", "old"))
				w.templated("configMap")
			},
			change: func(w *world, _ *hook) {
				w.in(w.atk, fmt.Sprintf(templates, "ConfigMap", "data", "new {{ .password }}"))
			},
			want: map[string]string{"a": "new x"},
		},
		"a ConfigMap of templates appears": {
			before: func(w *world, h *hook) {
				w.in(w.atk, h.store(ss, "s", "", ""))
				w.templated("configMap")
			},
			told:   `ConfigMap "templates" does not exist`,
			change: func(w *world, _ *hook) { w.in(w.atk, fmt.Sprintf(templates, "ConfigMap", "data", "{{ .password }}")) },
			want:   map[string]string{"a": "x"},
		},
		"a Secret of templates changes": {
			before: func(w *world, h *hook) {
				w.in(w.atk, h.store(ss, "s", "", "")+"---\n"+fmt.Sprintf(templates, "Secret", "stringData", "old"))
				w.templated("secret")
			},
			change: func(w *world, _ *hook) {
				w.in(w.atk, fmt.Sprintf(templates, "Secret", "stringData", "new {{ .password }}"))
			},
			want: map[string]string{"a": "new x"},
		},
		"a Secret of templates appears": {
			before: func(w *world, h *hook) {
				w.in(w.atk, h.store(ss, "s", "", ""))
				w.templated("secret")
			},
			told: `Secret "templates" does not exist`,
			change: func(w *world, _ *hook) {
				w.in(w.atk, fmt.Sprintf(templates, "Secret", "stringData", "{{ .password }}"))
			},
			want: map[string]string{"a": "x"},
		},
		"the namespace gets a label": {
			before: func(w *world, h *hook) {
				w.in("", h.store(css, w.store(), ", conditions: [{namespaceSelector: {matchLabels: {team: good}}}]", ""))
				w.in(w.atk, externalSecretOf(css, "app", w.store(), "db", rarely, ""))
			},
			told:   "not allowed from namespace",
			change: func(w *world, _ *hook) { w.patch("Namespace", "", w.atk, `{"metadata":{"labels":{"team":"good"}}}`) },
			want:   map[string]string{"password": "x"},
		},
		"a store admits the namespace": {
			before: func(w *world, h *hook) {
				w.in("", h.store(css, w.store(), ", conditions: [{namespaces: [nobody]}]", ""))
				w.in(w.atk, externalSecretOf(css, "app", w.store(), "db", rarely, ""))
			},
			told:   "not allowed from namespace",
			change: func(w *world, _ *hook) { w.patch(css, "", w.store(), `{"spec":{"conditions":null}}`) },
			want:   map[string]string{"password": "x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ours)
			h := newHook(t, map[string]string{"db": "x"})
			if tc.manager != nil {
				tc.manager(h)
			}
			if tc.before != nil {
				tc.before(w, h)
			}
			if w.get(es, w.atk, "app") == nil {
				w.in(w.atk, externalSecret("app", "s", "db", rarely, ""))
			}
			if tc.told == "" {
				w.synced(w.atk, "app")
			} else {
				w.failed(w.atk, "app", tc.told)
			}
			tc.change(w, h)
			begin := time.Now()
			w.secret(w.atk, "app", tc.want)
			if tc.status == "" {
				tc.status = "True"
			}
			w.becomes(es, w.atk, "app", tc.status, tc.says)
			t.Logf("it took %s", time.Since(begin).Round(time.Millisecond))
		})
	}
}

// templated makes the object whose template is in a ConfigMap or a Secret.
func (w *world) templated(source string) {
	w.t.Helper()
	w.in(w.atk, externalSecret("app", "s", "db", rarely,
		fmt.Sprintf(", target: {template: {templateFrom: [{%s: {name: templates, items: [{key: a}]}}]}}", source)))
}

// demand refuses everybody without this header Authorization.
func (h *hook) demand(login string) {
	h.instead(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == login {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
}

// TestOutage has the manager fail for a while: the object stays as it was until
// its copy is older than two intervals, and the Secret stays for good.
func TestOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	w.holds = true
	const interval = 2 * time.Second
	h := newHook(t, map[string]string{"db": w.canary})
	w.in(w.atk, h.store(ss, "s", "", "")+"---"+externalSecret("app", "s", "db", interval.String(), ""))
	w.secret(w.atk, "app", map[string]string{"password": w.canary})
	w.synced(w.atk, "app")
	before := w.get("Secret", w.atk, "app")
	h.fail(http.StatusInternalServerError)
	w.failed(w.atk, "app", "Unavailable", "spec.data[0], SecretStore", "500")
	took := w.transition(es, w.atk, "app").Sub(h.answered())
	t.Logf("the object was ready for another %s, with an interval of %s", took.Round(time.Millisecond), interval)
	if took < 2*interval-time.Second { // the time in the status has whole seconds
		t.Errorf("it was not ready already %s after the last good answer", took)
	}
	if after := w.get("Secret", w.atk, "app"); after == nil || after.GetResourceVersion() != before.GetResourceVersion() {
		t.Error("the Secret was touched")
	}
	w.remove("Secret", w.atk, "app")
	w.secret(w.atk, "app", map[string]string{"password": w.canary})
	h.fail(0)
	w.synced(w.atk, "app")
}

// TestRetrySettings counts how often a manager that fails is asked again.
func TestRetrySettings(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		settings string
		reads    int           // so many come before anybody loses patience
		least    time.Duration // between the first and the last of them
	}{
		// Without, the pauses are at most 1 s, 2 s, 4 s and so on, and at least half
		// of that: the fourth read comes after 7 s at most, and the thirteenth after
		// half an hour at least.
		"none":     {reads: 4, least: 3 * time.Second},
		"quick":    {settings: ", retrySettings: {maxRetries: 12, retryInterval: 100ms}", reads: 13, least: time.Second},
		"slow":     {settings: ", retrySettings: {maxRetries: 1, retryInterval: 5s}", reads: 2, least: 4900 * time.Millisecond},
		"once":     {settings: ", retrySettings: {maxRetries: 1, retryInterval: 100ms}", reads: 4, least: 1500 * time.Millisecond},
		"interval": {settings: ", retrySettings: {retryInterval: 4s}", reads: 4, least: 11900 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ours)
			h := newHook(t, map[string]string{"db": "x"})
			h.fail(http.StatusInternalServerError)
			w.in(w.atk, h.store(ss, "s", tc.settings, ""))
			w.becomes(ss, w.atk, "s", "True") // a check that is good has what failed read at once
			w.in(w.atk, externalSecret("app", "s", "db", rarely, ""))
			eventually(t, func() error {
				if n := h.reads("db"); n < tc.reads {
					return fmt.Errorf("%d reads", n)
				}
				return nil
			})
			took := h.span(tc.reads)
			t.Logf("%d reads in %s", tc.reads, took.Round(time.Millisecond))
			if took < tc.least {
				t.Errorf("%d reads took %s, and not %s at least", tc.reads, took, tc.least)
			}
			w.failed(w.atk, "app", "Unavailable")
			h.fail(0)
		})
	}
}

// TestFinalizers deletes objects on which External Secrets Operator left its
// finalizers, and nobody is there who would take them away.
func TestFinalizers(t *testing.T) {
	for name, s := range map[string]*stage{"our CRDs": ours, "their CRDs": theirs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			const store = "secretstore.externalsecrets.io/finalizer"
			const object = "externalsecrets.external-secrets.io/externalsecret-cleanup"
			w.in(w.atk, fakeStore(ss, "s", "db", "x")+"---"+fakeStore(css, w.store(), "db", "x")+"---"+externalSecret("app", "s", "db", rarely, ""))
			w.secret(w.atk, "app", map[string]string{"password": "x"})
			for kind, o := range map[string]struct{ namespace, name, finalizer string }{
				es: {w.atk, "app", object}, ss: {w.atk, "s", store}, css: {"", w.store(), store},
			} {
				if got := w.get(kind, o.namespace, o.name).GetFinalizers(); len(got) != 0 {
					t.Errorf("%s has the finalizers %v", kind, got)
				}
				w.patch(kind, o.namespace, o.name, `{"metadata":{"finalizers":[%q,"example.com/mine"]}}`, o.finalizer)
				w.remove(kind, o.namespace, o.name)
				eventually(t, func() error {
					if got := w.get(kind, o.namespace, o.name).GetFinalizers(); len(got) != 1 || got[0] != "example.com/mine" {
						return fmt.Errorf("%s has the finalizers %v", kind, got)
					}
					return nil
				})
				w.patch(kind, o.namespace, o.name, `{"metadata":{"finalizers":null}}`)
				w.gone(kind, o.namespace, o.name)
			}
			w.gone("Secret", w.atk, "app")
		})
	}
}
