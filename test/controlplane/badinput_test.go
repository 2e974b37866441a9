// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

// missing is an id that no secret has.
const missing = "e0246cea-d668-aba7-eef2-58ca11ad3707"

// TestBadManifest breaks a manifest that worked. Each case ends with the exact
// status, and with the Secret as it was before.
func TestBadManifest(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		spec   func(w *world, id string) string
		want   string // %s is the id
	}{
		"backend of a later version": {
			reason: "the CRD knows it, this version does not",
			spec: func(_ *world, id string) string {
				return "{backendType: akeyless, data: [{key: " + id + ", name: password, property: password}]}"
			},
			want: `backendType "akeyless" is not supported by this version of Lockstep; supported: ibmcloudSecretsManager, vault`,
		},
		"no secretType": {
			reason: "the words of IBM's client, which KES passed on",
			spec: func(_ *world, id string) string {
				return "{backendType: ibmcloudSecretsManager, data: [{key: " + id + ", name: password, property: password}]}"
			},
			want: "Missing required parameters: secretType",
		},
		"unknown secretType": {
			reason: "a typing error names what there is",
			spec: func(_ *world, id string) string {
				return "{backendType: ibmcloudSecretsManager, data: [{key: " + id + ", name: password, secretType: user_password}]}"
			},
			want: `secretType "user_password" is not one that IBM Cloud Secrets Manager has; use one of arbitrary, username_password, kv, iam_credentials, service_credentials, ` +
				"imported_cert, public_cert, private_cert, custom_credentials",
		},
		"another secretType": {
			reason: "the id is right and its type is not",
			spec: func(_ *world, id string) string {
				return "{backendType: ibmcloudSecretsManager, data: [{key: " + id + ", name: password, secretType: kv}]}"
			},
			want: "secret %s is of type username_password, not kv; correct secretType",
		},
		"no such id": {
			reason: "a proven NotFound keeps the Secret too: KES has no policy that removes",
			spec: func(*world, string) string {
				return "{backendType: ibmcloudSecretsManager, data: [{key: " + missing + ", name: password, secretType: username_password}]}"
			},
			want: "IBM Cloud Secrets Manager has no username_password " + missing,
		},
		"no id": {
			reason: "a path is never sent as an id",
			spec: func(*world, string) string {
				return "{backendType: ibmcloudSecretsManager, data: [{key: ../secret_groups, name: password, secretType: kv}]}"
			},
			want: `"../secret_groups" is not the id of a secret in IBM Cloud Secrets Manager`,
		},
		"no such property": {
			reason: "the words of KES",
			spec: func(_ *world, id string) string {
				return "{backendType: ibmcloudSecretsManager, data: [{key: " + id + ", name: password, property: nope, secretType: username_password}]}"
			},
			want: "Could not find property nope in %s",
		},
		"too large": {
			reason: "two values of 600 KiB do not fit into one Secret",
			spec: func(w *world, _ string) string {
				big := w.put("arbitrary", "big-"+random(w.t), map[string]any{"payload": strings.Repeat("x", 600<<10)})
				return fmt.Sprintf("{backendType: ibmcloudSecretsManager, data: ["+
					"{key: %[1]s, name: a, property: payload, secretType: arbitrary}, {key: %[1]s, name: b, property: payload, secretType: arbitrary}]}", big)
			},
			want: `Secret "app" is too large: its values may have 1048576 bytes together; take fewer or smaller entries`,
		},
		"invalid key": {
			reason: "the words of the API server, without asking it",
			spec: func(_ *world, id string) string {
				return "{backendType: ibmcloudSecretsManager, data: [{key: " + id + `, name: "bad key!", property: password, secretType: username_password}]}`
			},
			want: `Secret "app" is invalid: data[bad key!]: Invalid value: "bad key!": a valid config key must consist of alphanumeric characters, '-', '_' or '.' ` +
				`(e.g. 'key.name', or 'KEY_NAME', or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`,
		},
		"service account token": {
			reason: "who may write such a Secret gets the token of any service account of the namespace",
			spec: func(_ *world, id string) string {
				return "{backendType: ibmcloudSecretsManager, template: {type: kubernetes.io/service-account-token}, data: [{key: " +
					id + ", name: password, property: password, secretType: username_password}]}"
			},
			want: `type "kubernetes.io/service-account-token" is not allowed: such Secrets give power over the cluster to whoever fills them`,
		},
		"JavaScript": {
			reason: "a template that is not run must not be written as it stands",
			spec: func(_ *world, id string) string {
				return "{backendType: ibmcloudSecretsManager, template: {stringData: {url: '<%= data.password %>'}}, data: [{key: " +
					id + ", name: password, property: password, secretType: username_password}]}"
			},
			want: "spec.template.stringData.url is a lodash template, which this version of Lockstep does not run",
		},
	}
	w := newWorld(t)
	id := w.login()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			w.apply(single, id)
			w.status("app", success)
			before := w.holds("app", map[string]string{"password": w.canary})
			want := tc.want
			if strings.Contains(want, "%s") {
				want = fmt.Sprintf(want, id)
			}
			w.apply("%s", "apiVersion: kubernetes-client.io/v1\nkind: ExternalSecret\nmetadata: {name: app}\nspec: "+tc.spec(&w, id))
			w.status("app", "ERROR, "+want)
			if now := w.secret("app"); now == nil || now.ResourceVersion != before.ResourceVersion {
				t.Errorf("the last good Secret was touched: %s", tc.reason)
			}
			es, err := w.object("app")
			must(t, err)
			must(t, w.user.Delete(t.Context(), es))
			w.eventually(func() error {
				if w.secret("app") != nil {
					return fmt.Errorf("the Secret is still there")
				}
				return nil
			})
		})
	}
}

