// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	esv1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/internal/cluster"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/gather"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// seedVariable chooses the one run to repeat. The steps are the same then, and
// the delays but for the order in which goroutines ask for one.
const seedVariable = "LOCKSTEP_SEED"

// TestIsolation drives the reconcilers through random clusters. Every value names
// who logged in where to read it. Whatever happens, no Secret is written with a
// value that its object could not read itself: at the moment of the write the
// manifest asks for it, through a store that the namespace may use, with
// credentials that the store has or had since the namespace may use it. And when
// all is quiet, nothing is read that nobody may have.
func TestIsolation(t *testing.T) {
	var seeds []uint64
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = []uint64{seed}
	}
	for len(seeds) == 0 || os.Getenv(seedVariable) == "" && len(seeds) < 5 {
		seeds = append(seeds, rand.Uint64()) //nolint:gosec // it is printed, and may be known
	}
	for _, seed := range seeds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Logf("to repeat: %s=%d", seedVariable, seed)
			synctest.Test(t, func(t *testing.T) { newRealm(t, seed).live() })
		})
	}
}

// realm is a cluster with everything that runs in it.
type realm struct {
	t    *testing.T
	rand *rand.Rand // chooses the steps, whatever comes of them
	api  *apiServer
	bank *bank

	watch  *watch
	eso    *Reconciler
	queues map[string]workqueue.TypedRateLimitingInterface[reconcile.Request]

	delays struct {
		sync.Mutex
		*rand.Rand
	}
	// The rest is guarded by the lock of the API server.
	rights map[right]map[string]bool // signatures, since the namespace may use the store
	former map[types.NamespacedName]replaced
	quiet  time.Time // since when nothing was changed
	writes int
	values int
	reads  int
}

// replaced is a manifest that there is no more, and since when.
type replaced struct {
	manifest *esv1.ExternalSecret
	at       time.Time
}

// right is that a namespace may use a store.
type right struct {
	store     spec.StoreKey
	namespace string
}

// objects is how many a namespace has.
const objects = 6

var (
	tenantNames = []string{"team-a", "team-b", "team-ab", "ops"}
	bankPaths   = []string{"p-0", "p-1", "p-2", "p-3", "doc-0", "doc-1"}
	storeNames  = []string{"main", "side"}
)

func newRealm(t *testing.T, seed uint64) *realm {
	r := &realm{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // a test that can be repeated
		rights: map[right]map[string]bool{}, former: map[types.NamespacedName]replaced{},
		queues: map[string]workqueue.TypedRateLimitingInterface[reconcile.Request]{},
	}
	r.delays.Rand = rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // as above
	r.api = &apiServer{pause: r.pause, objects: map[name]client.Object{}, writes: r.written, events: make(chan event, 10_000)}
	r.bank = &bank{pause: r.pause, reads: r.read, serial: map[string]int{}}
	drivers := spec.Drivers{"bank": r.bank.driver()}
	r.watch = &watch{waker: &waker{}}
	r.watch.feed = feed.New(feed.Options{Drivers: drivers, Wake: r.watch.waker.wake, CacheBytes: 2000})
	g := gather.Gatherer{Live: live{r.api}, Cached: r.api}
	d := ESO(eso.Settings{Drivers: drivers})
	w := cluster.Writer{Client: r.api}
	r.eso = &Reconciler{Dialect: d, Drivers: drivers, Adopt: diff.AdoptMerge, Objects: r.api, Gatherer: g, Feed: r.watch.feed, Writer: w}
	r.eso.reports = newReports(r.eso.reportLate)
	r.eso.wake = func(req reconcile.Request) { r.queues["eso"].Add(req) }
	r.watch.reconcilers = []*Reconciler{r.eso}
	for _, kind := range d.Stores {
		r.watch.stores = append(r.watch.stores, &StoreReconciler{Store: kind, Objects: r.api, Gatherer: g, Feed: r.watch.feed, Writer: w})
	}
	return r
}

// pause waits for up to so long.
func (r *realm) pause(most time.Duration) {
	r.delays.Lock()
	d := r.delays.Int64N(int64(most))
	r.delays.Unlock()
	time.Sleep(time.Duration(d)) // virtual
}

// serve runs a queue as controller-runtime does.
func (r *realm) serve(ctx context.Context, running *sync.WaitGroup, queue string, workers int, do reconcile.Reconciler) {
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	r.queues[queue] = q
	r.watch.waker.use(queue, q)
	for range workers {
		running.Go(func() {
			for {
				req, shutdown := q.Get()
				if shutdown {
					return
				}
				result, err := do.Reconcile(ctx, req)
				switch {
				case err != nil:
					q.AddRateLimited(req)
				case result.RequeueAfter > 0:
					q.Forget(req)
					q.AddAfter(req, result.RequeueAfter)
				default:
					q.Forget(req)
				}
				q.Done(req)
			}
		})
	}
}

