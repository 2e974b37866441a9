// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"slices"
	"strings"
)

// A wall says what the packages of some folders may import. A file that stands
// behind several walls must please each of them.
type wall struct {
	reason string
	in     func(dir string) bool
	tests  bool // test files are held to it as well
	allows func(dir, importPath string) bool
}

var (
	// pure packages take and return values; see docs/architecture.md.
	pure = []string{
		"internal/spec", "internal/plan", "internal/render", "internal/diff", "internal/outcome",
		"internal/lodash", "internal/gotemplate", "internal/window", "internal/dialect",
	}

	// effects are the ways out of a pure package that the standard library has.
	// net/url and net/netip are values, and allowed.
	effects = []string{"context", "net", "os", "log", "math/rand", "syscall"}

	// shells are modules that reach a cluster or hold the state of a process.
	shells = []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "github.com/prometheus"}

	// apiImports are the packages that a served type may be made of.
	apiImports = []string{"k8s.io/apimachinery", "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"}
)

var walls = []wall{
	{
		reason: "the contract with a backend is the standard library only",
		in:     func(dir string) bool { return dir == "backend" },
		allows: func(_, p string) bool { return standard(p) },
	},
	{
		reason: "the conformance suite knows the contract and no product",
		in:     func(dir string) bool { return below(dir, "backend/backendtest") },
		allows: func(_, p string) bool {
			return standard(p) || p == module+"/backend" || p == "github.com/google/go-cmp/cmp"
		},
	},
	{
		reason: "a backend knows its store, not Kubernetes and not the house",
		in:     func(dir string) bool { return product(dir) != "" && product(dir) != "all" },
		allows: func(dir, p string) bool {
			if below(p, "k8s.io", "sigs.k8s.io/controller-runtime") {
				return product(dir) == "kubernetes" && !below(p, "sigs.k8s.io/controller-runtime")
			}
			mine, ok := own(p)
			return !ok || !below(mine, "internal", "cmd")
		},
	},
	{
		reason: "products are named in backends/all and nowhere else",
		in:     func(string) bool { return true },
		allows: func(dir, p string) bool {
			mine, _ := own(p)
			return product(mine) == "" || product(mine) == "all" || product(mine) == product(dir) || product(dir) == "all"
		},
	},
	{
		reason: "another product's code is no help in testing this one; memory, the model of a store, is",
		in:     func(dir string) bool { return product(dir) != "" && product(dir) != "all" },
		tests:  true,
		allows: func(dir, p string) bool {
			mine, _ := own(p)
			return slices.Contains([]string{"", "memory", product(dir)}, product(mine))
		},
	},
	{
		reason: "a pure package has no effects",
		in:     func(dir string) bool { return below(dir, pure...) },
		allows: func(_, p string) bool {
			return slices.Contains([]string{"net/url", "net/netip"}, p) || !below(p, effects...)
		},
	},
	{
		reason: "a pure package, and its tests, know no cluster and no shell package",
		in:     func(dir string) bool { return below(dir, pure...) },
		tests:  true,
		allows: func(_, p string) bool {
			mine, ok := own(p)
			return !below(p, shells...) && (!ok || below(mine, append([]string{"api", "backend"}, pure...)...))
		},
	},
	{
		reason: "served types are made of apimachinery's",
		in:     func(dir string) bool { return below(dir, "api") },
		allows: func(_, p string) bool {
			mine, ok := own(p)
			return standard(p) || below(p, apiImports...) || ok && below(mine, "api")
		},
	},
}

// product is the name of the backend that a folder belongs to, or "".
func product(dir string) string {
	rest, ok := strings.CutPrefix(dir, "backends/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func imports(t tree) []string {
	var out []string
	for _, f := range t.files {
		for _, w := range walls {
			if f.test() && !w.tests || !w.in(f.dir()) {
				continue
			}
			for p, pos := range f.imports() {
				if !w.allows(f.dir(), p) {
					out = append(out, t.at(f, pos, "imports %s: %s", p, w.reason))
				}
			}
		}
	}
	slices.Sort(out)
	return out
}
