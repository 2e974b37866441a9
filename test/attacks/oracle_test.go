// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// oracle ends every test: the canary is nowhere where the attacker could see
// it, and somebody else is still served.
func (w *world) oracle() {
	w.t.Helper()
	if w.t.Failed() {
		return
	}
	w.healthy()
	said, _ := logs.since(w.log)
	w.clean("the logs", said)
	for _, gvr := range w.kinds {
		for _, item := range w.all(gvr, w.atk) {
			if w.holds && gvr.Resource == "secrets" {
				delete(item.Object, "data")
			}
			w.clean(fmt.Sprintf("%s %s", gvr.Resource, item.GetName()), readable(item))
		}
	}
	// What is told of the cluster's own objects is in the namespace default.
	for _, e := range w.all(schema.GroupVersionResource{Version: "v1", Resource: "events"}, "default") {
		w.clean("an event", readable(e))
	}
	for _, kind := range []string{"clustersecretstores", "secretstores", "externalsecrets"} {
		for _, item := range w.all(schema.GroupVersionResource{Group: "external-secrets.io", Version: "v1", Resource: kind}, "") {
			item.Object = map[string]any{"status": item.Object["status"]}
			w.clean("a status of "+kind, readable(item))
		}
	}
}

// healthy changes a value of somebody who has nothing to do with the attack,
// and waits for the change.
func (w *world) healthy() {
	w.t.Helper()
	value := "hello again " + random(w.t)
	p := fmt.Sprintf(`{"spec":{"provider":{"fake":{"data":[{"key":"greeting","value":%q}]}}}}`, value)
	must(w.t, w.user.Patch(background(), object(ss, w.well, "healthy"), client.RawPatch("application/merge-patch+json", []byte(p))))
	err := poll(background(), func() error {
		s := object("Secret", w.well, "healthy")
		if err := w.user.Get(background(), client.ObjectKeyFromObject(s), s); err != nil {
			return err
		}
		data, _, err := unstructured.NestedStringMap(s.Object, "data")
		if err != nil || data["password"] != base64.StdEncoding.EncodeToString([]byte(value)) {
			return fmt.Errorf("the healthy ExternalSecret does not follow its store")
		}
		return nil
	})
	must(w.t, err)
}

// told waits until the controller has heard of all that was done before to stores
// and ExternalSecrets: the API server tells of the objects of a kind in the order
// in which they changed, so who follows a new one knows the older changes.
func (w *world) told() {
	w.t.Helper()
	name := "told-" + random(w.t)
	w.in(w.well, fakeStore(css, name+"-"+w.id, "greeting", "hello")+"---"+externalSecret(name, "healthy", "greeting", rarely, ""))
	w.becomes(css, "", name+"-"+w.id, "True")
	w.synced(w.well, name)
	w.healthy()
}

// all lists the objects of a kind, in a namespace or everywhere.
func (w *world) all(gvr schema.GroupVersionResource, namespace string) []unstructured.Unstructured {
	w.t.Helper()
	list := &unstructured.UnstructuredList{}
	kind, err := w.user.RESTMapper().KindFor(gvr)
	must(w.t, err)
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	err = w.user.List(background(), list, client.InNamespace(namespace))
	if apierrors.IsMethodNotSupported(err) || apierrors.IsNotFound(err) {
		return nil
	}
	must(w.t, err)
	return list.Items
}

// readable is all that there is to read in an object. What a Secret or a
// ConfigMap holds as base64 is added as it is.
func readable(item unstructured.Unstructured) string {
	b, err := json.Marshal(item.Object)
	if err != nil {
		return err.Error()
	}
	text := string(b)
	data, _, _ := unstructured.NestedStringMap(item.Object, "data")
	for _, v := range data {
		if plain, err := base64.StdEncoding.DecodeString(v); err == nil {
			text += " " + string(plain)
		}
	}
	return text
}

// clean fails when a text has the canary in any form.
func (w *world) clean(where, text string) {
	w.t.Helper()
	for form, sign := range signs(w.canary) {
		if strings.Contains(text, sign) {
			w.t.Errorf("%s has the canary in it, %s", where, form)
		}
	}
}

