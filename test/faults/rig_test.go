// SPDX-License-Identifier: Apache-2.0

// Package faults tests what becomes of Secrets when the program that people run
// is killed, or stopped while another replica takes over, and when the API server
// is away. The program is a process of its own against a real control plane, with
// the RBAC for single namespaces that is shipped and nothing more. The manager is
// a stand-in for Vault in the process of the tests.
//
// Whatever happens, somebody watches the Secrets all the time: world_test.go says
// what must never be seen. rig_test.go starts processes, manager_test.go is the
// manager. What a manager may do is tested in internal/feed/faults_test.go.
package faults

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

const (
	// patience is how long a test waits for what must happen. It is no measure
	// of speed: the machine may be busy.
	patience = 2 * time.Minute
	// canary is in all values that nobody but the Secrets may have.
	canary = "CANARY"
	// seedName is the variable that makes a run choose as an earlier one did.
	seedName = "LOCKSTEP_SEED"
)

// stage is what all tests have in common.
type stage struct {
	plane  *plane.Plane
	user   client.WithWatch // the administrator, playing everybody
	access *rest.Config     // of lockstep
	binary string
	dir    string
	seed   uint64
}

var shared = &stage{}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	code := 1
	ctrl.SetLogger(logr.Discard()) // of the clients with which the tests play people
	err := errors.Join(together(), shared.start(context.Background()))
	if err == nil {
		fmt.Fprintf(os.Stderr, "%s=%d\n", seedName, shared.seed)
		code = m.Run()
	}
	if err = errors.Join(err, shared.stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// together lets all tests go on at a time, whatever the machine: they wait, most
// of the time. -parallel says otherwise.
func together() error {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if chosen {
		return nil
	}
	return flag.Set("test.parallel", "8")
}

func (s *stage) start(ctx context.Context) error {
	var err error
	s.seed = uint64(time.Now().UnixNano())
	if text := os.Getenv(seedName); text != "" {
		if s.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			return fmt.Errorf("%s: %w", seedName, err)
		}
	}
	if s.dir, err = os.MkdirTemp("", "lockstep-faults-"); err != nil {
		return err
	}
	s.binary = filepath.Join(s.dir, "lockstep")
	// Without the race detector: it is killed at the moments that people's is.
	out, err := exec.CommandContext(ctx, "go", "build", "-o", s.binary, "../../cmd/lockstep").CombinedOutput() //nolint:gosec // the program under test
	if err != nil {
		return fmt.Errorf("build lockstep: %w\n%s", err, out)
	}
	if s.plane, err = plane.Start(); err != nil {
		return err
	}
	if err = errors.Join(s.plane.Install(ctx), s.plane.StartControllerManager(ctx)); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err = corev1.AddToScheme(scheme); err != nil {
		return err
	}
	if s.user, err = client.NewWithWatch(s.plane.Admin, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	s.access, err = s.plane.Lockstep(ctx)
	return err
}

func (s *stage) stop() error {
	var err error
	if s.plane != nil {
		err = s.plane.Stop()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// program is lockstep while it runs.
type program struct {
	cmd  *exec.Cmd
	logs *buffer
	gone chan struct{} // closed when it ended
	err  error         // how, then
}

// run starts the controller of a namespace, with further flags. It is killed at
// the end of the test, if it still runs.
func (w *world) run(access *rest.Config, flags ...string) *program {
	w.Helper()
	text, err := plane.KubeconfigFor(access)
	must(w.T, err)
	kubeconfig := filepath.Join(w.TempDir(), "kubeconfig")
	must(w.T, os.WriteFile(kubeconfig, text, 0o600))
	flags = append([]string{
		"controller", "--kubeconfig", kubeconfig, "--dialects", "eso", "--namespaces", w.ns, "--log-level", "debug",
		"--metrics-bind-address", "0", "--health-probe-bind-address", "0", "--permit-addresses", "127.0.0.1/32",
	}, flags...)
	p := &program{cmd: exec.Command(shared.binary, flags...), logs: &buffer{}, gone: make(chan struct{})} //nolint:gosec,noctx // the program under test; the test ends it
	p.cmd.Env = []string{}
	p.cmd.Stdout, p.cmd.Stderr = p.logs, p.logs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt of the tests is not its own
	must(w.T, p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.gone)
	}()
	w.Cleanup(func() {
		p.kill()
		if strings.Contains(p.logs.String(), canary) {
			w.Error("a value of a secret is in the logs")
		}
		if w.Failed() {
			w.Logf("the last of a process:\n%s", p.logs.last())
		}
	})
	return p
}

// kill ends it as a lack of memory or a power cut does, also when it is stopped.
func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.gone
}

func (p *program) signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// alive fails when it ended by itself.
func (p *program) alive() error {
	select {
	case <-p.gone:
		return fmt.Errorf("lockstep ended by itself: %w\n%s", p.err, p.logs.last())
	default:
		return nil
	}
}

// gateway is between one process and the API server. It counts what is written,
// and may be cut.
type gateway struct {
	server *httptest.Server
	access *rest.Config

	mu      sync.Mutex
	written []string            // what changed something, but for leases and events
	read    []string            // of single Secrets
	hold    func(*http.Request) // keeps the answer to a write of a Secret back
	leases  int                 // requests about leases
	objects int                 // reads of single objects
	late    bool                // streams and lists of objects do not come
	cut     cut
	open    chan struct{} // closed while requests pass
}

// cut is what becomes of requests.
type cut uint8

const (
	passes cut = iota
	resets     // the connection ends
	hangs      // there is no answer until they pass again
)

// newGateway puts a gateway in front of the API server.
func newGateway(t *testing.T) *gateway {
	t.Helper()
	target, err := url.Parse(shared.access.Host)
	must(t, err)
	transport, err := rest.TransportFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAData: shared.access.CAData}})
	must(t, err)
	g := &gateway{open: make(chan struct{})}
	close(g.open)
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		FlushInterval:  -1,
		ModifyResponse: g.note,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	g.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.admits(r) {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	g.server.EnableHTTP2 = true
	g.server.StartTLS()
	t.Cleanup(func() {
		g.become(passes)
		g.server.CloseClientConnections()
		g.server.Close()
	})
	g.access = rest.CopyConfig(shared.access)
	g.access.Host = g.server.URL
	g.access.CAData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.server.Certificate().Raw})
	return g
}

