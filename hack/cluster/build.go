// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"path/filepath"
	"strings"
)

// build makes one part in the work folder and installs it in dir.
//
// Progress is honest as far as Go tells: `go list` names the packages that
// are not in the build cache, `go build -v` names each of those when its
// compilation begins. Packages differ in size, and linking is not counted.
func build(ctx context.Context, tool goTool, dir, work string, r recipe, m *meter) error {
	missing, err := uncached(ctx, tool, work, r, m)
	if err != nil {
		return err
	}
	begin := func(done int) {
		m.set(func(s *state) {
			s.phase, s.done, s.total = compiling, done, len(missing)
			if done >= len(missing) {
				s.phase = linking
			}
		})
	}
	seen := map[string]bool{}
	begin(0)
	args := append([]string{"build", "-v", "-o", filepath.Join(work, r.part.name)}, r.flags...)
	_, err = tool.run(ctx, command{
		args: append(args, r.part.pkg),
		temp: work,
		line: func(line string) bool {
			if !isPackage(line) {
				return false
			}
			if missing[line] && !seen[line] {
				seen[line] = true
				begin(len(seen))
			}
			return true
		},
	})
	if err != nil {
		return err
	}
	return install(dir, work, r)
}

// uncached names the packages that the part needs and that Go would have to
// compile. The first time, this is also where modules are downloaded.
func uncached(ctx context.Context, tool goTool, work string, r recipe, m *meter) (map[string]bool, error) {
	const format = `{{if .Stale}}{{.ImportPath}} {{.StaleReason}}{{end}}`
	args := append([]string{"list", "-deps", "-f", format}, r.flags...)
	text, err := tool.run(ctx, command{
		args: append(args, r.part.pkg),
		temp: work,
		line: func(line string) bool {
			if !strings.HasPrefix(line, "go: downloading ") {
				return false
			}
			m.set(func(s *state) { s.phase, s.modules = downloading, s.modules+1 })
			return true
		},
	})
	if err != nil {
		return nil, err
	}
	return parseStale(text), nil
}

// parseStale reads lines of a package and the reason why it is stale. A
// program itself is always stale for `go list`, also when it is compiled and
// only has to be linked.
func parseStale(text string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(text) {
		name, reason, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "" && reason != "not installed but available in build cache" {
			out[name] = true
		}
	}
	return out
}

// isPackage tells a package of `go build -v` from a message.
func isPackage(line string) bool {
	return line != "" && !strings.ContainsAny(line, " \t:")
}