// signs are what gives a value away, by the form that it has.
func signs(value string) map[string]string {
	sum := sha256.Sum256([]byte(value))
	escaped, _ := json.Marshal(value)
	out := map[string]string{
		"plain":           value,
		"as JSON":         strings.Trim(string(escaped), `"`),
		"in hex":          hex.EncodeToString([]byte(value)),
		"in capital hex":  strings.ToUpper(hex.EncodeToString([]byte(value))),
		"URL-encoded":     url.QueryEscape(value),
		"path-encoded":    url.PathEscape(value),
		"as SHA-256":      hex.EncodeToString(sum[:]),
		"as SHA-256, b64": base64.RawStdEncoding.EncodeToString(sum[:]),
		"as SHA-256, URL": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	for before := range 3 {
		// Base64 of a text that has the value in it, but for the ends, which
		// depend on what is around.
		long := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + value))
		long = strings.TrimRight(long, "=")
		long = long[(before*8+5)/6 : len(long)-1]
		out[fmt.Sprintf("in base64 at %d", before)] = long
		out[fmt.Sprintf("in base64 for URLs at %d", before)] = strings.NewReplacer("+", "-", "/", "_").Replace(long)
	}
	return out
}

// audit is what a controller asked the API server for.
type audit struct {
	mu    sync.Mutex
	lines []string
	gates map[string]*gate // by what they stop
}

// gate stops requests on their way to the API server.
type gate struct {
	reached, opened chan struct{}
	reach, open     func()
}

// stop makes a gate for a request such as "GET /api/v1/…".
func (a *audit) stop(t *testing.T, request string) *gate {
	t.Helper()
	g := &gate{reached: make(chan struct{}), opened: make(chan struct{})}
	g.reach = sync.OnceFunc(func() { close(g.reached) })
	g.open = sync.OnceFunc(func() { close(g.opened) })
	t.Cleanup(g.open)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gates == nil {
		a.gates = map[string]*gate{}
	}
	a.gates[request] = g
	return g
}

// watch notes each request.
func (a *audit) watch(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		a.mu.Lock()
		line := r.Method + " " + r.URL.Path
		a.lines = append(a.lines, line)
		g := a.gates[line]
		a.mu.Unlock()
		if g != nil {
			g.reach()
			select {
			case <-g.opened:
			case <-r.Context().Done():
			}
		}
		return next.RoundTrip(r)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip makes a request.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (a *audit) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.lines)
}

// since returns the requests after a moment that have a part in them.
func (a *audit) since(at int, part string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, line := range a.lines[at:] {
		if strings.Contains(line, part) {
			out = append(out, line)
		}
	}
	return out
}

// untouched fails when the controller asked for anything in a namespace.
func (w *world) untouched(namespace string) {
	w.t.Helper()
	for _, line := range w.audit.since(w.audited, "/namespaces/"+namespace+"/") {
		w.t.Errorf("the controller asked for %s", line)
	}
}

// written returns the writes to a Secret since a moment.
func (w *world) written(at int, namespace, name string) []string {
	var out []string
	for _, line := range w.audit.since(at, " /api/v1/namespaces/"+namespace+"/secrets") {
		if !strings.HasPrefix(line, http.MethodGet) && (strings.HasSuffix(line, "/"+name) || strings.HasSuffix(line, "/secrets")) {
			out = append(out, line)
		}
	}
	return out
}

// kindOf finds a kind of object by its resource.
func (w *world) kindOf(resource string) schema.GroupVersionResource {
	w.t.Helper()
	for _, gvr := range w.kinds {
		if gvr.Resource == resource {
			return gvr
		}
	}
	w.t.Fatalf("there is no resource %s", resource)
	return schema.GroupVersionResource{}
}

// TestSigns holds that the oracle sees what it is there for.
func TestSigns(t *testing.T) {
	t.Parallel()
	const value = "CANARY+ab/cd"
	sum := sha256.Sum256([]byte(value))
	found := func(text string) bool {
		for _, sign := range signs(value) {
			if strings.Contains(text, sign) {
				return true
			}
		}
		return false
	}
	for name, text := range map[string]string{
		"plain":             "x" + value + "y",
		"base64":            base64.StdEncoding.EncodeToString([]byte(value)),
		"base64 after one":  base64.StdEncoding.EncodeToString([]byte("1" + value + "23")),
		"base64 after two":  base64.StdEncoding.EncodeToString([]byte("12" + value + "3")),
		"base64 after five": base64.URLEncoding.EncodeToString([]byte("12345" + value)),
		"hex":               fmt.Sprintf("%x", "1"+value),
		"capital hex":       fmt.Sprintf("%X", "1"+value),
		"query":             "?a=" + url.QueryEscape(value),
		"SHA-256":           fmt.Sprintf("sha256:%x", sum),
		"SHA-256 in base64": base64.StdEncoding.EncodeToString(sum[:]),
	} {
		if !found(text) {
			t.Errorf("%s is not seen", name)
		}
	}
	if found("CANARY") || found("") {
		t.Error("everything is seen")
	}
}
