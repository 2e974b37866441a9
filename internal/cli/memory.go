// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// gcPercent is how much the heap may grow between two collections, unless GOGC
// says otherwise. What a first sync leaves is scattered over all the pages that it
// used, and these are given back to nobody while anything on them is in use: so the
// more it may use, the more is kept at rest. The price is its processor time.
const gcPercent = 25

const (
	// giveEvery is how often it is looked whether memory can be given back.
	giveEvery = time.Minute
	// leastSpare is how many bytes are not worth a collection.
	leastSpare = 4 << 20
)

// giveBack gives memory back to the machine that nothing needs any more, until ctx
// ends. A first sync of many objects needs about as much again as they do then, and
// the runtime keeps that for the next time.
func giveBack(ctx context.Context) {
	ticker := time.NewTicker(giveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if spare(heap()) {
			debug.FreeOSMemory()
		}
	}
}

// spare reports whether so much of the heap is free that it is given back: an
// eighth of it.
func spare(free, used uint64) bool {
	return free >= leastSpare && free >= (free+used)/8
}

// heap is how many bytes of it are free, and how many are not.
func heap() (free, used uint64) {
	s := []metrics.Sample{{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64(), s[1].Value.Uint64()
}
