// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"math/rand/v2"
	"testing"
	"time"
)

const (
	// crowd is how many objects there are in each of four namespaces at a time.
	crowd = 50
	// kills is how many there are in each of them.
	kills = 25
)

// TestKilled: SIGKILL at a hundred random moments. The moments are those of the
// time that a sync takes when nobody disturbs it, so they are in all its parts.
func TestKilled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		lane   uint64 // of the random numbers
		turn   func(k *killing, turn int)
	}{
		"first sync, one":   {"objects go and come while it runs, or while it does not", 1, (*killing).renew},
		"first sync, two":   {"the same at other moments", 2, (*killing).renew},
		"rotation, one":     {"all values change", 3, (*killing).rotation},
		"rotation, another": {"the same at other moments", 4, (*killing).rotation},
	} {
		t.Run(name, func(t *testing.T) {
			k := &killing{world: newWorld(t, "1s"), random: rand.New(rand.NewPCG(shared.seed, c.lane))} //nolint:gosec // which moments is no secret
			k.live, k.spare = names(0, crowd), names(crowd, crowd+crowd/10)
			must(t, k.create(k.live...))
			k.start()
			k.first = k.settle("a first sync")
			began := time.Now()
			for turn := range kills {
				c.turn(k, turn)
			}
			if k.hits < kills/4 {
				t.Errorf("%d of %d kills were before all was in sync: the others test nothing", k.hits, kills)
			}
			t.Logf("%s: first sync of all %s, of a turn %s; %d of %d kills before it was done; %d turns in %s", c.reason, k.first, k.usual, k.hits, kills, kills, time.Since(began))
			must(t, k.remove(k.live...))
			k.settle("all objects are gone, and so are their Secrets")
		})
	}
}

// killing is a world whose program is killed.
type killing struct {
	*world
	random      *rand.Rand
	program     *program
	live, spare []string      // objects that are there, and names that are free
	first       time.Duration // that a start with a sync of all took
	usual       time.Duration // that a turn took which nobody disturbed
	hits        int           // kills before all was in sync
}

func (k *killing) start() { k.program = k.run(shared.access, "--leader-elect=false") }

// disturbed kills the program at a random moment of the time that something
// takes, while it is done, and starts it again. Then all has to be in sync as if
// nothing had happened.
func (k *killing) disturbed(within time.Duration, do func() error) {
	k.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	moment := time.NewTimer(time.Duration(k.random.Float64() * float64(within)))
	<-moment.C
	must(k.T, k.program.alive())
	k.program.kill()
	must(k.T, <-done)
	if len(k.behind()) > 0 {
		k.hits++
	}
	k.start()
	k.settle("after a kill")
	must(k.T, k.program.alive())
}

// renew deletes objects, makes some of them anew at once, and others in place of
// the rest.
func (k *killing) renew(turn int) {
	k.Helper()
	k.random.Shuffle(len(k.live), func(i, j int) { k.live[i], k.live[j] = k.live[j], k.live[i] })
	n := len(k.spare)
	leave, again := append([]string(nil), k.live[:n]...), k.live[n:3*n]
	change := func() error {
		if err := k.remove(k.live[:3*n]...); err != nil {
			return err
		}
		err := k.create(append(append([]string(nil), again...), k.spare...)...)
		copy(k.live, k.spare)
		copy(k.spare, leave)
		return err
	}
	if turn == 0 { // to know how long it takes
		began := time.Now()
		must(k.T, change())
		k.settle("a turn that nobody disturbs")
		k.usual = time.Since(began)
		change = func() error { return nil }
	}
	if turn%2 == 0 {
		k.disturbed(k.usual, change)
		return
	}
	k.program.kill()
	must(k.T, change())
	k.start()
	k.disturbed(k.first, func() error { return nil })
}

// rotation gives all secrets another generation.
func (k *killing) rotation(turn int) {
	k.Helper()
	if turn == 0 {
		began := time.Now()
		k.manager.rotate()
		k.settle("a rotation that nobody disturbs")
		k.usual = time.Since(began)
	}
	k.disturbed(k.usual, func() error { k.manager.rotate(); return nil })
}
