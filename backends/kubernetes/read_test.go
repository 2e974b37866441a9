// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestMetadata(t *testing.T) {
	w := newWorld(t)
	b := w.open(w.manifest(nil), holding(w.user("reader", everything)))
	for name, meta := range map[string]metav1.ObjectMeta{
		"bare": {}, "full": {Labels: map[string]string{"env": "dev", "a.b/c": "x"}, Annotations: map[string]string{"note": `{"in":"<ann>"}`}},
	} {
		meta.Name = name
		_, err := admin.CoreV1().Secrets(w.ns).Create(t.Context(), &corev1.Secret{ObjectMeta: meta}, metav1.CreateOptions{})
		w.must(err)
	}
	for name, c := range map[string]struct {
		reason string
		want   map[string]string
	}{
		"bare": {"what is not there is null", map[string]string{"labels": "null", "annotations": "null"}},
		"full": {"without escapes for HTML", map[string]string{"labels": `{"a.b/c":"x","env":"dev"}`, "annotations": `{"note":"{\"in\":\"<ann>\"}"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := read(t.Context(), b, backend.Ref{Path: name, Part: backend.Metadata})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for k, v := range s.Fields {
				got[k] = string(v.Reveal())
			}
			if diff := cmp.Diff(c.want, got); diff != "" || s.Payload.IsSet() || s.Version == "" {
				t.Errorf("%s: payload %t, version %q (-want +got):\n%s", c.reason, s.Payload.IsSet(), s.Version, diff)
			}
			s, err = read(t.Context(), b, backend.Ref{Path: name})
			if err != nil || s.Fields == nil || len(s.Fields) != 0 {
				t.Errorf("a Secret without data has fields %v, error %v", s.FieldNames(), err)
			}
		})
	}
}

// Only the API server's own word that a Secret is missing counts as one: it may
// remove a Secret here.
func TestMissing(t *testing.T) {
	w := newWorld(t)
	reader, stranger := holding(w.user("reader", []string{"get"}, "db", "gone")), holding(w.user("stranger", nil))
	status := func(s metav1.Status) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) { sayStatus(rw, s) }
	}
	said := func(reason metav1.StatusReason, kind, name string) http.HandlerFunc {
		return status(metav1.Status{Code: http.StatusNotFound, Reason: reason, Details: &metav1.StatusDetails{Kind: kind, Name: name}})
	}
	for name, c := range map[string]struct {
		reason string
		creds  vault
		path   string
		answer http.HandlerFunc
		want   backend.Code
	}{
		"missing":          {"the server says so to who may get it", reader, "gone", nil, backend.NotFound},
		"forbidden":        {"another name, of which nothing is said", reader, "other", nil, backend.PermissionDenied},
		"stranger":         {"nothing is said at all", stranger, "gone", nil, backend.PermissionDenied},
		"page":             {"of a proxy", reader, "gone", http.NotFound, backend.Unavailable},
		"no details":       {"a path that the server does not have", reader, "gone", status(metav1.Status{Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound}), backend.Unavailable},
		"another kind":     {"of object is missing", reader, "gone", said(metav1.StatusReasonNotFound, "namespaces", "gone"), backend.Unavailable},
		"another name":     {"is missing", reader, "gone", said(metav1.StatusReasonNotFound, "secrets", "other"), backend.Unavailable},
		"another reason":   {"for a 404", reader, "gone", said(metav1.StatusReasonUnknown, "secrets", "gone"), backend.Unavailable},
		"as said":          {"by the server", reader, "gone", said(metav1.StatusReasonNotFound, "secrets", "gone"), backend.NotFound},
		"empty object":     {"is no Secret without data", reader, "gone", func(rw http.ResponseWriter, _ *http.Request) { say(rw, http.StatusOK, struct{}{}) }, backend.Unavailable},
		"another object":   {"is somebody else's password", reader, "gone", secretOf(w.ns, "other"), backend.Unavailable},
		"other namespace":  {"is somebody else's password", reader, "gone", secretOf("other", "gone"), backend.Unavailable},
		"no JSON":          {"a page in front of the server", reader, "gone", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>")) }, backend.Unavailable},
		"out of order":     {"will be better", reader, "gone", status(metav1.Status{Code: http.StatusServiceUnavailable}), backend.Unavailable},
		"bad request":      {"what is this", reader, "gone", status(metav1.Status{Code: http.StatusBadRequest}), backend.Unknown},
		"gone for a while": {"is no proof", reader, "gone", status(metav1.Status{Code: http.StatusGone}), backend.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w.say(c.answer)
			defer w.say(nil)
			_, err := read(t.Context(), w.open(w.manifest(nil), c.creds), backend.Ref{Path: c.path})
			if got := backend.CodeOf(err); got != c.want {
				t.Errorf("%s: code %q, want %q (%v)", c.reason, got, c.want, err)
			}
		})
	}
}

func secretOf(namespace, name string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		say(rw, http.StatusOK, corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: "1"}})
	}
}

func TestMissingNamespace(t *testing.T) {
	w := newWorld(t)
	creds := holding(w.user("everywhere", nil))
	_, err := admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: w.ns},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "everywhere", Namespace: w.ns}},
	}, metav1.CreateOptions{})
	w.must(err)
	b := w.open(w.manifest(map[string]any{"remoteNamespace": "no-such-namespace"}), creds)
	if _, err := read(t.Context(), b, backend.Ref{Path: "db"}); backend.CodeOf(err) != backend.NotFound {
		t.Errorf("code %q (%v)", backend.CodeOf(err), err)
	}
}

// The token goes nowhere but to the server of the manifest.
func TestRedirectsAreNotFollowed(t *testing.T) {
	w := newWorld(t)
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	w.say(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, other.URL, http.StatusTemporaryRedirect)
	})
	b := w.open(w.manifest(nil), holding("token"))
	_, err := read(t.Context(), b, backend.Ref{Path: "db"})
	if backend.CodeOf(err) != backend.Unavailable || asked {
		t.Errorf("code %q, the other server was asked: %t", backend.CodeOf(err), asked)
	}
}

func TestUntrustedServer(t *testing.T) {
	w := newWorld(t)
	b := w.open(w.manifest(map[string]any{"server": map[string]any{"url": w.server.URL}}), holding("token"))
	_, err := read(t.Context(), b, backend.Ref{Path: "db"})
	if backend.CodeOf(err) != backend.Unavailable || w.requests.Load() != 0 {
		t.Errorf("code %q, %d requests", backend.CodeOf(err), w.requests.Load())
	}
}

func TestCertificateLogin(t *testing.T) {
	w := newWorld(t)
	w.put("db", fields("user", "somebody"))
	raw := w.manifest(map[string]any{
		"server": map[string]any{"url": shared.Admin.Host, "caProvider": map[string]any{"type": "ConfigMap", "name": "root", "key": "ca.crt", "namespace": "ns"}},
		"auth": map[string]any{"cert": map[string]any{
			"clientCert": map[string]any{"name": "admin", "key": "tls.crt"}, "clientKey": map[string]any{"name": "admin", "key": "tls.key", "namespace": "ns"},
		}},
	})
	b := w.open(raw, vault{keys: map[string]string{
		"admin/tls.crt": string(shared.Admin.CertData), "ns/admin/tls.key": string(shared.Admin.KeyData), "ns/root/ca.crt": string(shared.Admin.CAData),
	}})
	if s, err := read(t.Context(), b, backend.Ref{Path: "db"}); err != nil || !s.Equal(fields("user", "somebody")) {
		t.Errorf("error %v, or another value", err)
	}
}

func TestCheck(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		reason string
		verbs  []string
		names  []string
		want   backend.Code
	}{
		"all":          {"of the namespace", []string{"get"}, nil, ""},
		"some":         {"by name", []string{"get"}, []string{"db"}, ""},
		"any-verb":     {"is get as well", []string{"*"}, nil, ""},
		"only-listing": {"is not enough", []string{"list"}, nil, backend.PermissionDenied},
		"nothing":      {"is allowed", nil, nil, backend.PermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.open(w.manifest(nil), holding(w.user(name, c.verbs, c.names...)))
			if got := backend.CodeOf(b.Checker.Check(t.Context())); got != c.want {
				t.Errorf("%s: code %q, want %q", c.reason, got, c.want)
			}
		})
	}
}

// A rule of ours on where to connect to is told as it is.
func TestRefusalOfOurOwn(t *testing.T) {
	ours := backend.Errorf(backend.InvalidRef, "the address is not permitted")
	a := &api{base: mustURL(t), namespace: "ns", login: &login{}, client: &http.Client{Transport: failing{ours}}}
	_, err := a.get(t.Context(), "db")
	if err == nil || err.Error() != ours.Error() || backend.CodeOf(err) != backend.InvalidRef {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }
