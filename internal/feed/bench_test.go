// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"runtime"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

const many = 100_000

// BenchmarkSchedule is what it costs that a secret is due and is due again,
// without the read itself, among 100,000. bytes/ref is all that the feed holds
// for one object with one secret, besides the value.
func BenchmarkSchedule(b *testing.B) {
	m := memory.New()
	f := New(Options{Drivers: spec.Drivers{"memory": m.Driver()}, Wake: func(spec.ID) {}})
	paths := names("team/app/secret-", many)
	subs := make([]Subscription, many)
	for i, p := range paths {
		subs[i] = sub(p, 10*time.Minute, p)
	}
	before := inUse()
	for _, s := range subs {
		f.Follow(b.Context(), s, credentials)
	}
	perRef := (inUse() - before) / many
	runtime.KeepAlive(subs)
	answer := reply{Result: backend.Result{Secret: backend.Secret{Payload: backend.NewValue([]byte("v"))}}}
	for b.Loop() {
		f.mu.Lock()
		r, _ := f.schedule.first().(*ref)
		f.schedule.remove(r)
		_ = f.settled(r, answer)
		f.mu.Unlock()
	}
	b.ReportMetric(perRef, "bytes/ref")
}

// BenchmarkFollow is what a look at an object costs that changed nothing, with
// a store that is opened each time.
func BenchmarkFollow(b *testing.B) { benchmarkFollow(b, operators("")) }

// BenchmarkFollowOpened is the same with a store that is opened once.
func BenchmarkFollowOpened(b *testing.B) { benchmarkFollow(b, tenants("1", "")) }

func benchmarkFollow(b *testing.B, store spec.Store) {
	b.Helper()
	m := memory.New()
	f := New(Options{Drivers: spec.Drivers{"memory": m.Driver()}, Wake: func(spec.ID) {}})
	for _, p := range names("o", 10_000) { // who follow the same secret
		f.Follow(b.Context(), sub(p, 10*time.Minute, "common").through(store), credentials)
	}
	s := sub("o7", 10*time.Minute, "common").through(store)
	b.ReportAllocs()
	for b.Loop() {
		f.Follow(b.Context(), s, credentials)
	}
}

// inUse returns the bytes in use.
func inUse() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
