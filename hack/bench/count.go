// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// arrival is a request that a stand-in got.
type arrival struct {
	kind string
	at   time.Time
}

// counter notes the requests of a stand-in.
type counter struct {
	mu   sync.Mutex
	seen []arrival
}

func (c *counter) note(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, arrival{kind, time.Now()})
}

// since returns what came after the first n.
func (c *counter) since(n int) []arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen[n:])
}

func (c *counter) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

// tally is how many there are of each kind.
type tally map[string]int

func tallyOf[T any](list []T, kind func(T) string) tally {
	out := tally{}
	for _, x := range list {
		out[kind(x)]++
	}
	return out
}

// total is how many there are of all kinds but some.
func (t tally) total(but ...string) (n int) {
	for kind, k := range t {
		if !slices.Contains(but, kind) {
			n += k
		}
	}
	return n
}

// peak is the most that came within any such window.
func peak(times []time.Time, window time.Duration) (most int) {
	times = slices.SortedFunc(slices.Values(times), time.Time.Compare)
	first := 0
	for i, t := range times {
		for t.Sub(times[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// percentile is the smallest of the values that p percent of them do not
// exceed, and 0 of none.
func percentile(list []time.Duration, p float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// spread is how long something took for the objects that it is about.
type spread struct{ first, median, p99, last time.Duration }

func spreadOf(list []time.Duration) spread {
	return spread{percentile(list, 0), percentile(list, 50), percentile(list, 99), percentile(list, 100)}
}

func (s spread) String() string {
	return fmt.Sprintf("%s (the first), %s (half), %s (99 %%) and %s (all)", seconds(s.first), seconds(s.median), seconds(s.p99), seconds(s.last))
}
