// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/internal/dev/vault"
)

const (
	manyObjects = 1000
	manyPaths   = 100
	manyEach    = 5 // properties of an object, each of another path
	manyEvery   = 20 * time.Second
)

// pathOf is where the j-th property of the i-th object is.
func pathOf(i, j int) int { return (i + j*manyPaths/manyEach) % manyPaths }

// many is the i-th object.
func many(i int, namespace string) *unstructured.Unstructured {
	var data []any
	for j := range manyEach {
		data = append(data, map[string]any{
			"secretKey": fmt.Sprintf("k%d", j),
			"remoteRef": map[string]any{"key": fmt.Sprintf("app/%d", pathOf(i, j)), "property": fmt.Sprintf("p%d", j)},
		})
	}
	out := object("ExternalSecret", namespace)
	out.SetName(fmt.Sprintf("many-%d", i))
	out.Object["spec"] = map[string]any{
		"refreshInterval": manyEvery.String(), "data": data,
		"secretStoreRef": map[string]any{"name": "vault", "kind": "SecretStore"},
	}
	return out
}

// TestCounted: a thousand objects cost one login and, in each cycle, one read
// of each path. At rest nothing is written to the API server. A restart costs no
// more, writes what changed meanwhile, and nothing else.
func TestCounted(t *testing.T) {
	w := newWorld(t)
	w.class = w.ns // the program that all share leaves these stores alone
	start := func() *program {
		p, err := shared.run(nil, "--dialects", "eso", "--namespaces", w.ns, "--controller-class", w.class)
		must(t, err)
		return p
	}
	p := start()
	t.Cleanup(func() { must(t, p.stop()) })
	w.kubernetes()
	w.policy(readSecret)
	for i := range manyPaths {
		in := vault.Object{}
		for j := range manyEach {
			in[fmt.Sprintf("p%d", j)] = fmt.Sprintf("%d of %d", j, i)
		}
		w.write(fmt.Sprintf("secret/data/app/%d", i), vault.Object{"data": in})
	}
	w.store("vault", secondEngine, asApp)
	w.createMany()
	w.manySynced()
	_, at := shared.api.since(0, "")

	// The first read is when somebody asks, the others are at the path's own
	// moment in each cycle.
	reads := w.cycles(time.Time{}, 3)
	w.spread(reads, 1)
	if n := len(w.logins()); n != 1 {
		t.Errorf("%d logins", n)
	}
	others := map[string]int{}
	for _, r := range w.requests() {
		if _, ok := reads[r.Path]; !ok && !strings.HasPrefix(r.Path, "auth/") {
			others[r.Operation+" "+r.Path]++
		}
	}
	if len(others) > 0 {
		t.Errorf("it asked for what nobody wants: %v", others)
	}
	since, _ := shared.api.since(at, "/namespaces/"+w.ns+"/")
	if n := writes(since); len(n) > 0 {
		t.Errorf("%d writes to the API server, such as %s", len(n), n[0].line)
	}

	must(t, p.stop())
	const changed = 7
	in := vault.Object{}
	for j := range manyEach {
		in[fmt.Sprintf("p%d", j)] = "changed"
	}
	w.write(fmt.Sprintf("secret/data/app/%d", changed), vault.Object{"data": in})
	_, at = shared.api.since(0, "")
	from := time.Now()
	p = start()
	users := w.changed(changed)
	w.spread(w.cycles(from, 2), 0)
	since, _ = shared.api.since(at, "/namespaces/"+w.ns+"/")
	wrote := map[string]int{}
	for _, p := range writes(since) {
		if !strings.HasSuffix(p.line, "/serviceaccounts/app/token") { // the one login
			wrote[p.line]++
		}
	}
	for line, n := range wrote {
		if n > 1 {
			t.Errorf("%d times %s", n, line)
		}
	}
	if len(wrote) != 2*users {
		t.Errorf("%d writes after a restart, want a Secret and a status for each of the %d objects whose secret changed", len(wrote), users)
	}
}

// spread fails when a path was read more often than once in half an interval,
// but for the first reads.
func (w *world) spread(reads map[string][]time.Time, first int) {
	w.Helper()
	var early []string
	for path, times := range reads {
		for i := first + 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap < manyEvery/2 {
				early = append(early, fmt.Sprintf("%s twice within %s", path, gap))
			}
		}
	}
	if len(early) > 0 {
		w.Errorf("%d reads too many, such as %s", len(early), early[0])
	}
}

