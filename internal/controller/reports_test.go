// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/internal/cluster"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// A clerk is reports that are written to nowhere, in 10 ms each, and a record of
// that.
type clerk struct {
	*reports
	t    *testing.T
	stop func()

	mu      sync.Mutex
	written []string // "NAME BEFORE AFTER"
	fails   int      // so many writes from now on
	running int
	most    int
}

// withClerk runs a test on virtual time.
func withClerk(t *testing.T, test func(t *testing.T, d *clerk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &clerk{t: t}
		d.reports = newReports(d.put)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			d.run(ctx)
			close(ended)
		}()
		d.stop = func() { cancel(); <-ended }
		defer d.stop()
		synctest.Wait()
		test(t, d)
	})
}

func (d *clerk) put(ctx context.Context, req reconcile.Request, before, after client.Object) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running++
	d.most = max(d.most, d.running)
	d.mu.Unlock()
	time.Sleep(10 * time.Millisecond)
	d.mu.Lock()
	d.running--
	if d.fails > 0 {
		d.fails--
		return errors.New("no")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.written = append(d.written, req.Name+" "+text(before)+" "+text(after))
	return nil
}

// edition is an object with a status that says so.
func edition(version, status string) client.Object {
	return &v1.ExternalSecret{
		ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: version},
		Status:     v1.ExternalSecretStatus{SyncedResourceVersion: status},
	}
}

func text(o client.Object) string {
	es, _ := o.(*v1.ExternalSecret)
	return es.Status.SyncedResourceVersion
}

func named(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
}

// sync is what a Reconcile does with an object as the cache has it: it is judged,
// and gets a status.
func (d *clerk) sync(name string, cached client.Object, status string) {
	defer d.look(named(name))()
	obj := d.latest(named(name), cached)
	d.later(named(name), obj, edition(obj.GetResourceVersion(), status))
}

// count is how many were written, and how many of them together.
func (d *clerk) count() (written, together int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.written), d.most
}

// fail makes so many writes fail.
func (d *clerk) fail(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = n
}

// wantAll is want of those that are written in any order.
func (d *clerk) wantAll(reason string, want ...string) {
	d.t.Helper()
	d.mu.Lock()
	slices.Sort(d.written)
	d.mu.Unlock()
	d.want(reason, want...)
}

func (d *clerk) want(reason string, want ...string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.written, want) {
		d.t.Errorf("%s: written were %q, want %q", reason, d.written, want)
	}
	d.written = nil
}

func TestStatusesWaitForSecrets(t *testing.T) {
	withClerk(t, func(t *testing.T, d *clerk) {
		done := d.writing()
		d.sync("a", edition("1", "0"), "1")
		d.sync("b", edition("1", "0"), "1")
		time.Sleep(patience / 2)
		d.want("a Secret is being written")
		done()
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		d.wantAll("none is", "a 0 1", "b 0 1")
	})
}

func TestStatusesWaitNotForEver(t *testing.T) {
	withClerk(t, func(t *testing.T, d *clerk) {
		defer d.writing()()
		for i := range 100 {
			d.sync(strconv.Itoa(i), edition("1", "0"), "1")
		}
		time.Sleep(patience)
		synctest.Wait()
		d.want("their time is not over")
		time.Sleep(time.Second)
		if n, most := d.count(); n != 100 || most != few {
			t.Errorf("%d of 100 were written within a second, %d together, want all, %d together", n, most, few)
		}
	})
}

func TestManyStatuses(t *testing.T) {
	withClerk(t, func(t *testing.T, d *clerk) {
		for i := range 10 * workers {
			d.sync(strconv.Itoa(i), edition("1", "0"), "1")
		}
		time.Sleep(105 * time.Millisecond)
		if n, most := d.count(); n != 10*workers || most != workers {
			t.Errorf("%d of %d were written in the time of ten, %d together, want %d", n, 10*workers, most, workers)
		}
		synctest.Wait()
		if n := cap(d.order); n > 0 {
			t.Errorf("room for %d is kept when none waits", n)
		}
	})
}

