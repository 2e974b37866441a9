// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A part is one program of the control plane, or of a node.
type part struct {
	name    string
	pkg     string
	module  string
	version string // package whose version variables are set by the linker, "" when it knows its own
}

const (
	kubernetes  = "k8s.io/kubernetes"
	kubeVersion = "k8s.io/component-base/version"

	defaultParts = "etcd,kube-apiserver,kube-controller-manager"
)

// allParts is in building order: what is small comes first, so that a mistake
// in the set-up shows early.
var allParts = []part{
	{name: "etcd", pkg: "go.etcd.io/etcd/server/v3", module: "go.etcd.io/etcd/server/v3"},
	{name: "kube-apiserver", pkg: kubernetes + "/cmd/kube-apiserver", module: kubernetes, version: kubeVersion},
	{name: "kube-controller-manager", pkg: kubernetes + "/cmd/kube-controller-manager", module: kubernetes, version: kubeVersion},
	{name: "kubectl", pkg: kubernetes + "/cmd/kubectl", module: kubernetes, version: kubeVersion},
	{name: "kube-scheduler", pkg: kubernetes + "/cmd/kube-scheduler", module: kubernetes, version: kubeVersion},
	{name: "kubelet", pkg: kubernetes + "/cmd/kubelet", module: kubernetes, version: kubeVersion},
}

// selectParts turns a comma-separated list into parts, each once and in
// building order.
func selectParts(names string) ([]part, error) {
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); name != "" {
			wanted[name] = true
		}
	}
	var parts []part
	var known []string
	for _, p := range allParts {
		known = append(known, p.name)
		if wanted[p.name] {
			parts = append(parts, p)
			delete(wanted, p.name)
		}
	}
	for name := range wanted {
		return nil, fmt.Errorf("unknown part %q; known are %s", name, strings.Join(known, ", "))
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("no part chosen; known are %s", strings.Join(known, ", "))
	}
	return parts, nil
}

// pins is what `go mod edit -json` says of our go.mod.
type pins struct {
	Module  struct{ Path string }
	Go      string
	Require []moduleVersion
	Replace []struct{ Old, New moduleVersion }
	Exclude []moduleVersion
	Tool    []struct{ Path string }
}

type moduleVersion struct{ Path, Version string }

// readPins reads the go.mod that Go uses in the current folder. It touches no network.
func readPins(ctx context.Context, tool goTool) (pins, error) {
	elsewhere := errors.New("the current folder is not that of the pins; run it by: cd hack/cluster && go run .")
	if !filepath.IsAbs(tool.env.GOMOD) || tool.env.GOMOD == os.DevNull {
		return pins{}, elsewhere
	}
	text, err := tool.run(ctx, command{args: []string{"mod", "edit", "-json", tool.env.GOMOD}})
	if err != nil {
		return pins{}, fmt.Errorf("read go.mod: %w", err)
	}
	var p pins
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return pins{}, fmt.Errorf("read go.mod: %w", err)
	}
	if p.Module.Path != modulePath {
		return pins{}, elsewhere
	}
	return p, nil
}

// versionOf returns the pinned version of a module, "" when there is none.
func (p pins) versionOf(module string) string {
	for _, r := range p.Replace {
		if r.Old.Path == module {
			return r.New.Version
		}
	}
	for _, r := range p.Require {
		if r.Path == module {
			return r.Version
		}
	}
	return ""
}

// A recipe is how one part is built, and the stamp it has afterwards.
type recipe struct {
	part  part
	flags []string // of go build
	stamp stamp
}

func (p pins) recipes(parts []part, env goEnv) ([]recipe, error) {
	var out []recipe
	for _, pt := range parts {
		version := p.versionOf(pt.module)
		if version == "" {
			return nil, fmt.Errorf("go.mod pins no version of %s", pt.module)
		}
		if !slices.ContainsFunc(p.Tool, func(t struct{ Path string }) bool { return t.Path == pt.pkg }) {
			return nil, fmt.Errorf("go.mod has no line: tool %s", pt.pkg)
		}
		flags := buildFlags(pt, version)
		out = append(out, recipe{part: pt, flags: flags, stamp: stamp{
			Package: pt.pkg,
			Version: version,
			Target:  env.GOOS + "/" + env.GOARCH,
			Go:      env.GOVERSION,
			Flags:   digest(append(env.settings(), flags...)),
			Pins:    digest(p.lines()),
		}})
	}
	return out, nil
}

// buildFlags returns the flags that decide what the binary of a part is. The
// linker flags do not reach the compiler: they leave the build cache warm.
func buildFlags(pt part, version string) []string {
	ldflags := "-s -w"
	if pt.version != "" {
		// Without these Kubernetes calls itself v0.0.0-master, which Helm
		// charts that ask for a minimum version refuse.
		set := func(name, value string) { ldflags += " -X " + pt.version + "." + name + "=" + value }
		set("gitVersion", version)
		if number := strings.Split(strings.TrimPrefix(version, "v"), "."); len(number) == 3 {
			set("gitMajor", number[0])
			set("gitMinor", number[1])
		}
	}
	return []string{"-mod=readonly", "-trimpath", "-ldflags=" + ldflags}
}

// lines lists what can change the graph of modules, in a fixed order. The
// tool lines are not in it: one more part leaves the others as they are.
func (p pins) lines() []string {
	lines := []string{"go " + p.Go}
	for _, m := range p.Require {
		lines = append(lines, "require "+m.Path+" "+m.Version)
	}
	for _, m := range p.Exclude {
		lines = append(lines, "exclude "+m.Path+" "+m.Version)
	}
	for _, r := range p.Replace {
		lines = append(lines, strings.Join([]string{"replace", r.Old.Path, r.Old.Version, r.New.Path, r.New.Version}, " "))
	}
	slices.Sort(lines)
	return lines
}

// versions names what the recipes make, for people.
func versions(recipes []recipe) string {
	var out []string
	for _, r := range recipes {
		out = append(out, r.part.name+" "+r.stamp.Version)
	}
	return strings.Join(out, ", ")
}

func digest(lines []string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}
