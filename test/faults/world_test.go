// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

// world is a namespace with a store and ExternalSecrets, and a watch on both
// these and their Secrets.
//
// What must never be seen, whatever happens:
//   - a Secret without one of its keys, or with another one;
//   - a Secret with fields of two generations of one remote secret;
//   - a Secret with an older generation than it had before, or a newer one than
//     there is;
//   - that a Secret goes whose object is there.
//
// An object has five keys: three of one remote secret, and two of another.
type world struct {
	*testing.T
	ns      string
	manager *manager
	every   string // the interval of new objects

	mu       sync.Mutex
	objects  map[string]types.UID // that are there, as the test made them
	deleted  map[types.UID]bool   // that the test deleted
	secrets  map[string]held
	ready    map[types.UID]bool
	seen     map[string][2]int // the newest generations that a Secret had
	events   map[string]int    // how often it was told what a Secret is
	problems []string
	changed  chan struct{} // holds one when something was seen
}

// held is a Secret that is there.
type held struct {
	owner       types.UID
	generations [2]int
}

// remotes are the remote secrets of an object, and which of its keys are of each.
func remotes(object int) (path [2]int, of [fields]int) {
	return [2]int{object % paths, (object + 7) % paths}, [fields]int{0, 0, 0, 1, 1}
}

func newWorld(t *testing.T, every string) *world {
	t.Helper()
	t.Parallel()
	b := make([]byte, 4)
	_, err := rand.Read(b)
	must(t, err)
	w := &world{
		T: t, ns: "t-" + hex.EncodeToString(b), manager: newManager(t), every: every, objects: map[string]types.UID{}, deleted: map[types.UID]bool{},
		secrets: map[string]held{}, ready: map[types.UID]bool{}, seen: map[string][2]int{}, events: map[string]int{}, changed: make(chan struct{}, 1),
	}
	ctx := t.Context()
	must(t, shared.plane.CreateNamespace(ctx, w.ns, nil))
	must(t, shared.plane.ApplyShipped(ctx, "rbac/namespace.yaml", w.ns))
	must(t, shared.plane.ApplyShipped(ctx, "rbac/namespace-eso.yaml", w.ns))
	must(t, plane.Apply(ctx, shared.plane.Admin, fmt.Appendf(nil, `
apiVersion: v1
kind: Secret
metadata: {name: token}
stringData: {token: %q}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: vault}
spec:
  provider:
    vault:
      server: %q
      path: %s
      version: v2
      auth: {tokenSecretRef: {name: token, key: token}}
`, token, w.manager.server.URL, mount), w.ns))
	w.watch(&corev1.SecretList{}, func(kind watch.EventType, o client.Object) {
		if s, ok := o.(*corev1.Secret); ok && s.Name != "token" {
			w.saw(kind, s)
		}
	})
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("external-secrets.io/v1")
	list.SetKind("ExternalSecretList")
	w.watch(list, w.told)
	return w
}

// watch tells of all that changes in the namespace, to the end of the test and
// without a gap: what the API server ends goes on where it ended.
func (w *world) watch(list client.ObjectList, tell func(watch.EventType, client.Object)) {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	must(w.T, shared.user.List(ctx, list, client.InNamespace(w.ns)))
	at := &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			stream, err := shared.user.Watch(ctx, list, &client.ListOptions{Namespace: w.ns, Raw: at})
			if err != nil {
				w.note(func() {
					if ctx.Err() == nil {
						w.problem("the watch cannot go on: %v", err)
					}
				})
				return
			}
			for e := range stream.ResultChan() {
				w.note(func() {
					o, ok := e.Object.(client.Object)
					if !ok {
						w.problem("the watch broke: %v", e.Object)
						cancel()
						return
					}
					at.ResourceVersion = o.GetResourceVersion()
					tell(e.Type, o)
				})
			}
			stream.Stop()
		}
	}()
	w.Cleanup(func() {
		cancel()
		<-ended
	})
}

