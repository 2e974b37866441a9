// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func request(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "ns", Name: name}}
}

func manifest(name, secret string, stores ...string) spec.Spec {
	s := spec.Spec{
		Object: spec.Object{Dialect: backend.ESO, Kind: "ExternalSecret", Namespace: "ns", Name: name},
		Target: spec.Target{Namespace: "ns", Name: secret},
	}
	for _, store := range stores {
		s.Entries = append(s.Entries, spec.Entry{Store: spec.StoreKey{Kind: "SecretStore", Namespace: "ns", Name: store}})
	}
	return s
}

func storeKey(name string) spec.StoreKey {
	return spec.StoreKey{Kind: "SecretStore", Namespace: "ns", Name: name}
}

func TestWhomADependencyWakes(t *testing.T) {
	var ts targets
	if ts.put(request("a"), manifest("a", "target", "s", "s", "other")) {
		t.Error("a newcomer is known")
	}
	b := manifest("b", "target", "s")
	b.Target.Program = &spec.Program{From: []spec.TemplateFrom{{Source: spec.Source{Kind: "ConfigMap", Name: "cm"}}}}
	ts.put(request("b"), b)
	templates := source{spec.Source{Kind: "ConfigMap", Name: "cm"}, "ns"}
	want := func(what string, got []reconcile.Request, names ...string) {
		t.Helper()
		var list []string
		for _, req := range got {
			list = append(list, req.Name)
		}
		slices.Sort(list)
		if !slices.Equal(list, names) {
			t.Errorf("%s wakes %v, want %v", what, list, names)
		}
	}
	secret := types.NamespacedName{Namespace: "ns", Name: "target"}
	want("the Secret", ts.following(secret, "1"), "a", "b")
	want("the store", ts.using(storeKey("s")), "a", "b")
	want("another store", ts.using(storeKey("other")), "a")
	want("the template", ts.templated(templates), "b")
	want("a template elsewhere", ts.templated(source{templates.Source, "elsewhere"}))
	want("the namespace", ts.in("ns"), "a", "b")

	ts.wrote(request("a"), "2")
	want("our own write", ts.following(secret, "2"), "b")
	want("the deletion", ts.following(secret, ""), "a", "b")
	orphan := manifest("a", "target", "s")
	orphan.Target.Creation = spec.Orphan
	if !ts.put(request("a"), orphan) {
		t.Error("an old one is not known")
	}
	want("an orphan's Secret", ts.following(secret, "3"), "b")
	want("a store that is used no more", ts.using(storeKey("other")))

	ts.remove(request("a"))
	ts.remove(request("b"))
	if n := len(ts.bySecret) + len(ts.byStore) + len(ts.bySource) + len(ts.objects) + len(ts.alone); n > 0 {
		t.Errorf("%d entries are left of objects that are gone", n)
	}
}

func TestTouched(t *testing.T) {
	var ts targets
	ts.put(request("a"), manifest("a", "target"))
	at := func(version string) *spec.Secret { return &spec.Secret{ResourceVersion: version} }
	if ts.untouched(request("a"), at("1")) {
		t.Error("a Secret that nobody saw counts as untouched")
	}
	ts.saw(request("a"), at("1"))
	if !ts.untouched(request("a"), at("1")) || ts.untouched(request("a"), at("2")) || ts.untouched(request("a"), nil) {
		t.Error("it is untouched only as it was seen")
	}
	ts.put(request("a"), manifest("a", "renamed"))
	if ts.untouched(request("a"), at("1")) {
		t.Error("the version of another Secret counts")
	}
}

func TestForce(t *testing.T) {
	var ts targets
	ts.put(request("a"), manifest("a", "target"))
	for i, tc := range []struct {
		asked string
		want  bool
	}{{"", false}, {"x", true}, {"x", false}, {"y", true}, {"", false}, {"y", false}} {
		if got := ts.force(request("a"), tc.asked); got != tc.want {
			t.Errorf("%d: %q is forced: %t, want %t", i, tc.asked, got, tc.want)
		}
	}
}

// What was read for a listing must be followed without a gap, or it would be
// read again each time the object is looked at.
func TestExpanded(t *testing.T) {
	var ts targets
	ts.put(request("a"), manifest("a", "target"))
	find := plan.Find{Store: storeKey("s"), Query: backend.Query{Name: "x"}}
	base := plan.Plan{Finds: []plan.Find{find}}
	whole := base
	whole.Reads = []plan.Read{{Store: storeKey("s"), Refs: []backend.Ref{{Path: "x1"}}}}
	if got := ts.expanded(request("a"), base); len(got.Reads) != 0 {
		t.Errorf("before the first listing it follows %v", got.Reads)
	}
	if !ts.expand(request("a"), whole) || ts.expand(request("a"), whole) {
		t.Error("only the first time there is something new")
	}
	if got := ts.expanded(request("a"), base); len(got.Reads) != 1 {
		t.Errorf("what the listing yielded is dropped: %v", got.Reads)
	}
	other := plan.Plan{Finds: []plan.Find{{Store: storeKey("s"), Query: backend.Query{Name: "y"}}}}
	if got := ts.expanded(request("a"), other); len(got.Reads) != 0 {
		t.Errorf("another search follows what the old one yielded: %v", got.Reads)
	}
}

