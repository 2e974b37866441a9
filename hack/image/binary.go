// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// versionVariable is what the linker sets.
const versionVariable = "github.com/lockstep-secrets/lockstep/internal/cli.release"

// compile builds Lockstep for a platform and returns the file, a static one.
//
// Nothing of the machine is in it: no paths, and not the state of the checkout,
// which changes with a file that is not even compiled.
func compile(ctx context.Context, o options, platform v1.Platform, target string) (string, error) {
	target, err := filepath.Abs(target)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", //nolint:gosec // the version is an argument of the linker and of no shell
		"-ldflags=-s -w -buildid= -X "+versionVariable+"="+o.version, "-o", target, "./cmd/lockstep")
	cmd.Dir = o.source
	cmd.Env = append(os.Environ(),
		"CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture, "GOWORK=off", "GOFLAGS=-mod=readonly",
		"GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off", // defaults that somebody's "go env -w" may have changed
	)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("compile for %s: %w", platform, err)
	}
	return target, nil
}
