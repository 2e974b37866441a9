// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

// TestLeaderIsStopped: a leader that is stopped for longer than its lease lasts,
// as a machine that sleeps does, is not the leader any more when it goes on. What
// it knew then is old: it must not put that back.
//
// The values that matter are those that it does not read again at once when it
// goes on, because they are not due for long. The new leader reads them because a
// person asks for a sync.
func TestLeaderIsStopped(t *testing.T) {
	w := newWorld(t, "1h")
	one, two := newGateway(t), newGateway(t)
	elects := []string{"--leader-elect", "--leader-election-namespace", plane.Namespace}
	all := names(0, 2*paths)
	must(t, w.create(all...))
	old := w.run(one.access, elects...)
	w.settle("the first one leads")
	next := w.run(two.access, elects...)
	w.until("the second one waits for the lease", func() error {
		if two.election() == 0 {
			return errors.New("it did not ask for it")
		}
		return nil
	})
	leader := w.leader()
	if n := two.writes(0); len(n) > 0 {
		t.Errorf("the second one wrote %v, and did not lead", n)
	}

	must(t, old.signal(syscall.SIGSTOP))
	w.until("the second one leads", func() error {
		if w.leader() == leader {
			return fmt.Errorf("the leader is %s", leader)
		}
		return nil
	})
	w.manager.rotate()
	must(t, w.touch("1", all...))
	w.settle("the second one reads and writes")

	before := len(one.writes(0))
	must(t, old.signal(syscall.SIGCONT))
	began := time.Now()
	w.until("the first one ends", func() error {
		select {
		case <-old.gone:
			return nil
		default:
			return errors.New("it runs")
		}
	})
	t.Logf("the first one ended %s after it went on", time.Since(began))
	if old.err == nil {
		t.Error("it ended well, and nobody would start it again")
	}
	if wrote := one.writes(before); len(wrote) > 0 {
		slices.Sort(wrote)
		t.Errorf("the first one wrote %d times after it lost the lease, among them %s", len(wrote), wrote[len(wrote)-1])
	}
	w.sound()

	before = len(one.writes(0))
	again := w.run(one.access, elects...) // as the kubelet does
	w.manager.rotate()
	must(t, w.touch("2", all...))
	w.settle("the second one leads on")
	for _, p := range []*program{again, next} {
		must(t, p.alive())
	}
	if n := one.writes(before); len(n) > 0 {
		t.Errorf("the first one wrote %v, and does not lead", n)
	}
}

// leader is who holds the lease.
func (w *world) leader() string {
	w.Helper()
	lease := &unstructured.Unstructured{}
	lease.SetAPIVersion("coordination.k8s.io/v1")
	lease.SetKind("Lease")
	must(w.T, shared.user.Get(w.Context(), types.NamespacedName{Namespace: plane.Namespace, Name: "lockstep-controller"}, lease))
	holder, _, _ := unstructured.NestedString(lease.Object, "spec", "holderIdentity")
	return strings.TrimSpace(holder)
}

// away is for how long the API server is. A client whose requests hang learns of
// it within that, after 45 seconds, by the ping of its connection.
const away = time.Minute

// TestAPIServerAway: nobody who reads the manager hears of it, and all is current
// once it is back.
func TestAPIServerAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		cut    cut
	}{
		"resets": {"nobody listens at its address", resets},
		"hangs":  {"it takes requests and does not answer", hangs},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "2s")
			g := newGateway(t)
			must(t, w.create(names(0, 2*paths)...))
			p := w.run(g.access, "--leader-elect=false")
			w.settle("the first sync")

			asked, began := w.manager.asked(), time.Now()
			g.become(c.cut)
			w.manager.rotate()
			must(t, w.remove(names(0, paths/2)...))
			must(t, w.create(names(2*paths, 3*paths)...))
			half, whole := time.NewTimer(away/2), time.NewTimer(away)
			<-half.C
			w.manager.rotate()
			<-whole.C
			must(t, p.alive())
			// Each in its turn, and once more for each rotation, because others changed.
			if n, most := w.manager.asked()-asked, paths*int(time.Since(began)/(2*time.Second)+2+2); n > most {
				t.Errorf("%s: the manager was asked %d times meanwhile, want at most %d", c.reason, n, most)
			}
			before := len(g.writes(0))
			g.become(passes)
			t.Logf("%s: all was current %s after it was back", c.reason, w.settle("it is back"))
			must(t, p.alive())
			// A Secret and a status of each, and once more for the value that came
			// while the one before was being written.
			if n := len(g.writes(before)); n > 4*3*paths {
				t.Errorf("%s: %d writes after it was back", c.reason, n)
			}
		})
	}
}

// TestDeletedUnseen: an object is deleted, and of all events that of its Secret
// comes first. The Secret is not made again, for the garbage collector to take it
// once more, and so on.
func TestDeletedUnseen(t *testing.T) {
	w := newWorld(t, "2s")
	g := newGateway(t)
	all := names(0, 2)
	must(t, w.create(all...))
	p := w.run(g.access, "--leader-elect=false")
	w.settle("the first sync")
	g.belate(true)
	w.polled(4) // it goes on with what it knows
	before, looked := len(g.writes(0)), g.looked()
	must(t, w.remove(all[0]))
	w.until("the Secret is missed", func() error {
		if g.looked() == looked && len(g.writes(before)) == 0 {
			return errors.New("nothing was asked")
		}
		return nil
	})
	if made := g.writes(before); len(made) > 0 {
		t.Errorf("the object is gone, and there was %q", made)
	}
	g.belate(false)
	w.settle("the events came")
	must(t, p.alive())
}