// note takes something in, and has those look who wait for it.
func (w *world) note(what func()) {
	w.mu.Lock()
	what()
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// problem notes what must never be. The caller holds the lock.
func (w *world) problem(format string, args ...any) {
	if len(w.problems) < 10 {
		w.problems = append(w.problems, time.Now().Format(time.StampMilli)+": "+fmt.Sprintf(format, args...))
	}
}

// saw judges a Secret. The caller holds the lock.
func (w *world) saw(kind watch.EventType, s *corev1.Secret) {
	owner := types.UID("")
	if len(s.OwnerReferences) == 1 {
		owner = s.OwnerReferences[0].UID
	}
	if kind == watch.Deleted {
		delete(w.secrets, s.Name)
		if !w.deleted[owner] {
			w.problem("Secret %s is gone, and its object is there", s.Name)
		}
		return
	}
	w.events[s.Name]++
	number, _ := strconv.Atoi(s.Name[1:])
	now, err := w.generations(number, s.Data)
	if err != nil {
		w.problem("Secret %s: %s", s.Name, err)
		return
	}
	before := w.seen[s.Name]
	for i, path := range first(remotes(number)) {
		if now[i] < before[i] || now[i] > w.manager.generation(path) {
			w.problem("Secret %s has generation %d of %d: it had %d, and there is %d", s.Name, now[i], path, before[i], w.manager.generation(path))
		}
	}
	w.seen[s.Name] = now
	w.secrets[s.Name] = held{owner, now}
}

func first(path [2]int, _ [fields]int) [2]int { return path }

// generations are those in a Secret, which has one of each remote secret. It says
// what is wrong without a value.
func (w *world) generations(object int, data map[string][]byte) (out [2]int, _ error) {
	path, of := remotes(object)
	if len(data) != fields {
		return out, fmt.Errorf("it has %d keys", len(data))
	}
	for f, which := range of {
		text := string(data["k"+strconv.Itoa(f)])
		var p, generation, field int
		if _, err := fmt.Sscanf(text, canary+" %d %d %d", &p, &generation, &field); err != nil || text != value(path[which], generation, f) {
			return out, fmt.Errorf("key %d has not what it should, but %d bytes of field %d of %d", f, len(text), field, p)
		}
		if out[which] == 0 {
			out[which] = generation
		}
		if out[which] != generation {
			return out, fmt.Errorf("it has generations %d and %d of %d", out[which], generation, p)
		}
	}
	return out, nil
}

// told takes note of the status of an object. The caller holds the lock.
func (w *world) told(_ watch.EventType, o client.Object) {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return
	}
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, item := range list {
		if c, ok := item.(map[string]any); ok && c["type"] == "Ready" {
			w.ready[u.GetUID()] = c["status"] == "True"
		}
	}
}

// behind says what is not as it should be yet; it is empty when all is in sync.
// Secrets of objects that are no more belong to that.
func (w *world) behind() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, uid := range w.objects {
		number, _ := strconv.Atoi(name[1:])
		path, _ := remotes(number)
		want := held{uid, [2]int{w.manager.generation(path[0]), w.manager.generation(path[1])}}
		switch got, ok := w.secrets[name]; {
		case !ok:
			out = append(out, name+" has no Secret")
		case got.owner != uid:
			out = append(out, name+" has the Secret of its predecessor")
		case got != want:
			out = append(out, fmt.Sprintf("%s has generations %d, want %d", name, got.generations, want.generations))
		case !w.ready[uid]:
			out = append(out, name+" is not ready")
		}
	}
	for name := range w.secrets {
		if _, ok := w.objects[name]; !ok {
			out = append(out, name+" is gone, and its Secret is there")
		}
	}
	return out
}

// sound fails when something was seen that must never be.
func (w *world) sound() {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.problems) > 0 {
		for _, p := range w.problems {
			w.Error(p)
		}
		w.FailNow()
	}
}

// settle waits until all is in sync, and returns how long that took.
func (w *world) settle(reason string) time.Duration {
	w.Helper()
	began := time.Now()
	w.until(reason, func() error {
		if left := w.behind(); len(left) > 0 {
			return fmt.Errorf("%d are behind: %s", len(left), left[0])
		}
		return nil
	})
	w.sound()
	return time.Since(began)
}

// until waits until a condition holds. It looks when something was seen in the
// namespace, and now and then.
func (w *world) until(reason string, holds func() error) {
	w.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-w.changed:
		case <-tick.C:
		case <-end.C:
			w.sound()
			w.Fatalf("%s: it did not happen: %v", reason, err)
		}
	}
}

// object is an ExternalSecret.
func (w *world) object(name string) *unstructured.Unstructured {
	number, _ := strconv.Atoi(name[1:])
	path, of := remotes(number)
	var data []any
	for f, which := range of {
		data = append(data, map[string]any{
			"secretKey": "k" + strconv.Itoa(f),
			"remoteRef": map[string]any{"key": strconv.Itoa(path[which]), "property": "f" + strconv.Itoa(f)},
		})
	}
	out := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"refreshInterval": w.every,
		"secretStoreRef":  map[string]any{"name": "vault", "kind": "SecretStore"},
		"data":            data,
	}}}
	out.SetAPIVersion("external-secrets.io/v1")
	out.SetKind("ExternalSecret")
	out.SetNamespace(w.ns)
	out.SetName(name)
	return out
}

// create makes objects, eight at a time.
func (w *world) create(names ...string) error {
	return each(names, func(name string) error {
		o := w.object(name)
		// Who looks after it may be quicker than our note of it.
		if err := shared.user.Create(w.Context(), o); err != nil {
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.objects[name] = o.GetUID()
		return nil
	})
}

// remove deletes objects.
func (w *world) remove(names ...string) error {
	return each(names, func(name string) error {
		w.mu.Lock()
		w.deleted[w.objects[name]] = true
		delete(w.objects, name)
		w.mu.Unlock()
		return shared.user.Delete(w.Context(), w.object(name))
	})
}

// touch annotates objects, by which people ask for a sync.
func (w *world) touch(mark string, names ...string) error {
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"force-sync":"`+mark+`"}}}`))
	return each(names, func(name string) error { return shared.user.Patch(w.Context(), w.object(name), patch) })
}

// each does something for each name, eight at a time, and returns one of the
// errors.
func each(names []string, do func(string) error) error {
	queue, failed := make(chan string), make(chan error, len(names))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for name := range queue {
				if err := do(name); err != nil {
					failed <- err
				}
			}
		})
	}
	for _, name := range names {
		queue <- name
	}
	close(queue)
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// names are those of objects.
func names(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, "o"+strconv.Itoa(i))
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