// changed waits until all who use a path have what it holds now, and returns how
// many they are.
func (w *world) changed(path int) (users int) {
	w.Helper()
	for i := range manyObjects {
		for j := range manyEach {
			if pathOf(i, j) != path {
				continue
			}
			users++
			w.eventually(func() error {
				s, err := w.look(fmt.Sprintf("many-%d", i))
				if err != nil || string(s.Data[fmt.Sprintf("k%d", j)]) != "changed" {
					return fmt.Errorf("many-%d does not have the change: %w", i, err)
				}
				return nil
			})
		}
	}
	return users
}

// createMany creates the objects, eight at a time.
func (w *world) createMany() {
	w.Helper()
	results := make(chan error, manyObjects)
	const together = 8
	for first := range together {
		go func() {
			for i := first; i < manyObjects; i += together {
				results <- shared.user.Create(w.Context(), many(i, w.ns))
			}
		}()
	}
	for range manyObjects {
		must(w.T, <-results)
	}
}

// manySynced waits until all have their Secrets and say so.
func (w *world) manySynced() {
	w.Helper()
	w.eventually(func() error {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(object("ExternalSecret", "").GroupVersionKind())
		if err := shared.user.List(w.Context(), list, client.InNamespace(w.ns)); err != nil {
			return err
		}
		n := 0
		for i := range list.Items {
			if ready(&list.Items[i]).status == "True" {
				n++
			}
		}
		if n < manyObjects {
			return fmt.Errorf("%d of %d are synced", n, manyObjects)
		}
		return nil
	})
	list, err := shared.sets.CoreV1().Secrets(w.ns).List(w.Context(), metav1.ListOptions{})
	must(w.T, err)
	secrets := map[string]corev1.Secret{}
	for _, s := range list.Items {
		secrets[s.Name] = s
	}
	for i := range manyObjects {
		for j := range manyEach {
			name, key := fmt.Sprintf("many-%d", i), fmt.Sprintf("k%d", j)
			if got, want := string(secrets[name].Data[key]), fmt.Sprintf("%d of %d", j, pathOf(i, j)); got != want {
				w.Fatalf("%s of %s is %q, want %q", key, name, got, want)
			}
		}
	}
}

// cycles waits until each path was read so often since a moment, and returns
// when.
func (w *world) cycles(from time.Time, n int) map[string][]time.Time {
	w.Helper()
	var out map[string][]time.Time
	w.eventually(func() error {
		out = map[string][]time.Time{}
		for i := range manyPaths {
			out[fmt.Sprintf("secret/data/app/%d", i)] = nil
		}
		for _, r := range w.requests() {
			if times, ok := out[r.Path]; ok && r.Operation == "read" && r.Time.After(from) {
				out[r.Path] = append(times, r.Time)
			}
		}
		for path := range maps.Keys(out) {
			if len(out[path]) < n {
				return fmt.Errorf("%s was read %d times of %d", path, len(out[path]), n)
			}
		}
		return nil
	})
	return out
}

// TestHeartbeat: who asks for it has the time in the status moved, which costs
// nothing but that.
func TestHeartbeat(t *testing.T) {
	w := newWorld(t)
	w.class = w.ns // the program that all share leaves these stores alone
	p, err := shared.run(nil, "--dialects", "eso", "--namespaces", w.ns, "--controller-class", w.class, "--status-heartbeat", "1s")
	must(t, err)
	t.Cleanup(func() { must(t, p.stop()) })
	w.kubernetes()
	w.policy(readSecret)
	w.put("first")
	w.store("vault", secondEngine, asApp)
	w.wants("app", "vault", rarely, password)
	s := w.has("app", "first")
	w.says("ExternalSecret", "app", synced)
	seen := map[string]bool{}
	w.eventually(func() error {
		at, _, err := unstructured.NestedString(w.object("ExternalSecret", "app").Object, "status", "refreshTime")
		if seen[at] = true; len(seen) < 4 || err != nil {
			return fmt.Errorf("the status had %d times: %w", len(seen), err)
		}
		return nil
	})
	w.same(s)
	if n := w.count("read secret/data/app"); n != 1 {
		t.Errorf("%d reads", n)
	}
}
