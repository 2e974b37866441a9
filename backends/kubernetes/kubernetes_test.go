// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backend/backendtest"
	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

// The one control plane of the tests, and its administrator.
var (
	shared *plane.Plane
	admin  client.Interface
	worlds atomic.Int64
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if shared, err = plane.Start(); err == nil {
		if admin, err = client.NewForConfig(shared.Admin); err == nil {
			code := m.Run()
			if err = shared.Stop(); err == nil {
				return code
			}
		} else {
			err = errors.Join(err, shared.Stop())
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// world is one namespace, with a door in front of the API server.
type world struct {
	*door
	t  testing.TB
	ns string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{door: newDoor(t), t: t, ns: fmt.Sprintf("world-%d", worlds.Add(1))}
	w.must(shared.CreateNamespace(t.Context(), w.ns, nil))
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// user makes a service account that may do all with the Secrets of the rule's
// names, or with all of them, and returns a token of it.
func (w *world) user(name string, verbs []string, names ...string) string {
	w.t.Helper()
	ctx := w.t.Context()
	_, err := admin.CoreV1().ServiceAccounts(w.ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	w.must(err)
	if len(verbs) > 0 {
		rule := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: verbs, ResourceNames: names}
		_, err = admin.RbacV1().Roles(w.ns).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}}, metav1.CreateOptions{})
		w.must(err)
		_, err = admin.RbacV1().RoleBindings(w.ns).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: w.ns}},
		}, metav1.CreateOptions{})
		w.must(err)
	}
	token, _, err := mint(ctx, w.ns, name, nil)
	w.must(err)
	return string(token.Reveal())
}

// everything is all that the backend may need.
var everything = []string{"get", "list", "create", "update", "delete"}

func mint(ctx context.Context, namespace, name string, audiences []string) (backend.Value, time.Time, error) {
	r, err := admin.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: audiences},
	}, metav1.CreateOptions{})
	if apierrors.IsNotFound(err) {
		return backend.Value{}, time.Time{}, backend.Errorf(backend.NotFound, "no service account %q", name)
	}
	if err != nil {
		return backend.Value{}, time.Time{}, err
	}
	return backend.NewValue([]byte(r.Status.Token)), r.Status.ExpirationTimestamp.Time, nil
}

// put creates or replaces the data and the labels of a Secret.
func (w *world) put(name string, s backend.Secret) backend.Ref {
	w.t.Helper()
	// The context is not the test's: it ends before the last check does.
	ctx, secrets := context.Background(), admin.CoreV1().Secrets(w.ns)
	obj, err := secrets.Get(ctx, name, metav1.GetOptions{})
	fresh := apierrors.IsNotFound(err)
	if !fresh {
		w.must(err)
	}
	obj.Name, obj.Data = name, map[string][]byte{}
	for k, v := range s.Fields {
		obj.Data[k] = v.Reveal()
	}
	if s.Labels != nil {
		obj.Labels = s.Labels
	}
	if fresh {
		_, err = secrets.Create(ctx, obj, metav1.CreateOptions{})
	} else {
		_, err = secrets.Update(ctx, obj, metav1.UpdateOptions{})
	}
	w.must(err)
	return backend.Ref{Path: name}
}

func (w *world) remove(r backend.Ref) {
	w.t.Helper()
	w.must(admin.CoreV1().Secrets(w.ns).Delete(context.Background(), r.Path, metav1.DeleteOptions{}))
}

func fields(pairs ...string) backend.Secret {
	s := backend.Secret{Fields: map[string]backend.Value{}}
	for i := 0; i < len(pairs); i += 2 {
		s.Fields[pairs[i]] = backend.NewValue([]byte(pairs[i+1]))
	}
	return s
}

// manifest is the provider's part for this world, with changes at the top.
func (w *world) manifest(changes map[string]any) string {
	m := map[string]any{
		"remoteNamespace": w.ns,
		"server":          map[string]any{"url": w.server.URL, "caBundle": w.ca()},
		"auth":            map[string]any{"token": map[string]any{"bearerToken": map[string]any{"name": "login", "key": "token"}}},
	}
	maps.Copy(m, changes)
	text, err := json.Marshal(m)
	w.must(err)
	return string(text)
}

// ca is the certificate of the door.
func (w *world) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw})
}