func TestUnknownBackendTypeIsRefusedByTheCRD(t *testing.T) {
	t.Parallel()
	w := quietWorld(t)
	err := plane.Apply(t.Context(), shared.Admin, []byte(
		"apiVersion: kubernetes-client.io/v1\nkind: ExternalSecret\nmetadata: {name: app}\nspec: {backendType: nope, data: []}"), w.ns)
	if err == nil || !strings.Contains(err.Error(), "spec.backendType: Unsupported value") {
		t.Errorf("got %v", err)
	}
}

// TestManagerInTrouble lets the manager fail after all was well. A failure that
// says nothing about the secret is told when the last good value is older than
// two intervals, any other at once.
func TestManagerInTrouble(t *testing.T) {
	t.Parallel()
	const who = "IBM Cloud Secrets Manager"
	cases := map[string]struct {
		reason string
		harm   func(w *world, id string)
		mend   func(w *world)
		want   string // %[1]s is the host of the stand-in, %[2]s the id
	}{
		"wrong API key": {
			reason: "the key was withdrawn",
			harm:   func(w *world, _ string) { w.ibm.RemoveKey(apiKey); w.ibm.ExpireTokens() },
			mend:   func(w *world) { w.ibm.SetRole(apiKey, ibmsm.SecretsReader) },
			want:   "IBM Cloud IAM refuses the API key (400): check IBM_CLOUD_SECRETS_MANAGER_API_APIKEY",
		},
		"no permission": {
			reason: "the role was taken away",
			harm: func(w *world, id string) {
				w.ibm.SetRole(apiKey, ibmsm.Reader)
				// It may still list, so only a change makes it read.
				must(w.t, w.ibm.Touch(id))
			},
			mend: func(w *world) { w.ibm.SetRole(apiKey, ibmsm.SecretsReader) },
			want: "the API key may not read username_password %[2]s (403): it needs the role SecretsReader for the instance or its secret group",
		},
		"limited": {
			reason: "the manager wants to be asked less",
			harm: func(w *world, _ string) {
				w.ibm.Fail(ibmsm.Match{}, ibmsm.Fault{Status: http.StatusTooManyRequests, RetryAfter: "1", Body: w.canary})
			},
			mend: func(w *world) { w.ibm.ClearFaults() },
			want: who + " limits our requests (429)",
		},
		"out of order": {
			reason: "the answer repeats what it should not",
			harm: func(w *world, _ string) {
				w.ibm.Fail(ibmsm.Match{}, ibmsm.Fault{Status: http.StatusInternalServerError, Body: w.canary})
			},
			mend: func(w *world) { w.ibm.ClearFaults() },
			want: who + " is out of order (500)",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.login()
			w.apply(single, id)
			w.status("app", success)
			before := w.holds("app", map[string]string{"password": w.canary})
			tc.harm(w, id)
			w.status("app", "ERROR, "+fmt.Sprintf(tc.want+"%[3]s", strings.TrimPrefix(w.server.URL, "http://"), id, ""))
			if now := w.secret("app"); now == nil || now.ResourceVersion != before.ResourceVersion {
				t.Errorf("the last good Secret was touched: %s", tc.reason)
			}
			tc.mend(w)
			w.status("app", success)
		})
	}
}

// TestManagerNotThere starts with a manager that cannot be spoken to.
func TestManagerNotThere(t *testing.T) {
	t.Parallel()
	foreign := httptest.NewUnstartedServer(http.NotFoundHandler())
	foreign.Config.ErrorLog = log.New(io.Discard, "", 0)
	foreign.StartTLS()
	t.Cleanup(foreign.Close)
	cases := map[string]struct {
		reason   string
		endpoint string
		want     string
	}{
		"unreachable": {
			reason:   "nobody listens there",
			endpoint: "http://" + closedPort(t),
			want:     "IBM Cloud Secrets Manager at %s cannot be reached: it refuses the connection",
		},
		"untrusted": {
			reason:   "its certificate is of an authority that nobody knows",
			endpoint: foreign.URL,
			want:     "IBM Cloud Secrets Manager at %s has no certificate that is trusted for this host",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, with("IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT", tc.endpoint))
			w.apply(single, missing)
			_, host, _ := strings.Cut(tc.endpoint, "://")
			w.status("app", "ERROR, "+fmt.Sprintf(tc.want, host))
			if w.secret("app") != nil {
				t.Errorf("a Secret was made of nothing: %s", tc.reason)
			}
		})
	}
}

// TestOutageHarmsNobody deletes the Secret while the manager is away: it comes
// back from what was read last.
func TestOutageHarmsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(single, w.login())
	w.status("app", success)
	s := w.holds("app", map[string]string{"password": w.canary})
	w.ibm.Fail(ibmsm.Match{}, ibmsm.Fault{Status: http.StatusServiceUnavailable})
	w.polls(2)
	must(t, w.user.Delete(t.Context(), s))
	w.holds("app", map[string]string{"password": w.canary})
	w.ibm.ClearFaults()
	w.status("app", success)
}

