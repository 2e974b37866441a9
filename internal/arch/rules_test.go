// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const doc = "// Package p is a case.\n"

// slash keeps paths of machines out of this file, which is itself looked at.
const slash = "/"

// ruleCases shows each rule code that breaks it and code that does not.
var ruleCases = map[string]struct {
	reason string
	rule   string
	files  map[string]string
	want   []string // the beginning of each complaint, in order
}{
	"BackendThirdParty": {
		reason: "the contract must not choose a library for its users",
		rule:   "imports",
		files: map[string]string{
			"backend/a.go":      `package backend; import ("net/http"; "github.com/google/uuid")`,
			"backend/a_test.go": `package backend; import "github.com/google/go-cmp/cmp"`,
		},
		want: []string{"backend/a.go:1: imports github.com/google/uuid"},
	},
	"BackendOwn": {
		reason: "the contract depends on nobody",
		rule:   "imports",
		files:  map[string]string{"backend/a.go": `package backend; import "` + module + `/internal/spec"`},
		want:   []string{"backend/a.go:1: imports " + module + "/internal/spec"},
	},
	"Backendtest": {
		reason: "the suite knows the contract and a way to compare",
		rule:   "imports",
		files: map[string]string{
			"backend/backendtest/a.go":      `package b; import ("` + module + `/backend"; "github.com/google/go-cmp/cmp"; "testing")`,
			"backend/backendtest/b.go":      `package b; import "` + module + `/backends/ibm"`,
			"backend/backendtest/a_test.go": `package b; import "` + module + `/backends/memory"`,
		},
		want: []string{
			"backend/backendtest/b.go:1: imports " + module + "/backends/ibm: products",
			"backend/backendtest/b.go:1: imports " + module + "/backends/ibm: the conformance",
		},
	},
	"ProductKnowsHouse": {
		reason: "a backend can be read without knowing the rest",
		rule:   "imports",
		files: map[string]string{
			"backends/ibm/a.go":      `package ibm; import ("` + module + `/backend"; "` + module + `/internal/feed")`,
			"backends/ibm/b.go":      `package ibm; import ("k8s.io/api/core/v1"; "sigs.k8s.io/controller-runtime/pkg/client")`,
			"backends/ibm/a_test.go": `package ibm; import "` + module + `/internal/dev/ibmsm"`,
		},
		want: []string{
			"backends/ibm/a.go:1: imports " + module + "/internal/feed",
			"backends/ibm/b.go:1: imports k8s.io/api/core/v1",
			"backends/ibm/b.go:1: imports sigs.k8s.io/controller-runtime/pkg/client",
		},
	},
	"ProductKubernetes": {
		reason: "a cluster is a store too, but controller-runtime is no client of a store",
		rule:   "imports",
		files: map[string]string{
			"backends/kubernetes/a.go": `package kubernetes; import ("k8s.io/client-go/kubernetes"; "sigs.k8s.io/controller-runtime/pkg/client")`,
		},
		want: []string{"backends/kubernetes/a.go:1: imports sigs.k8s.io/controller-runtime/pkg/client"},
	},
	"ProductKnowsProduct": {
		reason: "backends do not share code sideways; all names them, and a product's own folders belong to it",
		rule:   "imports",
		files: map[string]string{
			"backends/all/a.go":               `package all; import ("` + module + `/backends/ibm"; "` + module + `/backends/vault")`,
			"backends/memory/memorytest/a.go": `package memorytest; import "` + module + `/backends/memory"`,
			"backends/vault/a.go":             `package vault; import "` + module + `/backends/ibm"`,
			"backends/vault/a_test.go":        `package vault; import ("` + module + `/backends/ibm"; "` + module + `/backends/memory")`,
			"internal/cli/a.go":               `package cli; import ("` + module + `/backends/all"; "` + module + `/backends/ibm")`,
			"internal/feed/a_test.go":         `package feed; import "` + module + `/backends/memory"`,
		},
		want: []string{
			"backends/vault/a.go:1: imports " + module + "/backends/ibm: another",
			"backends/vault/a.go:1: imports " + module + "/backends/ibm: products",
			"backends/vault/a_test.go:1: imports " + module + "/backends/ibm: another",
			"internal/cli/a.go:1: imports " + module + "/backends/ibm: products",
		},
	},
	"PureEffects": {
		reason: "a decision has no clock, no network, no files; its tests may read case files",
		rule:   "imports",
		files: map[string]string{
			"internal/plan/a.go":        `package plan; import ("context"; "log/slog"; "net/http"; "net/url"; "os"; "strings"; "time")`,
			"internal/dialect/kes/a.go": `package kes; import ("log"; "math/rand/v2"; "net"; "net/netip")`,
			"internal/plan/a_test.go":   `package plan; import ("context"; "os")`,
			"internal/feed/a.go":        `package feed; import ("context"; "net/http")`,
			"internal/planner/a.go":     `package planner; import "context"`,
		},
		want: []string{
			"internal/dialect/kes/a.go:1: imports log:",
			"internal/dialect/kes/a.go:1: imports math/rand/v2:",
			"internal/dialect/kes/a.go:1: imports net:",
			"internal/plan/a.go:1: imports context:",
			"internal/plan/a.go:1: imports log/slog:",
			"internal/plan/a.go:1: imports net/http:",
			"internal/plan/a.go:1: imports os:",
		},
	},
	"PureShells": {
		reason: "a pure package that imports a shell is none",
		rule:   "imports",
		files: map[string]string{
			"internal/render/a.go":       `package render; import ("` + module + `/api/kubernetesclient/v1"; "` + module + `/backend"; "` + module + `/internal/lodash"; "k8s.io/apimachinery/pkg/types")`,
			"internal/spec/a.go":         `package spec; import ("` + module + `/internal/feed"; "k8s.io/client-go/rest"; "github.com/prometheus/client_golang/prometheus")`,
			"internal/outcome/a_test.go": `package outcome; import "sigs.k8s.io/controller-runtime/pkg/client"`,
		},
		want: []string{
			"internal/outcome/a_test.go:1: imports sigs.k8s.io/controller-runtime/pkg/client",
			"internal/spec/a.go:1: imports github.com/lockstep-secrets/lockstep/internal/feed",
			"internal/spec/a.go:1: imports github.com/prometheus/client_golang/prometheus",
			"internal/spec/a.go:1: imports k8s.io/client-go/rest",
		},
	},
	"API": {
		reason: "types are served, and decide nothing",
		rule:   "imports",
		files: map[string]string{
			"api/x/v1/a.go": `package v1; import ("k8s.io/apimachinery/pkg/runtime"; "` + module + `/api/y/v1")`,
			"api/x/v1/b.go": `package v1; import ("sigs.k8s.io/controller-runtime/pkg/scheme"; "` + module + `/internal/spec"; "k8s.io/apiextensions-apiserver/pkg/apiserver/schema")`,
		},
		want: []string{
			"api/x/v1/b.go:1: imports " + module + "/internal/spec",
			"api/x/v1/b.go:1: imports k8s.io/apiextensions-apiserver/pkg/apiserver/schema",
			"api/x/v1/b.go:1: imports sigs.k8s.io/controller-runtime/pkg/scheme",
		},
	},
	"ClusterWrites": {
		reason: "a client that one file imports, another may use",
		rule:   "cluster writes",
		files: map[string]string{
			"internal/gather/a.go":      "package gather; import \"sigs.k8s.io/controller-runtime/pkg/client\"\ntype G struct{ c client.Client }",
			"internal/gather/b.go":      "package gather\nfunc (g *G) a() {\n g.c.Update(ctx, o)\n g.c.Status().Patch(ctx, o, p)\n g.c.Get(ctx, k, o)\n}",
			"internal/gather/c.go":      "package gather; import \"os\"\nfunc b() { os.Create(a, b); m.Delete(k); m.Create() }",
			"internal/controller/a.go":  "package controller; import \"k8s.io/client-go/kubernetes\"\nfunc f(c kubernetes.Interface) {\n c.CoreV1().Secrets(n).Create(ctx, s, o)\n r.Writer.Apply(ctx, m, c)\n r.Client.Apply(ctx, o)\n}",
			"internal/cluster/a.go":     "package cluster; import \"sigs.k8s.io/controller-runtime/pkg/client\"\nfunc f(c client.Client) { c.Update(ctx, o) }",
			"internal/feed/a.go":        "package feed\nfunc f() { store.Delete(ctx, ref) }",
			"internal/gather/a_test.go": "package gather\nfunc t() { c.Create(ctx, o) }",
		},
		want: []string{
			"internal/controller/a.go:3: calls Create",
			"internal/controller/a.go:5: calls Apply",
			"internal/gather/b.go:3: calls Update",
			"internal/gather/b.go:4: calls Patch",
		},
	},
	"Reveal": {
		reason: "an audit reads a handful of packages; a method value is as good as a call",
		rule:   "reveal",
		files: map[string]string{
			"internal/gather/a.go":      "package gather\nvar a = v.Reveal()\nvar f = v.Reveal\n// v.Reveal()\n",
			"internal/gather/a_test.go": "package gather\nvar b = v.Reveal()",
			"internal/render/a.go":      "package render\nvar a = v.Reveal()",
			"internal/rendering/a.go":   "package rendering\nvar a = v.Reveal()",
			"backends/ibm/a.go":         "package ibm\nvar a = v.Reveal()",
		},
		want: []string{"internal/gather/a.go:2:", "internal/gather/a.go:3:", "internal/rendering/a.go:2:"},
	},
	"Init": {
		reason: "also in tests; a method of that name is another thing",
		rule:   "init",
		files: map[string]string{
			"a/a.go":      "package a\nfunc init() {}\nfunc (t T) init() {}",
			"a/a_test.go": "package a\nfunc init() {}",
		},
		want: []string{"a/a.go:2:", "a/a_test.go:2:"},
	},
	"Sleep": {
		reason: "under synctest it takes no time",
		rule:   "sleep",
		files: map[string]string{
			"a/a_test.go": "package a; import \"time\"\nfunc f() { time.Sleep(1) }",
			"a/b_test.go": "package a; import (\"time\"; \"testing/synctest\")\nfunc f() { time.Sleep(1) }",
		},
		want: []string{"a/a_test.go:2: sleeps"},
	},
	"Main": {
		reason: "one line too many",
		rule:   "main",
		files:  map[string]string{"cmd/lockstep/main.go": "package main\n" + strings.Repeat("\n", mainLines)},
		want:   []string{"cmd/lockstep/main.go:1: has 61 lines"},
	},
	"MainFits": {
		reason: "as long as it may be",
		rule:   "main",
		files:  map[string]string{"cmd/lockstep/main.go": "package main\n" + strings.Repeat("\n", mainLines-1)},
	},
	"PackageName": {
		reason: "by its clause, by its folder, and in tests",
		rule:   "package name",
		files: map[string]string{
			"internal/utils/a.go":  "package utils",
			"internal/common/a.go": "package shell",
			"internal/x/a.go":      "package helpers",
			"internal/x/a_test.go": "package helpers_test",
			"internal/based/a.go":  "package based",
		},
		want: []string{
			"internal/common/a.go:1: package common",
			"internal/utils/a.go:1: package utils",
			"internal/x/a.go:1: package helpers",
			"internal/x/a_test.go:1: package helpers",
		},
	},
	"PackageComment": {
		reason: "a licence is no comment on a package, and a test's comment none on the code",
		rule:   "package comment",
		files: map[string]string{
			"a/a.go":      doc + "package p",
			"a/b.go":      "package p",
			"b/a.go":      "// SPDX-License-Identifier: Apache-2.0\npackage p",
			"c/a.go":      "package p",
			"c/a_test.go": doc + "package p",
			"d/a_test.go": doc + "package p",
			"e/main.go":   "// Command e does.\npackage main",
		},
		want: []string{"b/a.go:2: package in b", "c/a.go:1: package in c"},
	},
	"Nolint": {
		reason: "which linter, and why",
		rule:   "nolint",
		files: map[string]string{
			"a/a.go": "package a\n" +
				"var a = 1 //nolint\n" +
				"var b = 1 //nolint:gosec\n" +
				"var c = 1 // nolint:gosec // reason\n" +
				"var d = 1 //nolint:gosec,errcheck // the server's size is checked above\n" +
				"var e = 1 // about nolint\n" +
				"// nolints is no exception, nolint: neither\n",
		},
		want: []string{"a/a.go:2:", "a/a.go:3:", "a/a.go:4:"},
	},
	"MachinePath": {
		reason: "in any kind of file; an URL's path is none, nor is a container's own folder",
		rule:   "machine path",
		files: map[string]string{
			"a.md":              "see " + slash + "root/.kube/config\nand https://example.org/home/page\nand `" + slash + "work/main`",
			"b.yaml":            "path: " + slash + "home/ada/x\nhome: " + slash + "home/nonroot/x\nn: /homework /workload /rooted",
			"c.txt":             "file:/" + slash + slash + "Users/ada",
			"d/testdata/x.json": "{\"cwd\":\"" + slash + "work\"}",
			"e.txt":             "GET /v1/root/x, ${HOME}/work/x, secret/work/x",
		},
		want: []string{
			"a.md:1: names " + slash + "root/.kube/config",
			"a.md:3: names " + slash + "work/main",
			"b.yaml:1: names " + slash + "home/ada/x",
			"c.txt:1: names " + slash + "Users/ada",
			"d/testdata/x.json:1: names " + slash + "work",
		},
	},
}

func TestRules(t *testing.T) {
	for name, tc := range ruleCases {
		t.Run(name, func(t *testing.T) {
			got := rules[tc.rule](caseTree(t, tc.files))
			if diff := cmp.Diff(tc.want, beginnings(got, tc.want)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func caseTree(t *testing.T, files map[string]string) tree {
	t.Helper()
	fsys := fstest.MapFS{}
	for p, body := range files {
		fsys[p] = &fstest.MapFile{Data: []byte(body)}
	}
	out, err := load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// beginnings cuts each complaint to the length of the one it should be.
func beginnings(got, want []string) []string {
	var out []string
	for i, g := range got {
		if i < len(want) && strings.HasPrefix(g, want[i]) {
			g = want[i]
		}
		out = append(out, g)
	}
	return out
}

// A file that does not parse must not pass for one that breaks no rule.
func TestLoadRefusesBrokenCode(t *testing.T) {
	if _, err := load(fstest.MapFS{"a/a.go": &fstest.MapFile{Data: []byte("package")}}); err == nil {
		t.Error("a file that is no Go was taken for one")
	}
}