// admits waits until a request may pass, or reports that it may not.
func (g *gateway) admits(r *http.Request) bool {
	g.mu.Lock()
	now, open, late := g.cut, g.open, g.late
	g.mu.Unlock()
	if now == resets {
		return false
	}
	if late && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/externalsecrets") {
		<-r.Context().Done()
		return false
	}
	select {
	case <-open:
		return true
	case <-r.Context().Done():
		return false
	}
}

// become changes what becomes of requests, and ends those that are under way
// unless they pass.
func (g *gateway) become(c cut) {
	g.mu.Lock()
	before := g.cut
	g.cut = c
	switch {
	case before == passes && c != passes:
		g.open = make(chan struct{})
	case before != passes && c == passes:
		close(g.open)
	}
	g.mu.Unlock()
	if c != passes {
		g.server.CloseClientConnections()
	}
}

func (g *gateway) note(r *http.Response) error {
	g.mu.Lock()
	hold := g.hold
	g.mu.Unlock()
	if hold != nil && r.Request.Method == http.MethodPut && strings.Contains(r.Request.URL.Path, "/secrets/") && r.StatusCode == http.StatusOK {
		hold(r.Request)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch path := r.Request.URL.Path; {
	case strings.Contains(path, "/leases"):
		g.leases++
	case r.Request.Method == http.MethodGet && strings.Contains(path, "/externalsecrets/o"):
		g.objects++
	case r.Request.Method == http.MethodGet && strings.Contains(path, "/secrets/o"):
		g.read = append(g.read, r.Request.Method+" "+path)
	case r.Request.Method != http.MethodGet && r.StatusCode < http.StatusMultipleChoices && !strings.HasSuffix(path, "/events"):
		g.written = append(g.written, r.Request.Method+" "+path)
	}
	return nil
}

// writes are what was written since a moment, which is how many there were.
func (g *gateway) writes(since int) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.written[since:]...)
}

// reads are the reads of single Secrets, likewise.
func (g *gateway) reads(since int) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.read[since:]...)
}

// looked is how often a single object was read.
func (g *gateway) looked() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.objects
}

// belate has nothing come any more of what happens to objects, or come again.
func (g *gateway) belate(late bool) {
	g.mu.Lock()
	g.late = late
	g.mu.Unlock()
	g.server.CloseClientConnections()
}

// holding keeps the answers to writes of Secrets back until a function returns; nil
// is the end of that.
func (g *gateway) holding(until func(*http.Request)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold = until
}

// election is how often the process asked about the lease.
func (g *gateway) election() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leases
}

// buffer keeps all logs.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write keeps p.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// last is the end of it.
func (b *buffer) last() string {
	text := b.String()
	return text[max(0, len(text)-3000):]
}