// While the status of an object waits, the next one takes its place, and while the
// object is looked at it is not written.
func TestNextStatus(t *testing.T) {
	now := func(d *clerk, name string, cached client.Object, status string) {
		defer d.look(named(name))()
		obj := d.latest(named(name), cached)
		before := d.instead(named(name), obj)
		_ = d.put(d.t.Context(), named(name), before, edition("2", status))
	}
	for name, c := range map[string]struct {
		reason string
		then   func(d *clerk) // after a status "1" of an object with "0" waits
		want   []string
	}{
		"nothing":                      {"", func(*clerk) {}, []string{"a 0 1"}},
		"another":                      {"one write for both", func(d *clerk) { d.sync("a", edition("1", "0"), "2") }, []string{"a 0 2"}},
		"two others":                   {"one write for all", func(d *clerk) { d.sync("a", edition("1", "0"), "2"); d.sync("a", edition("1", "0"), "3") }, []string{"a 0 3"}},
		"another edition":              {"the object was changed by somebody else", func(d *clerk) { d.sync("a", edition("2", "x"), "2") }, []string{"a x 2"}},
		"another object":               {"of the same name", func(d *clerk) { o := edition("1", "y"); o.SetUID("v"); d.sync("a", o, "2") }, []string{"a y 2"}},
		"a failure":                    {"it is told at once, and with what it replaces", func(d *clerk) { now(d, "a", edition("1", "0"), "2") }, []string{"a 0 2"}},
		"a failure of another edition": {"", func(d *clerk) { now(d, "a", edition("2", "x"), "2") }, []string{"a x 2"}},
		"it is in sync":                {"and that is what waits", func(d *clerk) { d.settled(named("a"), d.latest(named("a"), edition("1", "0"))) }, []string{"a 0 1"}},
		"another is in sync":           {"what waits is out of date", func(d *clerk) { d.settled(named("a"), edition("2", "x")) }, nil},
		"it is gone":                   {"", func(d *clerk) { d.drop(named("a")) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			withClerk(t, func(t *testing.T, d *clerk) {
				done := d.writing()
				d.sync("a", edition("1", "0"), "1")
				c.then(d)
				done()
				time.Sleep(time.Second)
				d.want(c.reason, c.want...)
			})
		})
	}
}

func TestStatusWhileLookedAt(t *testing.T) {
	withClerk(t, func(t *testing.T, d *clerk) {
		look := d.look(named("a"))
		d.later(named("a"), edition("1", "0"), edition("1", "1"))
		d.sync("b", edition("1", "0"), "1")
		time.Sleep(time.Minute)
		d.want("a is looked at", "b 0 1")
		look()
		synctest.Wait() // it is being written
		began := time.Now()
		d.look(named("a"))()
		if time.Since(began) == 0 {
			t.Error("a is looked at while its status is being written")
		}
		d.want("and then not any more", "a 0 1")
	})
}

func TestStatusFails(t *testing.T) {
	withClerk(t, func(t *testing.T, d *clerk) {
		d.fail(5)
		d.sync("a", edition("1", "0"), "1")
		d.sync("b", edition("1", "0"), "1")
		time.Sleep(time.Minute)
		d.wantAll("they are tried again", "a 0 1", "b 0 1")
	})
}

func TestStatusesAtTheEnd(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		fails  int
		want   int
	}{
		"all":           {"a Secret that is being written is no reason to wait", 0, 100},
		"some":          {"what fails then is left to the next process", 10, 90},
		"no API server": {"there is an end", 1000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			withClerk(t, func(t *testing.T, d *clerk) {
				defer d.writing()()
				for i := range 100 {
					d.sync(strconv.Itoa(i), edition("1", "0"), "1")
				}
				d.fail(c.fails)
				began := time.Now()
				d.stop()
				if n, _ := d.count(); n != c.want {
					t.Errorf("%s: %d of 100 were written, want %d", c.reason, n, c.want)
				}
				if took := time.Since(began); took > goodbye {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestStatusUnderWayAtTheEnd(t *testing.T) {
	withClerk(t, func(t *testing.T, d *clerk) {
		d.sync("a", edition("1", "0"), "1")
		synctest.Wait() // it is being written
		d.stop()
		d.want("the write was broken off, and is made again", "a 0 1")
	})
}

// A status that waited is of one object, not of a name.
func TestStatusOfAnotherObject(t *testing.T) {
	for what, c := range map[string]struct {
		judged types.UID // of the object that the status is of
		there  bool      // an object of this name
		want   string
	}{
		"the same":            {"uid-1", true, "1"},
		"another of its name": {"uid-0", true, ""},
		"it is gone":          {"uid-1", false, ""},
	} {
		t.Run(what, func(t *testing.T) {
			api := &apiServer{pause: func(time.Duration) {}, objects: map[name]client.Object{}, events: make(chan event, 10)}
			before := &v1.ExternalSecret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a"}}
			if c.there {
				api.put(before) // with the UID uid-1
			}
			before.SetUID(c.judged)
			after := before.DeepCopy()
			after.Status.SyncedResourceVersion = "1"
			r := &Reconciler{Dialect: ESO(eso.Settings{}), Objects: api, Writer: cluster.Writer{Client: api}}
			req := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(before)}
			if err := r.reportLate(t.Context(), req, before, after); err != nil {
				t.Fatal(err)
			}
			now := &v1.ExternalSecret{}
			if err := api.Get(t.Context(), req.NamespacedName, now); client.IgnoreNotFound(err) != nil {
				t.Fatal(err)
			}
			if got := now.Status.SyncedResourceVersion; got != c.want {
				t.Errorf("the status is %q, want %q", got, c.want)
			}
		})
	}
}

// An object that goes takes its waiting status with it.
func TestForgottenStatus(t *testing.T) {
	withClerk(t, func(t *testing.T, d *clerk) {
		r := &Reconciler{reports: d.reports}
		done := d.writing()
		d.sync("a", edition("1", "0"), "1")
		r.forget(named("a"), func(spec.ID) {})
		done()
		time.Sleep(time.Second)
		d.want("it is gone")
	})
}
