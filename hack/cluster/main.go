// SPDX-License-Identifier: Apache-2.0

// Command cluster builds the programs of a Kubernetes control plane (etcd,
// kube-apiserver, kube-controller-manager and, when asked, others) from the
// Go modules pinned in this folder's go.mod, for tests that want a real one.
//
// It starts nothing and downloads no binary. It runs on Linux and macOS; the
// kubelet is for Linux.
//
// Where to look next: parts.go for what is built from what, stamp.go for when
// a part is built again, build.go for how.
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
const modulePath = "github.com/lockstep-secrets/lockstep/hack/cluster"

// errUsage marks a wrong command line that has been explained already.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := interruptible(context.Background())
	err := run(ctx, os.Args[1:], os.Stderr)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(exitUsage)
	case interrupted:
		fmt.Fprintln(os.Stderr, "cluster: interrupted; what was compiled so far is kept in Go's build cache")
		os.Exit(exitInterrupted)
	default:
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(exitFailure)
	}
}

// interruptible returns a context that ends when somebody wants us to stop.
func interruptible(parent context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

// run builds what is missing or out of date. All it has to say goes to out.
func run(ctx context.Context, args []string, out *os.File) error {
	opts, err := parseOptions(args, out)
	if err != nil {
		return err
	}
	tool, err := findGo(ctx)
	if err != nil {
		return err
	}
	pins, err := readPins(ctx, tool)
	if err != nil {
		return err
	}
	recipes, err := pins.recipes(opts.parts, tool.env)
	if err != nil {
		return err
	}
	if len(outdated(opts.dir, recipes)) == 0 {
		say(out, "control plane: up to date in %s (%s)\n", opts.dir, versions(recipes))
		return nil
	}
	if err := os.MkdirAll(opts.dir, 0o755); err != nil { //nolint:gosec // programs for everybody on this machine, nothing secret
		return fmt.Errorf("create the target folder: %w", err)
	}
	unlock, err := lock(ctx, opts.dir, func() {
		say(out, "control plane: waiting for another run that builds into %s\n", opts.dir)
	})
	if err != nil {
		return err
	}
	defer unlock()
	return buildAll(ctx, tool, opts.dir, recipes, out)
}

// buildAll builds the parts that are out of date; the caller holds the lock
// of dir. It looks again at the stamps: the run that held the lock before may
// have built them.
func buildAll(ctx context.Context, tool goTool, dir string, recipes []recipe, out *os.File) error {
	start := time.Now()
	jobs := outdated(dir, recipes)
	work := filepath.Join(dir, ".work")
	if err := os.RemoveAll(work); err != nil { // of a run that was killed
		return fmt.Errorf("clear the work folder: %w", err)
	}
	if err := os.Mkdir(work, 0o750); err != nil {
		return fmt.Errorf("create the work folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()

	for i, j := range jobs {
		m := newMeter(out, isTerminal(out), state{part: j.recipe.part.name, index: i + 1, count: len(jobs), start: start})
		m.note(fmt.Sprintf("building %s %s: %s", j.recipe.part.module, j.recipe.stamp.Version, j.reason))
		began := time.Now()
		err := build(ctx, tool, dir, work, j.recipe, m)
		m.stop()
		if err != nil {
			return err
		}
		m.note("done in " + clock(time.Since(began)))
	}
	say(out, "control plane: ready in %s (%s) after %s\n", dir, versions(recipes), clock(time.Since(start)))
	return nil
}

type options struct {
	dir   string // absolute
	parts []part
}

func parseOptions(args []string, out io.Writer) (options, error) {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.SetOutput(out)
	dir := flags.String("o", "../../bin/control-plane", "target `folder`")
	names := flags.String("parts", defaultParts, "comma-separated `names` of what to build; see parts.go for others")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return options{}, err
		}
		return options{}, errUsage
	}
	if flags.NArg() > 0 {
		say(out, "cluster: unexpected argument %q; parts are chosen by -parts\n", flags.Arg(0))
		return options{}, errUsage
	}
	parts, err := selectParts(*names)
	if err != nil {
		say(out, "cluster: %v\n", err)
		return options{}, errUsage
	}
	abs, err := filepath.Abs(*dir)
	if err != nil {
		return options{}, fmt.Errorf("target folder: %w", err)
	}
	return options{dir: abs, parts: parts}, nil
}

// say writes a line for people; nothing can be done when that fails.
func say(out io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(out, format, args...)
}

// isTerminal reports whether lines written to f may be rewritten.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
