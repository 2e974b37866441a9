// SPDX-License-Identifier: Apache-2.0

// Command demo follows IBM's tutorial "Secure secrets for apps that run in your
// Kubernetes cluster" to its last step, on this machine: with a real control
// plane, the stand-in for IBM Cloud Secrets Manager, and the real Lockstep
// binary running with the RBAC that is shipped.
//
// What it prints after a $ is what it does. It needs the folder bin as make
// demo fills it, and ends everything it started, also when interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	switch {
	case errors.Is(err, context.Canceled):
		os.Exit(130) // as a shell reports an interrupt
	case err != nil:
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "lockstep-demo-")
	if err != nil {
		return err
	}
	d := &demo{dir: dir, bin: "bin", keep: os.Getenv("KEEP") == "1"}
	if d.bin, err = filepath.Abs(d.bin); err != nil {
		return err
	}
	defer func() {
		if ctx.Err() != nil {
			fmt.Println("\ninterrupted; cleaning up")
			err = ctx.Err()
		}
		err = errors.Join(err, d.cleanUp())
	}()
	for _, step := range []func(context.Context) error{
		d.startCluster, d.startManager, d.storeSecret, d.install, d.applyManifest, d.rotate, d.count, d.linger,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}
