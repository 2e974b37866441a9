// SPDX-License-Identifier: Apache-2.0

// Command bench measures what Lockstep costs: a real control plane, a stand-in
// for the manager that counts what it is asked, and the real binary with the RBAC
// that is shipped, all on this machine. It writes docs/benchmarks.md, when all is
// measured and not before.
//
// It is no test: nothing fails because it is slow. What has to hold whatever the
// machine is in test/, and what single functions cost is in go test -bench.
//
//	workload.go  what is looked after, and what the manager holds
//	phases.go    what is measured, in order; rig.go, raw.go and follow.go do it
//	vault.go     the stand-in; ibm.go the one for what can be probed
//	figures.go   what came out, against targets.go, as report.go prints it
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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, context.Canceled):
		os.Exit(130) // as a shell reports an interrupt
	case err != nil:
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	lockstep string
	output   string
	sizes    []int
	prober   int // objects; 0 leaves it out
	interval time.Duration
	delay    time.Duration
	settle   time.Duration
	rest     time.Duration
	patience time.Duration
}

func parse(args []string, help io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(help)
	f.StringVar(&o.lockstep, "lockstep", "bin/lockstep", "the binary, as make build makes it")
	f.StringVar(&o.output, "o", "docs/benchmarks.md", "where to write the results")
	sizes := f.String("sizes", "1000,10000", "numbers of objects")
	f.IntVar(&o.prober, "prober", 1000, "number of objects of a product that can be probed; 0 leaves it out")
	f.DurationVar(&o.interval, "interval", time.Minute, "refreshInterval of the objects")
	f.DurationVar(&o.delay, "delay", 20*time.Millisecond, "how long the manager takes for an answer")
	f.DurationVar(&o.settle, "settle", time.Minute, "how long to wait before something is measured at rest")
	f.DurationVar(&o.rest, "rest", 0, "how long to measure at rest (default two intervals)")
	f.DurationVar(&o.patience, "patience", 20*time.Minute, "how long a step may take before all is given up")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	for text := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < entries || n > 99999 {
			return o, fmt.Errorf("-sizes: %q is not a number from %d to 99999", text, entries)
		}
		o.sizes = append(o.sizes, n)
	}
	slices.Sort(o.sizes)
	if o.rest == 0 {
		o.rest = 2 * o.interval
	}
	if o.interval < 10*time.Second || o.rest < time.Second || o.prober < 0 || o.prober > 0 && o.prober < entries {
		return o, errors.New("-interval is 10s or more, -rest 1s or more, and -prober 0 or a number of objects")
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	opts, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	if opts.lockstep, err = filepath.Abs(opts.lockstep); err != nil {
		return err
	}
	ctrl.SetLogger(logr.Discard()) // of the clients with which this program plays people
	klog.SetLogger(logr.Discard())
	began := time.Now()
	out := report{opts: opts, date: began, command: strings.TrimSpace("go run ./hack/bench " + strings.Join(args, " "))}
	if out.machine, err = thisMachine(ctx, opts.lockstep); err != nil {
		return fmt.Errorf("%w (the binary is made by make build)", err)
	}
	for _, n := range opts.sizes {
		f, err := measureSize(ctx, opts, n)
		if err != nil {
			return fmt.Errorf("%d objects: %w", n, orInterrupted(ctx, err))
		}
		out.sizes = append(out.sizes, f)
	}
	if opts.prober > 0 {
		f, err := measureProber(ctx, opts, opts.prober)
		if err != nil {
			return fmt.Errorf("%d objects of a product that can be probed: %w", opts.prober, orInterrupted(ctx, err))
		}
		out.prober = &f
	}
	out.took = time.Since(began)
	if err := save(opts.output, out.String()); err != nil {
		return err
	}
	say("written to %s", opts.output)
	return nil
}

// orInterrupted is the interrupt, where an error is what came of one.
func orInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// say tells how far it is.
func say(format string, args ...any) {
	fmt.Printf(time.Now().Format("15:04:05")+" "+format+"\n", args...)
}