func TestDeps(t *testing.T) {
	var d deps
	secret := feed.Dep{Kind: "Secret", Namespace: "ns", Name: "login"}
	ca := feed.Dep{Kind: "ConfigMap", Namespace: "ns", Name: "ca"}
	d.set(request("a"), []feed.Dep{secret, ca})
	d.set(request("b"), []feed.Dep{secret})
	if got := d.on(secret); len(got) != 2 {
		t.Errorf("the Secret concerns %v", got)
	}
	d.set(request("a"), []feed.Dep{ca})
	if got := d.on(secret); len(got) != 1 || got[0].Name != "b" {
		t.Errorf("a store asks for it no more, and it concerns %v", got)
	}
	d.set(request("a"), nil)
	d.set(request("b"), nil)
	if n := len(d.of) + len(d.using); n > 0 {
		t.Errorf("%d entries are left", n)
	}
}

func TestLook(t *testing.T) {
	r := &Reconciler{}
	soon := time.Now().Add(time.Minute)
	for name, tc := range map[string]struct {
		reason   string
		refresh  spec.Refresh
		creation spec.Creation
		want     time.Duration // about
	}{
		"Most":         {"the feed wakes it", spec.Refresh{Every: time.Hour}, spec.Owner, 0},
		"Window":       {"when its window opens or closes", spec.Refresh{Every: time.Hour, Mode: spec.Pinned, Change: soon}, spec.Owner, time.Minute},
		"Orphan":       {"an orphan's Secret is repaired at its interval", spec.Refresh{Every: time.Hour}, spec.Orphan, time.Hour},
		"OrphanWindow": {"whatever comes first", spec.Refresh{Every: time.Hour, Change: soon}, spec.Orphan, time.Minute},
		"OrphanPinned": {"or never", spec.Refresh{Mode: spec.Pinned}, spec.Orphan, 0},
	} {
		got := r.look(spec.Spec{Refresh: tc.refresh, Target: spec.Target{Creation: tc.creation}})
		if (got == 0) != (tc.want == 0) || got > tc.want || got < tc.want-10*time.Second {
			t.Errorf("%s: %s: looks again after %v, want %v", name, tc.reason, got, tc.want)
		}
	}
}

// TestEchoes: what is heard of a Secret while it is being written is judged by what
// was written.
func TestEchoes(t *testing.T) {
	const ours, older, others = "2", "1", "3"
	secret := types.NamespacedName{Namespace: "ns", Name: "target"}
	for name, tc := range map[string]struct {
		reason string
		events []string // versions, while it is being written
		fails  bool
		want   bool // that it is looked at again
	}{
		"none":     {reason: "the event comes later"},
		"echo":     {reason: "it is what was written", events: []string{ours}},
		"before":   {reason: "what was there is gone by now", events: []string{older, ours}},
		"after":    {reason: "somebody wrote it since", events: []string{ours, others}, want: true},
		"refused":  {reason: "somebody wrote it, and so ours was refused", events: []string{others}, fails: true, want: true},
		"late":     {reason: "it was known when the write began", events: []string{older}, fails: true},
		"deleted":  {reason: "it has to be made again", events: []string{ours, ""}, want: true},
		"no event": {reason: "nothing happened", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, object := range []string{"a", "target"} { // whatever the Secret is called
				var ts targets
				ts.put(request(object), manifest(object, "target"))
				ts.wrote(request(object), older)
				ts.begin(request(object))
				for _, version := range tc.events {
					if woken := ts.following(secret, version); len(woken) > 0 {
						t.Errorf("%s: version %q wakes at once", tc.reason, version)
					}
				}
				if got := ts.end(request(object), ours, !tc.fails); got != tc.want {
					t.Errorf("%s: it is looked at again: %t, want %t", tc.reason, got, tc.want)
				}
				if woken := ts.following(secret, ours); (len(woken) > 0) != tc.fails {
					t.Errorf("%s: the event of our write wakes %v afterwards", tc.reason, woken)
				}
			}
		})
	}
}

// TestSecretEvents: an event tells what the Secret is, not what it was.
func TestSecretEvents(t *testing.T) {
	at := func(version string, deleting bool) client.Object {
		out := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "target", ResourceVersion: version}}
		if deleting {
			out.DeletionTimestamp = &metav1.Time{Time: time.Now()}
		}
		return out
	}
	for name, tc := range map[string]struct {
		reason string
		tell   func(handler.EventHandler, workqueue.TypedRateLimitingInterface[reconcile.Request])
		want   int
	}{
		"Echo": {"it was another before, and is ours now", func(h handler.EventHandler, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			h.Update(t.Context(), ctrlevent.UpdateEvent{ObjectOld: at("1", false), ObjectNew: at("2", false)}, q)
		}, 0},
		"Changed": {"it was ours, and is another now", func(h handler.EventHandler, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			h.Update(t.Context(), ctrlevent.UpdateEvent{ObjectOld: at("2", false), ObjectNew: at("3", false)}, q)
		}, 1},
		"Deleting": {"it goes", func(h handler.EventHandler, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			h.Update(t.Context(), ctrlevent.UpdateEvent{ObjectOld: at("2", false), ObjectNew: at("2", true)}, q)
		}, 1},
		"Created": {"our own", func(h handler.EventHandler, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			h.Create(t.Context(), ctrlevent.CreateEvent{Object: at("2", false)}, q)
		}, 0},
		"Deleted": {"a watch that was broken tells it by the last version that it saw", func(h handler.EventHandler, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			h.Delete(t.Context(), ctrlevent.DeleteEvent{Object: at("2", false), DeleteStateUnknown: true}, q)
		}, 1},
	} {
		r := &Reconciler{}
		r.targets.put(request("a"), manifest("a", "target"))
		r.targets.wrote(request("a"), "2")
		q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		tc.tell(r.secrets(), q)
		if n := q.Len(); n != tc.want {
			t.Errorf("%s: %s: it wakes %d, want %d", name, tc.reason, n, tc.want)
		}
		q.ShutDown()
	}
}
