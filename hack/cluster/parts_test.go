// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSelectParts(t *testing.T) {
	cases := map[string]struct {
		reason string
		names  string
		want   string
		fails  string
	}{
		"default": {"what tests need", defaultParts, "etcd kube-apiserver kube-controller-manager", ""},
		"order":   {"the building order does not depend on the flag", "kubectl,etcd", "etcd kubectl", ""},
		"twice":   {"a part is built once", " etcd, etcd ,", "etcd", ""},
		"unknown": {"a typing error names what is known", "etcd,kubelett", "", `unknown part "kubelett"; known are etcd, kube-apiserver`},
		"nothing": {"an empty list is a mistake", ",", "", "no part chosen"},
		"more":    {"kubectl may be added", defaultParts + ",kubectl", "etcd kube-apiserver kube-controller-manager kubectl", ""},
		"a node":  {"its parts come last: who needs no node does not wait for them", "kubelet,kube-scheduler,kubectl", "kubectl kube-scheduler kubelet", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			parts, err := selectParts(c.names)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("%s: error %v, want %q", c.reason, err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			var got []string
			for _, p := range parts {
				got = append(got, p.name)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s: got %q, want %q", c.reason, got, c.want)
			}
		})
	}
}

func TestBuildFlags(t *testing.T) {
	etcd := strings.Join(buildFlags(allParts[0], "v3.6.8"), " ")
	if want := "-mod=readonly -trimpath -ldflags=-s -w"; etcd != want {
		t.Errorf("etcd: got %q, want %q", etcd, want)
	}
	api := strings.Join(buildFlags(allParts[1], "v1.36.3"), " ")
	for _, want := range []string{"version.gitVersion=v1.36.3", "version.gitMajor=1", "version.gitMinor=36"} {
		if !strings.Contains(api, want) {
			t.Errorf("kube-apiserver: %q lacks %q", api, want)
		}
	}
}

// TestOwnPins reads the real go.mod: every part has a version and a tool
// line, and every staging module of Kubernetes is replaced by the version
// that belongs to Kubernetes', which `go get` alone does not see to.
func TestOwnPins(t *testing.T) {
	// The go command reads go.mod; `go test` must know that the result
	// depends on it, or it answers from its cache.
	if _, err := os.ReadFile("go.mod"); err != nil {
		t.Fatal(err)
	}
	tool, err := findGo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := readPins(t.Context(), tool)
	if err != nil {
		t.Fatal(err)
	}
	recipes, err := p.recipes(allParts, tool.env)
	if err != nil {
		t.Fatal(err)
	}
	if len(recipes) != len(allParts) {
		t.Errorf("%d recipes for %d parts", len(recipes), len(allParts))
	}
	minor, ok := strings.CutPrefix(p.versionOf(kubernetes), "v1.")
	if !ok || len(p.Replace) < 30 {
		t.Fatalf("Kubernetes %q with %d replacements", p.versionOf(kubernetes), len(p.Replace))
	}
	for _, r := range p.Replace {
		if r.New.Path != r.Old.Path || r.New.Version != "v0."+minor {
			t.Errorf("%s is replaced by %s %s, want %s v0.%s", r.Old.Path, r.New.Path, r.New.Version, r.Old.Path, minor)
		}
	}
}

func TestRecipesNeedPins(t *testing.T) {
	var p pins
	if _, err := p.recipes(allParts[:1], goEnv{}); err == nil || !strings.Contains(err.Error(), "pins no version of go.etcd.io/etcd/server/v3") {
		t.Errorf("no requirement: %v", err)
	}
	p.Require = []moduleVersion{{"go.etcd.io/etcd/server/v3", "v3.6.8"}}
	if _, err := p.recipes(allParts[:1], goEnv{}); err == nil || !strings.Contains(err.Error(), "no line: tool") {
		t.Errorf("no tool line: %v", err)
	}
}

func TestPinLines(t *testing.T) {
	p := pins{Go: "1.26.0", Require: []moduleVersion{{"b", "v1.0.0"}, {"a", "v1.0.0"}}}
	q := pins{Go: "1.26.0", Require: []moduleVersion{{"a", "v1.0.0"}, {"b", "v1.0.0"}}, Tool: []struct{ Path string }{{"a/cmd"}}}
	if !slices.Equal(p.lines(), q.lines()) {
		t.Errorf("order and tool lines matter: %q and %q", p.lines(), q.lines())
	}
	q.Replace = append(q.Replace, struct{ Old, New moduleVersion }{moduleVersion{"a", ""}, moduleVersion{"a", "v2.0.0"}})
	if digest(p.lines()) == digest(q.lines()) {
		t.Error("a replacement does not change the digest")
	}
}

func TestReadPinsElsewhere(t *testing.T) {
	tool, err := findGo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tool.env.GOMOD = os.DevNull
	if _, err := readPins(t.Context(), tool); err == nil || !strings.Contains(err.Error(), "cd hack/cluster") {
		t.Errorf("no go.mod: %v", err)
	}
	other := filepath.Join(t.TempDir(), "go.mod")
	if err := os.WriteFile(other, []byte("module other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tool.env.GOMOD = other
	if _, err := readPins(t.Context(), tool); err == nil || !strings.Contains(err.Error(), "cd hack/cluster") {
		t.Errorf("another go.mod: %v", err)
	}
}
