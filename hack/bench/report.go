// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// report is all that docs/benchmarks.md says.
type report struct {
	machine machine
	opts    options
	command string
	date    time.Time
	took    time.Duration
	sizes   []figures
	prober  *figures // nil when it was not measured
}

// String is the report as Markdown.
func (r report) String() string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n" +
		"Written by `make bench`, which measures the real binary against a real control plane and counts what it does. Do not edit it.\n\n")
	r.writeMachine(&b)
	r.writeMethod(&b)
	for _, f := range r.sizes {
		fmt.Fprintf(&b, "## %s ExternalSecrets over %s paths\n\n", thousands(f.objects), thousands(f.paths))
		b.WriteString(table(judge(f)))
		r.writeCounts(&b, f, true)
	}
	if slope, ok := r.slope(); ok {
		b.WriteString(slope)
	}
	if r.prober != nil {
		fmt.Fprintf(&b, "## %s ExternalSecrets over %s secrets of a product that can be probed\n\n", thousands(r.prober.objects), thousands(r.prober.paths))
		b.WriteString("The stand-in for IBM Cloud Secrets Manager, which lists what changed, through stores of provider `ibm`. Its limit of 15 requests a second holds.\n\n")
		b.WriteString(table(judgeProber(*r.prober)))
		r.writeCounts(&b, *r.prober, false)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func (r report) writeMachine(b *strings.Builder) {
	b.WriteString("| | |\n|---|---|\n")
	for _, line := range [][2]string{
		{"command", "`" + r.command + "`"},
		{"date", r.date.UTC().Format("2006-01-02 15:04 UTC") + ", " + r.took.Round(time.Second).String() + " in all"},
		{"machine", fmt.Sprintf("%d cores (%s), %.1f GB of memory, Linux %s", r.machine.cores, r.machine.cpu, float64(r.machine.memory)/1e9, r.machine.kernel)},
		{"load before", r.machine.load + " (1, 5 and 15 minutes): what else ran took of the same cores"},
		{"versions", fmt.Sprintf("%s; kube-apiserver %s; this program %s", r.machine.lockstep, r.apiServer(), r.machine.goVersion)},
	} {
		fmt.Fprintf(b, "| %s | %s |\n", line[0], line[1])
	}
	b.WriteString("\n")
}

func (r report) apiServer() string {
	for _, f := range r.sizes {
		return f.apiServer
	}
	return "unknown"
}

// writeMethod says what the figures mean.
func (r report) writeMethod(b *strings.Builder) {
	fmt.Fprintf(b, `etcd, kube-apiserver, the stand-in for the manager, this program and Lockstep share the cores. Lockstep has the RBAC that is shipped and default
flags, but for the dialect (eso) and addresses on this machine.

- **Work.** Every object has %d entries, each of another path, %s apart; ten times as many objects as paths; one SecretStore of Vault with a
  token; interval %s. The manager answers after %s.
- **Raw ceiling.** Before Lockstep starts, %d clients create as many Secrets and patch as many statuses, with Lockstep's access, in the encodings
  it uses and with nothing to think about, for objects of a class that nobody looks after.
- **First sync** begins with the start of the process, when all objects are there. It ends with the last write after which all Secrets hold
  the right values and all objects are Ready. Writes that come late count.
- **Requests** are counted by the stand-in when they arrive, **writes** by the API server's audit log of Lockstep's service account, those refused
  and those of Events included. Leases are apart. Reads of single objects are the API server's own count,
  which has some namespaces in it that it reads itself.
- **At rest** is %s, %s after the first sync. CPU and memory are those of the process in /proc; resident memory includes the pages of the program's
  own file. The memory of an object is what is resident then, less what is resident after %s with no objects, divided by their number.
- **A change** gives each path new values at once. It is timed until the last Secret holds all of them. The notices are those of Vault's stream
  of events, which the stand-in serves from then on.
- **A restart** ends the process, changes one path and starts it again; the interval after that is counted.
- **ESO** is External Secrets Operator 2.9.0, by default and with --concurrent 10, measured once and apart from this on a machine with 2 cores, with as many
  objects, entries and paths, the same interval and the same delay.

`, entries, "a fifth of all paths", r.opts.interval, r.opts.delay, clients, r.opts.rest, r.opts.settle, r.opts.settle)
}

// table is rows as Markdown. The columns of what is wanted are left out when
// nothing is.
func table(list []row) string {
	var b strings.Builder
	b.WriteString("| what | Lockstep | wanted | ratio | met | ESO |\n|---|---|---|---|---|---|\n")
	for _, r := range list {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.what, r.ours, r.against, r.ratio, r.met, r.eso)
	}
	b.WriteString("\n")
	return b.String()
}

// writeCounts says what the sums in the table are made of.
func (r report) writeCounts(b *strings.Builder, f figures, whole bool) {
	line := func(what string, c cost) {
		fmt.Fprintf(b, "- %s, %s: %s.\n", what, seconds(c.took), c)
	}
	line("First sync", f.sync.cost)
	fmt.Fprintf(b, "  Secrets were right after %s.\n", f.sync.secrets)
	fmt.Fprintf(b, "  Statuses were there after %s.\n", f.sync.spread)
	line("At rest", f.rest.cost)
	fmt.Fprintf(b, "  Resident are %s, of it %s not of files", megabytes(f.rest.memory.all), megabytes(f.rest.memory.anon))
	if f.base.all > 0 {
		fmt.Fprintf(b, "; with nothing to do %s, of it %s", megabytes(f.base.all), megabytes(f.base.anon))
	}
	b.WriteString(".\n")
	line("A change, polled", f.polled.cost)
	fmt.Fprintf(b, "  Secrets were right after %s.\n", f.polled.spread)
	if whole {
		line("A change, with notices", f.noticed.cost)
		fmt.Fprintf(b, "  Secrets were right after %s.\n", f.noticed.spread)
		line("A restart", f.restart.cost)
		fmt.Fprintf(b, "  The change is in %d Secrets. Resident after it are %s.\n", f.restart.users, megabytes(f.restart.memory.all))
	}
	b.WriteString("\n")
}

// slope is what an object needs, from two sizes.
func (r report) slope() (string, bool) {
	if len(r.sizes) < 2 {
		return "", false
	}
	small, large := r.sizes[0], r.sizes[len(r.sizes)-1]
	each := perObject(large.rest.memory.all, small.rest.memory.all, large.objects-small.objects)
	return fmt.Sprintf("Between %s and %s objects, each adds %s to what is resident at rest.\n\n",
		thousands(small.objects), thousands(large.objects), asKilobytes(each)), true
}

// thousands writes a number as 10,000.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// save writes a file whole, or not at all.
func save(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".benchmarks-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone when all went well
	_, err = f.WriteString(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil { //nolint:gosec // a document for everybody
		return err
	}
	return os.Rename(f.Name(), path)
}