// TestForeignSecret aims at a Secret that is there already.
func TestForeignSecret(t *testing.T) {
	t.Parallel()
	// The owners are real, or the garbage collector would take the Secret away.
	controlled := func(apiVersion, kind string, owner func(*world) client.Object) func(*world, *corev1.Secret) {
		return func(w *world, s *corev1.Secret) {
			o := owner(w)
			must(w.t, w.user.Create(w.t.Context(), o))
			s.OwnerReferences = []metav1.OwnerReference{{
				APIVersion: apiVersion, Kind: kind, Name: o.GetName(), UID: o.GetUID(), Controller: new(true),
			}}
		}
	}
	cases := map[string]struct {
		reason string
		secret func(*world, *corev1.Secret)
		want   string
	}{
		"of another ExternalSecret": {
			reason: "two of them for one name would write it in turns",
			secret: controlled("kubernetes-client.io/v1", "ExternalSecret", func(w *world) client.Object {
				return &v1.ExternalSecret{ObjectMeta: w.meta("other"), Spec: v1.ExternalSecretSpec{
					ControllerID: "nobody", BackendType: v1.IBMCloudSecretsManager, Data: []v1.DataItem{},
				}}
			}),
			want: `Secret "app" belongs to ExternalSecret "other"; choose another name, or delete one of the two`,
		},
		"of something else": {
			reason: "another controller looks after it",
			secret: controlled("v1", "ConfigMap", func(w *world) client.Object {
				return &corev1.ConfigMap{ObjectMeta: w.meta("app-tls")}
			}),
			want: `Secret "app" belongs to ConfigMap "app-tls"; choose another name, or delete one of the two`,
		},
		"of Helm": {
			reason: "a release would put it back",
			secret: func(_ *world, s *corev1.Secret) { s.Labels = map[string]string{"app.kubernetes.io/managed-by": "Helm"} },
			want: `Secret "app" is managed by somebody else (label app.kubernetes.io/managed-by=Helm); ` +
				`remove the label to hand it over, or choose another name`,
		},
		"bootstrap token": {
			reason: "who may fill it may join the cluster",
			secret: func(_ *world, s *corev1.Secret) { s.Type = "bootstrap.kubernetes.io/token" },
			want:   `Secret "app" is of type "bootstrap.kubernetes.io/token", which is never taken over; choose another name`,
		},
		"immutable": {
			reason: "somebody wanted it to stay as it is",
			secret: func(_ *world, s *corev1.Secret) { s.Immutable = new(true) },
			want: `Secret "app" is invalid: [immutable: Forbidden: field is immutable when ` + "`immutable`" +
				` is set, data: Forbidden: field is immutable when ` + "`immutable`" + ` is set]`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := quietWorld(t)
			must(t, shared.ApplyShipped(t.Context(), "rbac/namespace.yaml", w.ns))
			s := &corev1.Secret{ObjectMeta: w.meta("app"), Data: map[string][]byte{"old": []byte("x")}}
			tc.secret(w, s)
			must(t, w.user.Create(t.Context(), s))
			w.start(config.Controller{Namespaces: []string{w.ns}})
			w.apply(single, w.login())
			w.status("app", "ERROR, "+tc.want)
			now := w.secret("app")
			if now == nil || now.ResourceVersion != s.ResourceVersion {
				t.Errorf("a foreign Secret was touched: %s", tc.reason)
			}
		})
	}
}

// TestTakeOver aims at a Secret that nobody owns.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		adopt string
		want  func(w *world) map[string]string
	}{
		"merge":   {adopt: "merge", want: func(w *world) map[string]string { return map[string]string{"password": w.canary, "old": "x"} }},
		"replace": {adopt: "replace", want: func(w *world) map[string]string { return map[string]string{"password": w.canary} }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := quietWorld(t)
			must(t, shared.ApplyShipped(t.Context(), "rbac/namespace.yaml", w.ns))
			s := &corev1.Secret{ObjectMeta: w.meta("app"), Data: map[string][]byte{"old": []byte("x"), "password": []byte("y")}}
			must(t, w.user.Create(t.Context(), s))
			w.start(config.Controller{Namespaces: []string{w.ns}, Adopt: tc.adopt})
			id := w.login()
			w.apply(single, id)
			w.status("app", success)
			w.holds("app", tc.want(w))
			_, err := w.ibm.Rotate(id, map[string]any{"password": w.canary + "-2"})
			must(t, err)
			want := tc.want(w)
			want["password"] = w.canary + "-2"
			now := w.holds("app", want)
			if len(now.OwnerReferences) != 1 {
				t.Errorf("owner references are %v", now.OwnerReferences)
			}
		})
	}
}

// closedPort returns an address of this machine where nobody listens: no server
// of these tests does on that of the host.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.9:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}
