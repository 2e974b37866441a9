// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// machine is what the figures were measured on.
type machine struct {
	cores     int
	cpu       string
	memory    int64 // bytes
	kernel    string
	load      string
	goVersion string
	lockstep  string // what the binary says of itself
}

func thisMachine(ctx context.Context, lockstep string) (machine, error) {
	m := machine{cores: runtime.NumCPU(), goVersion: runtime.Version()}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, err
	}
	m.cpu = field(string(info), "model name")
	if info, err = os.ReadFile("/proc/meminfo"); err != nil {
		return m, err
	}
	kilobytes, err := strconv.ParseInt(strings.TrimSuffix(field(string(info), "MemTotal"), " kB"), 10, 64)
	if err != nil {
		return m, fmt.Errorf("/proc/meminfo: %w", err)
	}
	m.memory = kilobytes * 1024
	if info, err = os.ReadFile("/proc/sys/kernel/osrelease"); err != nil {
		return m, err
	}
	m.kernel = strings.TrimSpace(string(info))
	if info, err = os.ReadFile("/proc/loadavg"); err != nil {
		return m, err
	}
	m.load = strings.Join(strings.Fields(string(info))[:3], ", ")
	out, err := exec.CommandContext(ctx, lockstep, "version").Output()
	m.lockstep = strings.TrimSpace(string(out))
	return m, err
}

// field is the first one of a name in a file of lines such as "name : value".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, rest, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(rest)
		}
	}
	return "unknown"
}
