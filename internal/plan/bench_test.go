// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strconv"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// BenchmarkBuild is what it costs to decide what an object needs, which happens
// at every look at it.
func BenchmarkBuild(b *testing.B) {
	five := func(key func(i int) string) []spec.Entry {
		var out []spec.Entry
		for i := range 5 {
			out = append(out, field("spec.data["+strconv.Itoa(i)+"]", alpha, key(i), "f"+strconv.Itoa(i)))
		}
		return out
	}
	own := five(func(i int) string { return "team/app/secret-" + strconv.Itoa(i) })
	for name, entries := range map[string][]spec.Entry{
		"FiveSecrets":  own,
		"FiveFields":   five(func(int) string { return "team/app/secret" }),
		"TwoStores":    append(own[:4:4], entry("spec.data[4]", beta, "team/app/secret-4")),
		"FourAndAFind": append(own[:4:4], find("spec.dataFrom[0]", alpha, backend.Query{Path: "team/app/"})),
	} {
		b.Run(name, func(b *testing.B) {
			s, in, d := spec.Spec{Entries: entries}, inputs(alpha, beta), drivers()
			if p := plan.Build(s, in, d); len(p.Issues) > 0 {
				b.Fatal(p.Issues)
			}
			b.ReportAllocs()
			for b.Loop() {
				plan.Build(s, in, d)
			}
		})
	}
}

// BenchmarkKeys is what it costs to list the questions of a plan.
func BenchmarkKeys(b *testing.B) {
	p := plan.Plan{Reads: []plan.Read{read(alpha, "a", "b", "c", "d", "e")}}
	b.ReportAllocs()
	for b.Loop() {
		p.Keys()
	}
}
