// SPDX-License-Identifier: Apache-2.0

// Command build makes bin/vault, the Vault of ../server, from the Go modules
// pinned in this module's go.mod. It starts nothing.
//
// Where to look next: stamp.go for when it is built again, sdk.go for what is
// done to one of the modules before, gotool.go for how Go is called.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Exit codes. Through `go run`, which has its own, every failure is 1.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// modulePath is the module whose go.mod holds the pins.
const modulePath = "github.com/lockstep-secrets/lockstep/hack/vault"

// errUsage marks a wrong command line that has been explained already.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stderr)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(exitUsage)
	case interrupted:
		say(os.Stderr, "vault: interrupted; what was compiled so far is kept in Go's build cache\n")
		os.Exit(exitInterrupted)
	default:
		say(os.Stderr, "vault: %v\n", err)
		os.Exit(exitFailure)
	}
}

// run builds the binary when it is missing or out of date. All it has to say
// goes to out.
func run(ctx context.Context, args []string, out io.Writer) error {
	target, err := parseTarget(args, out)
	if err != nil {
		return err
	}
	tool, err := findGo(ctx)
	if err != nil {
		return err
	}
	if err := toPins(tool.env.GOMOD); err != nil {
		return err
	}
	want, err := wanted(tool)
	if err != nil {
		return err
	}
	if stale(want, readFound(target)) == "" {
		say(out, "vault: up to date in %s\n", target)
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("create the target folder: %w", err)
	}
	unlock, err := lock(ctx, target, func() { say(out, "vault: waiting for another run that builds %s\n", target) })
	if err != nil {
		return err
	}
	defer unlock()
	reason := stale(want, readFound(target)) // the run that held the lock may have built it
	if reason == "" {
		return nil
	}
	say(out, "vault: building, since %s\n", reason)
	start := time.Now()
	if err := build(ctx, tool, target, want, out); err != nil {
		return err
	}
	say(out, "vault: ready in %s after %s\n", target, clock(time.Since(start)))
	return nil
}

// toPins makes the folder of our go.mod the current one.
func toPins(gomod string) error {
	text, err := os.ReadFile(gomod)
	if err != nil || !strings.HasPrefix(string(text), "module "+modulePath+"\n") {
		return errors.New("this is not the module of the pins; run it by: cd hack/vault && go run ./build")
	}
	return os.Chdir(filepath.Dir(gomod))
}

// build compiles in a folder beside the target and installs what came out.
func build(ctx context.Context, tool goTool, target string, want stamp, out io.Writer) error {
	work := target + ".work"
	if err := os.RemoveAll(work); err != nil { // of a run that was killed
		return fmt.Errorf("clear the work folder: %w", err)
	}
	if err := os.Mkdir(work, 0o750); err != nil {
		return fmt.Errorf("create the work folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()

	progress := newMeter(out)
	defer progress.stop()
	tool.temp, tool.line = work, progress.see
	modfile, err := completeSDK(ctx, tool, work)
	if err != nil {
		return err
	}
	flags := append([]string{"-modfile=" + modfile}, buildFlags...)
	missing, err := tool.run(ctx, append([]string{"list", "-deps", "-f", staleFormat}, append(flags, serverPackage)...)...)
	if err != nil {
		return err
	}
	progress.total(missing)
	binary := filepath.Join(work, "vault")
	if _, err := tool.run(ctx, append([]string{"build", "-v", "-o", binary}, append(flags, serverPackage)...)...); err != nil {
		return err
	}
	return install(target, binary, want)
}

func parseTarget(args []string, out io.Writer) (string, error) {
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	flags.SetOutput(out)
	target := flags.String("o", "../../bin/vault", "the `binary` to build")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return "", err
		}
		return "", errUsage
	}
	if flags.NArg() > 0 {
		say(out, "vault: unexpected argument %q\n", flags.Arg(0))
		return "", errUsage
	}
	return filepath.Abs(*target)
}

// say writes a line for people; nothing can be done when that fails.
func say(out io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(out, format, args...)
}

// clock shows a duration to the second.
func clock(d time.Duration) string {
	return d.Round(time.Second).String()
}
