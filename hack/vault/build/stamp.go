// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// serverPackage is what is built.
const serverPackage = "./server"

// buildFlags are the same for `go list`, which says what is to be compiled.
var buildFlags = []string{"-mod=readonly", "-tags=pki", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"}

// A stamp lies beside the binary as vault.stamp and says what it was made of.
// It is removed before the binary is replaced and written after, so a stamp
// that is there belongs to the binary that is there.
type stamp struct {
	Go      string `json:"go"`
	Target  string `json:"target"` // GOOS/GOARCH
	Flags   string `json:"flags"`
	Sources string `json:"sources"` // digest of the pins and of our own code
	Size    int64  `json:"size"`    // of the binary in bytes, 0 in a wanted stamp
}

// found is what lies at the target.
type found struct {
	size  int64 // of the binary, -1 when there is none
	stamp *stamp
}

// wanted is the stamp of what would be built now; the current folder is that
// of the pins.
func wanted(tool goTool) (stamp, error) {
	files, err := filepath.Glob("server/*.go")
	if err != nil {
		return stamp{}, err
	}
	files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	sum := sha256.New()
	for _, name := range append(files, "go.mod", "go.sum", addition) {
		text, err := os.ReadFile(name)
		if err != nil {
			return stamp{}, err
		}
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text) // a hash takes everything
	}
	return stamp{
		Go:      tool.env.GOVERSION,
		Target:  tool.env.GOOS + "/" + tool.env.GOARCH,
		Flags:   strings.Join(append(tool.env.settings(), buildFlags...), " "),
		Sources: hex.EncodeToString(sum.Sum(nil)),
	}, nil
}

// stale says why the found binary is not the wanted one; "" when it is.
func stale(want stamp, have found) string {
	switch {
	case have.size < 0:
		return "there is none yet"
	case have.stamp == nil:
		return "the binary has no readable stamp"
	case have.stamp.Size != have.size:
		return fmt.Sprintf("the binary has %d bytes and its stamp says %d", have.size, have.stamp.Size)
	case have.stamp.Go != want.Go:
		return "Go was " + have.stamp.Go
	case have.stamp.Target != want.Target:
		return "it is for " + have.stamp.Target
	case have.stamp.Flags != want.Flags:
		return "the build flags changed"
	case have.stamp.Sources != want.Sources:
		return "its sources or pins changed"
	}
	return ""
}

// readFound treats whatever it cannot read as absent: it is then built.
func readFound(target string) found {
	info, err := os.Stat(target)
	if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return found{size: -1}
	}
	have := found{size: info.Size()}
	text, err := os.ReadFile(target + ".stamp")
	if err != nil {
		return have
	}
	var s stamp
	if json.Unmarshal(text, &s) == nil {
		have.stamp = &s
	}
	return have
}

// install moves the binary, which is on the same file system, to its place
// and stamps it.
func install(target, binary string, s stamp) error {
	info, err := os.Stat(binary)
	if err != nil {
		return fmt.Errorf("look at the new binary: %w", err)
	}
	s.Size = info.Size()
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.Remove(target + ".stamp"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the old stamp: %w", err)
	}
	if err := os.Rename(binary, target); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	return os.WriteFile(target+".stamp", append(text, '\n'), 0o644)
}

// lock takes the exclusive lock of the target and returns how to give it
// back. When somebody else has it, it calls waiting once and tries again until
// ctx ends. The operating system frees the lock of a process that dies.
//
// The file stays: removing it would let two runs lock two different files.
func lock(ctx context.Context, target string, waiting func()) (func(), error) {
	file, err := os.OpenFile(target+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the target: %w", err)
	}
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, fmt.Errorf("lock the target: %w", err)
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, ctx.Err()
		case <-again.C:
		}
	}
}