// tell hands on what a watch would tell, a little later.
func (r *realm) tell(ctx context.Context) {
	for e := range r.api.events {
		r.pause(latency)
		o := e.after
		if o == nil {
			o = e.before
		}
		req := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)}
		edited := e.before == nil || e.after == nil || e.before.GetGeneration() != e.after.GetGeneration()
		marked := edited || fmt.Sprint(e.before.GetLabels(), e.before.GetAnnotations()) != fmt.Sprint(e.after.GetLabels(), e.after.GetAnnotations())
		var wake []reconcile.Request
		switch kind := kindOf(o); {
		case kind == "Secret":
			r.watch.changed(kind, o)
			wake = r.eso.bySecret(o, e.after == nil)
		case kind == "Namespace" && marked:
			wake = r.eso.byNamespace(ctx, o)
		case kind == "ExternalSecret" && marked:
			wake = append(wake, req)
		case strings.HasSuffix(kind, "SecretStore") && edited:
			wake = r.eso.byStore(kind)(ctx, o)
			r.queues[kind].Add(req)
		}
		for _, req := range wake {
			r.queues["eso"].Add(req)
		}
	}
}

// live is one run.
func (r *realm) live() {
	ctx, cancel := context.WithCancel(r.t.Context())
	var running sync.WaitGroup
	r.serve(ctx, &running, "eso", 3, r.eso)
	for _, s := range r.watch.stores {
		r.serve(ctx, &running, s.Store.Kind, 2, s)
	}
	running.Go(func() { r.watch.feed.Run(ctx) })
	running.Go(func() { r.eso.reports.run(ctx) })
	running.Go(func() { r.tell(ctx) })
	r.change(r.found)
	for range 400 {
		r.change(r.step)
		switch r.rand.IntN(6) {
		case 0: // while stores are being opened
			time.Sleep(time.Duration(r.rand.Int64N(int64(2 * latency)))) // virtual
			r.change(func() { r.rotate(pick(r, tenantNames...), pick(r, "creds-0", "creds-1")) })
		case 1, 2:
			time.Sleep(time.Second) // virtual
			r.snatch()
		}
		most := pick(r, time.Second, 5*time.Second, 20*time.Second, 2*time.Minute)
		time.Sleep(100*time.Millisecond + time.Duration(r.rand.Int64N(int64(most)))) // virtual
	}
	r.change(r.repair)
	time.Sleep(15 * time.Minute) // virtual
	r.change(r.current)
	r.change(func() { // and again, of what is in the cache
		for n, o := range r.api.objects {
			if n.kind == "Secret" && metav1.GetControllerOf(o) != nil {
				r.api.remove(n)
			}
		}
	})
	time.Sleep(9 * time.Second) // virtual; less than an interval
	r.change(r.current)
	cancel()
	for _, q := range r.queues {
		q.ShutDown()
	}
	close(r.api.events)
	running.Wait()
	r.t.Logf("%d Secrets written with %d values, %d reads", r.writes, r.values, r.reads)
	if r.writes < 50 || r.values < 100 {
		r.t.Error("too little to prove anything")
	}
}

// change changes the cluster, and notes who may have what from then on.
func (r *realm) change(do func()) {
	r.api.mu.Lock()
	defer r.api.mu.Unlock()
	do()
	r.note()
	r.quiet = time.Now()
}

func pick[T any](r *realm, list ...T) T { return list[r.rand.IntN(len(list))] }

// snatch takes permissions away while Secrets are being written.
func (r *realm) snatch() {
	ns := pick(r, tenantNames...)
	r.change(func() {
		for i := range objects {
			r.api.remove(name{"Secret", types.NamespacedName{Namespace: ns, Name: "object-" + strconv.Itoa(i)}})
		}
	})
	time.Sleep(time.Duration(r.rand.Int64N(int64(8 * latency)))) // virtual
	store := pick(r, storeNames...)
	r.change(pick(r,
		func() {
			for i := range objects {
				r.want(ns, "object-"+strconv.Itoa(i))
			}
		},
		func() { r.label(ns) },
		func() { r.configure(eso.KindClusterStore, "", store) },
		func() { r.api.remove(name{eso.KindStore, types.NamespacedName{Namespace: ns, Name: store}}) },
		func() { r.api.remove(name{eso.KindClusterStore, types.NamespacedName{Name: store}}) },
	))
}