// open opens a store with a client of its own.
func open(ctx context.Context, raw string, creds backend.Credentials) (backend.Backend, backend.Identity, error) {
	cfg := backend.Config{Raw: []byte(raw), Fingerprint: fingerprint, Client: func(t *tls.Config) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: t, ForceAttemptHTTP2: true}}
	}}
	return Open(ctx, cfg, creds, nil)
}

func (w *world) open(raw string, creds backend.Credentials) backend.Backend {
	w.t.Helper()
	b, _, err := open(w.t.Context(), raw, creds)
	w.must(err)
	w.t.Cleanup(func() { _ = b.Close() })
	return b
}

func fingerprint(values ...backend.Value) string {
	sum := sha256.New()
	for _, v := range values {
		_, _ = fmt.Fprintf(sum, "%d:%s", v.Len(), v.Reveal())
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// vault is the credentials of a store: keys as name/key, or in other namespaces
// as namespace/name/key.
type vault struct {
	keys      map[string]string
	namespace string // "" is the one it is bound to
	closed    bool   // it does not lead into other namespaces
	tokens    func(ctx context.Context, name string, audiences []string) (backend.Value, time.Time, error)
}

func (v vault) In(namespace string) (backend.Credentials, error) {
	if namespace != "" && v.closed {
		return nil, backend.Errorf(backend.InvalidRef, "namespace %q is not yours", namespace)
	}
	v.namespace = namespace
	return v, nil
}

func (v vault) get(kind, name, key string) (string, error) {
	path := name + "/" + key
	if v.namespace != "" {
		path = v.namespace + "/" + path
	}
	text, ok := v.keys[path]
	if !ok {
		return "", backend.Errorf(backend.NotFound, "no key %q in %s %q", key, kind, name)
	}
	return text, nil
}

func (v vault) All(context.Context, string) (backend.Secret, error) {
	return backend.Secret{}, backend.Errorf(backend.NotFound, "nothing asks for all")
}

func (v vault) Secret(_ context.Context, name, key string) (backend.Value, error) {
	text, err := v.get("Secret", name, key)
	return backend.NewValue([]byte(text)), err
}

func (v vault) ConfigMap(_ context.Context, name, key string) (string, error) {
	return v.get("ConfigMap", name, key)
}

func (v vault) Token(ctx context.Context, name string, audiences []string) (backend.Value, time.Time, error) {
	if v.tokens == nil {
		return backend.Value{}, time.Time{}, backend.Errorf(backend.PermissionDenied, "service account tokens are not granted")
	}
	return v.tokens(ctx, name, audiences)
}

func holding(token string) vault { return vault{keys: map[string]string{"login/token": token}} }

func read(ctx context.Context, b backend.Backend, ref backend.Ref) (backend.Secret, error) {
	results, err := b.Reader.Read(ctx, []backend.Ref{ref})
	if err != nil {
		return backend.Secret{}, err
	}
	return results[0].Secret, results[0].Err
}

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t testing.TB) backendtest.Harness {
		w := newWorld(t)
		w.smallPages = 3
		good, other := w.user("good", everything), w.user("other", everything)
		opens := func(ctx context.Context, l backendtest.Login) (backend.Backend, backend.Identity, error) {
			creds := holding(good)
			switch l {
			case backendtest.Same:
			case backendtest.Other:
				creds = holding(other)
			case backendtest.Refused:
				creds = holding(base64.RawURLEncoding.EncodeToString([]byte("refused")))
			case backendtest.Missing:
				creds = vault{}
			}
			return open(ctx, w.manifest(nil), creds)
		}
		b, _, err := opens(t.Context(), backendtest.Same)
		w.must(err)
		t.Cleanup(func() { _ = b.Close() })
		return backendtest.Harness{
			Name:    "kubernetes",
			Backend: b,
			Fields:  true,
			Seed: func(name string, s backend.Secret) backend.Ref {
				return w.put(strings.ReplaceAll(name, "/", "."), s)
			},
			Open:     opens,
			Rotate:   func(r backend.Ref, s backend.Secret) { w.put(r.Path, s) },
			Remove:   w.remove,
			Fail:     w.fail,
			Hold:     w.hold,
			Calls:    func() int { return int(w.values.Load()) },
			Requests: func() int { return int(w.requests.Load()) },
			Page:     3,
			Canary:   good[strings.LastIndexByte(good, '.')+1:],
		}
	})
}
