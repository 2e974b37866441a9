// SPDX-License-Identifier: Apache-2.0

// Command rbac makes deploy/rbac and docs/rbac.md from what the Helm chart
// renders to, so that the chart alone says what Lockstep may do: tests run with
// the former, and people read the latter.
//
// It decides nothing: why a rule is there, and which value turns it off, are
// comments in the chart's templates. Where to look next: files.go for what goes
// into which file, table.go for the page.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Names that the chart is rendered with. Tests know the first two.
const (
	release   = "lockstep"
	namespace = "lockstep-system"
	watched   = "watched-namespace" // stands for each of a list
)

// everything switches all on that is off unless set.
const everything = "rbac.serviceAccountTokenCreate=true,metrics.listen.secure.enabled=true,systemAuthDelegator=true"

// The installations that the files are taken from.
const (
	cluster = "cluster"
	scoped  = "scoped"
	shadow  = "shadow"
)

var installations = map[string]struct{ release, values string }{
	cluster: {release, everything},
	scoped:  {release, everything + ",namespaces={" + watched + "}"},
	shadow:  {release + "-shadow", "shadow=true"},
}

func main() {
	helm := flag.String("helm", "bin/helm", "the `binary` of Helm")
	chart := flag.String("chart", "deploy/charts/lockstep", "`folder` of the chart")
	out := flag.String("out", "deploy/rbac", "`folder` of the manifests")
	page := flag.String("page", "docs/rbac.md", "the `file` of the table")
	flag.Parse()
	if err := run(*helm, *chart, *out, *page); err != nil {
		fmt.Fprintln(os.Stderr, "rbac:", err)
		os.Exit(1)
	}
}

func run(helm, chart, out, page string) error {
	made := map[string][]object{}
	for name, in := range installations {
		var err error
		if made[name], err = render(helm, chart, in.release, in.values); err != nil {
			return err
		}
	}
	for _, f := range files {
		text, err := f.text(made)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if err := os.WriteFile(filepath.Join(out, f.name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	text, err := table(made[cluster], made[scoped])
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(text), 0o644)
}

// render returns the objects that the chart makes of values, each with the
// comments of its template.
func render(helm, chart, release, values string) ([]object, error) {
	cmd := exec.Command(helm, "template", release, chart, "--namespace", namespace, "--set", values) //nolint:gosec // the developer names the binary
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	objects, err := parse(string(text))
	if err == nil && len(objects) == 0 {
		err = errors.New("the chart renders to nothing")
	}
	return objects, err
}
