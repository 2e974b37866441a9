// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// figures are what was measured with a number of objects.
type figures struct {
	workload
	interval  time.Duration
	apiServer string // its version

	base    memory        // of Lockstep with nothing to do
	raw     time.Duration // 0 when it was not measured
	sync    synced
	rest    resting
	polled  changed
	restart restarted
	noticed changed
}

// synced is a first sync, from the start of the process.
type synced struct {
	cost
	spread         // of the statuses
	secrets spread // since when each was right
	asked   int    // requests until all were
}

// resting is some time in which nothing changed.
type resting struct {
	cost
	memory memory
}

// changed is a change of every path, from when it was made.
type changed struct {
	cost
	spread
}

// restarted is the first interval after a restart, with a change of one path
// that was made before.
type restarted struct {
	cost
	arrived time.Duration // the change, in the last of its Secrets
	users   int           // how many Secrets the change is in
	memory  memory
}

// needless is how many writes there were besides those that the change asks
// for: a Secret and a status each.
func (r restarted) needless() int { return max(0, r.writes.total()-2*r.users) }

// perMinute is how often something happened in a minute.
func (c cost) perMinute(n int) float64 { return float64(n) / c.took.Minutes() }

// computed is the CPU in a minute.
func (c cost) computed() time.Duration {
	return time.Duration(float64(c.cpu) / c.took.Minutes())
}

func (c cost) String() string {
	out := fmt.Sprintf("%d requests (%s), %d writes (%s), %d reads (%s), %s of CPU",
		c.requests.total(), c.requests, c.writes.total(), c.writes, c.reads.total(), c.reads, asCPU(c.cpu.Seconds()))
	if c.refused > 0 {
		out += fmt.Sprintf(", %d of the writes refused", c.refused)
	}
	return out
}

func (t tally) String() string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(t)) {
		out = append(out, fmt.Sprintf("%d %s", t[kind], kind))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// perObject is what an object adds to the memory of a process, in bytes.
func perObject(with, without int64, objects int) float64 {
	if objects <= 0 {
		return 0
	}
	return float64(with-without) / float64(objects)
}

// A row is one figure, and what it is held against.
type row struct {
	what    string
	ours    string
	against string // what is wanted, and with it the raw ceiling where it counts
	ratio   string // of ours to what is wanted, or to the raw ceiling
	met     string // yes, no, or nothing where nothing is wanted
	eso     string // of External Secrets Operator, where it was measured
}

// bound is a row of a number that should not exceed another.
func bound(what string, ours, most float64, format func(float64) string) row {
	out := row{what: what, ours: format(ours), against: "≤ " + format(most), met: verdict(ours <= most)}
	if most > 0 {
		out.ratio = fmt.Sprintf("%.2f", ours/most)
	}
	return out
}

// told is a row of a number that nothing is wanted of.
func told(what, ours string) row { return row{what: what, ours: ours} }

func verdict(ok bool) string {
	if ok {
		return "yes"
	}
	return "**no**"
}

// seconds, megabytes and count are how figures are written.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
func megabytes(n int64) string       { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func asSeconds(s float64) string   { return fmt.Sprintf("%.1f s", s) }
func asCPU(s float64) string       { return fmt.Sprintf("%.2f s", s) }
func asMegabytes(n float64) string { return fmt.Sprintf("%.0f MB", n/1e6) }
func asKilobytes(n float64) string { return fmt.Sprintf("%.1f KB", n/1e3) }

func asCount(n float64) string {
	if n == float64(int64(n)) {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.1f", n)
}
