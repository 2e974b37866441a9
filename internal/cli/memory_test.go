// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestSpare(t *testing.T) {
	for name, c := range map[string]struct {
		free, used uint64
		want       bool
	}{
		"nothing":          {0, 50 << 20, false},
		"little":           {leastSpare - 1, leastSpare, false},
		"some":             {leastSpare, leastSpare, true},
		"little of much":   {10 << 20, 90 << 20, false},
		"an eighth":        {10 << 20, 70 << 20, true},
		"less than that":   {10<<20 - 1, 70<<20 + 1, false},
		"after a big rush": {100 << 20, 50 << 20, true},
	} {
		if got := spare(c.free, c.used); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

// What was used and is not any more is free, until it is given back.
func TestHeap(t *testing.T) {
	const rush = 64 << 20
	use := func() (used uint64) {
		b := make([]byte, rush)
		_, used = heap()
		runtime.KeepAlive(b)
		return used
	}
	if used := use(); used < rush {
		t.Errorf("%d bytes are used, want %d at least", used, rush)
	}
	debug.FreeOSMemory()
	if free, used := heap(); spare(free, used) || used > rush/2 {
		t.Errorf("%d bytes are free and %d used after all was given back", free, used)
	}
}
