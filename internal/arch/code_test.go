// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"go/ast"
	"go/types"
	"slices"
	"strconv"
)

var (
	// clients are the packages whose values can write to an API server.
	clients = []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime"}

	// verbs are the methods by which they do. Status() and SubResource() need
	// no entry: what they return writes by the same names.
	verbs = []string{
		"Create", "Update", "Patch", "Delete", "DeleteAllOf", "DeleteCollection",
		"Apply", "UpdateStatus", "ApplyStatus", "CreateToken",
	}

	// writers may call them. The last are no part of the program that runs in a
	// cluster: they set scenes there.
	writers = []string{"internal/cluster", "backends/kubernetes", "internal/dev/plane", "hack", "test"}

	// entrusted are calls that have a verb's name and write nothing that lasts:
	// the way into internal/cluster, and the request for a token, which the API
	// server answers and does not store. By package and by what stands in the
	// code.
	entrusted = []string{
		"internal/controller: r.Writer.Apply",
		"internal/gather: r.Accounts.ServiceAccounts(namespace).CreateToken",
	}

	// revealers may see the bytes of a secret, and so may tests. An audit for
	// leaks reads these and no other package.
	revealers = []string{
		"backend",          // the contract compares and redacts
		"backends",         // a product's client sends and receives them
		"internal/render",  // makes data of them
		"internal/diff",    // compares them with what stands in the cluster
		"internal/cluster", // writes them
		"internal/cli",     // shows them to who asks, and may
		"internal/feed",    // keeps a keyed digest of them
	}
)

// clusterWrites holds that only internal/cluster writes to the API server.
//
// Without types it cannot know what a method is called on. It looks at every
// package that imports a client anywhere outside its tests, because a client
// held in one file can be used in another, and there at every call of a method
// with the name of a verb and at least two arguments. All writes of both client
// libraries have two (a context comes first), and what else bears such names
// (sync.Map, sets) mostly has one. Calls of functions of a package (os.Create)
// do not count. What gets past it is a client handed on in an interface of one's
// own, to a package that imports none; reviewers look for that.
func clusterWrites(t tree) []string {
	holders := map[string]bool{}
	for _, f := range t.files {
		for p := range f.imports() {
			if !f.test() && below(p, clients...) {
				holders[f.dir()] = true
			}
		}
	}
	var out []string
	for _, f := range t.files {
		if f.test() || !holders[f.dir()] || below(f.dir(), writers...) {
			continue
		}
		packages := packageIdents(f)
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains(verbs, method.Sel.Name) {
				return true
			}
			if x, ok := method.X.(*ast.Ident); ok && packages[x.Name] {
				return true
			}
			if slices.Contains(entrusted, f.dir()+": "+types.ExprString(method)) {
				return true
			}
			out = append(out, t.at(f, method.Sel.Pos(), "calls %s: only internal/cluster writes to the API server", method.Sel.Name))
			return true
		})
	}
	return out
}

// packageIdents are the names by which f calls the packages it imports.
func packageIdents(f file) map[string]bool {
	out := map[string]bool{}
	for _, spec := range f.ast.Imports {
		if spec.Name != nil {
			out[spec.Name.Name] = true
			continue
		}
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			out[lastElement(p)] = true
		}
	}
	return out
}

// reveals holds that secret bytes are seen in few places. A method value counts
// as a call: whoever holds it can call it.
func reveals(t tree) []string {
	var out []string
	for _, f := range t.files {
		if f.test() || below(f.dir(), revealers...) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Reveal" {
				out = append(out, t.at(f, s.Sel.Pos(), "reveals a secret, and is not in the list of those who may"))
			}
			return true
		})
	}
	return out
}

// inits holds that nothing runs but what main calls.
func inits(t tree) []string {
	var out []string
	for _, f := range t.files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				out = append(out, t.at(f, fn.Pos(), "has an init function"))
			}
		}
	}
	return out
}

// sleeps holds that tests sleep in virtual time only. Outside tests forbidigo
// forbids it altogether.
func sleeps(t tree) []string {
	var out []string
	for _, f := range t.files {
		if _, virtual := f.imports()["testing/synctest"]; virtual || !f.test() {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok || s.Sel.Name != "Sleep" {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
				out = append(out, t.at(f, s.Pos(), "sleeps: wait for a condition, or use testing/synctest"))
			}
			return true
		})
	}
	return out
}
