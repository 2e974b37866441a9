// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A stamp lies beside a binary as <name>.stamp and says what it was made of.
// It is removed before the binary is replaced and written after, so a stamp
// that is there belongs to the binary that is there.
type stamp struct {
	Package string `json:"package"`
	Version string `json:"version"`
	Target  string `json:"target"` // GOOS/GOARCH
	Go      string `json:"go"`
	Flags   string `json:"flags"` // digest of flags and Go settings
	Pins    string `json:"pins"`  // digest of go.mod's requirements
	Size    int64  `json:"size"`  // of the binary in bytes, 0 in a wanted stamp
}

// A job is a recipe that has to be carried out, and why.
type job struct {
	recipe recipe
	reason string
}

// outdated returns the recipes whose binary in dir is missing or not what
// they would make.
func outdated(dir string, recipes []recipe) []job {
	var jobs []job
	for _, r := range recipes {
		if reason := stale(r.stamp, readFound(dir, r.part.name)); reason != "" {
			jobs = append(jobs, job{recipe: r, reason: reason})
		}
	}
	return jobs
}

// found is what lies in the target folder for one part.
type found struct {
	size  int64 // of the binary, -1 when there is none
	stamp *stamp
}

// stale says why the found binary is not the wanted one; "" when it is.
func stale(want stamp, have found) string {
	switch {
	case have.size < 0:
		return "not built yet"
	case have.stamp == nil:
		return "the binary has no readable stamp"
	case have.stamp.Size != have.size:
		return fmt.Sprintf("the binary has %d bytes and its stamp says %d", have.size, have.stamp.Size)
	}
	for _, field := range []struct{ name, want, have string }{
		{"package", want.Package, have.stamp.Package},
		{"version", want.Version, have.stamp.Version},
		{"target", want.Target, have.stamp.Target},
		{"go", want.Go, have.stamp.Go},
	} {
		if field.want != field.have {
			return fmt.Sprintf("%s was %s", field.name, field.have)
		}
	}
	if want.Flags != have.stamp.Flags {
		return "the build flags changed"
	}
	if want.Pins != have.stamp.Pins {
		return "the requirements in go.mod changed"
	}
	return ""
}

// readFound treats whatever it cannot read as absent: the part is then built.
func readFound(dir, name string) found {
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return found{size: -1}
	}
	have := found{size: info.Size()}
	text, err := os.ReadFile(filepath.Join(dir, name+".stamp")) //nolint:gosec // the folder the user named
	if err != nil {
		return have
	}
	var s stamp
	if json.Unmarshal(text, &s) == nil {
		have.stamp = &s
	}
	return have
}

// install moves the binary from the work folder, on the same file system, to
// its place in dir and stamps it.
func install(dir, work string, r recipe) error {
	name := r.part.name
	info, err := os.Stat(filepath.Join(work, name))
	if err != nil {
		return fmt.Errorf("look at the new %s: %w", name, err)
	}
	s := r.stamp
	s.Size = info.Size()
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("stamp %s: %w", name, err)
	}
	fresh, place := filepath.Join(work, name+".stamp"), filepath.Join(dir, name+".stamp")
	if err := os.WriteFile(fresh, append(text, '\n'), 0o644); err != nil { //nolint:gosec // nothing secret
		return fmt.Errorf("stamp %s: %w", name, err)
	}
	if err := os.Remove(place); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the old stamp: %w", err)
	}
	if err := os.Rename(filepath.Join(work, name), filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("install %s: %w", name, err)
	}
	if err := os.Rename(fresh, place); err != nil {
		return fmt.Errorf("stamp %s: %w", name, err)
	}
	return nil
}
