// SPDX-License-Identifier: Apache-2.0

// Package vault tests the program that people run, against a real control plane
// and a real HashiCorp Vault. The program is a process of its own, has the RBAC
// that is shipped and nothing more, and is started once: whatever happens to a
// Vault, it has to recover without being started again.
//
// What it does is judged by the Secrets and conditions that people see, by what
// Vault's audit log has, and by the requests that reached the API server. What
// single requests are answered with is tested in backends/vault, and the dialect
// in test/eso.
//
// Every test has a namespace and a Vault of its own. rig_test.go starts the
// program, world_test.go sets the scenes.
package vault

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
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

const (
	// patience is how long a test waits for what must happen before it gives
	// up. It is no measure of speed: the machine may be busy with other tests.
	patience = 5 * time.Minute
	// rarely is the interval of objects whose turn must not come within a test.
	// Turns go by the wall clock, so that of an hour comes within some run.
	rarely = "8760h"
	// canary is in all values that nobody but the Secrets may have.
	canary = "CANARY"
)

// stage is what all tests have in common.
type stage struct {
	plane    *plane.Plane
	user     client.Client // the administrator, playing everybody
	sets     *kubernetes.Clientset
	reviewer string   // the token with which Vaults ask whose a token is
	api      *gateway // between lockstep and the API server
	binary   string
	dir      string
	eso      *program
}

var shared = &stage{}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	code := 1
	ctrl.SetLogger(logr.Discard()) // of the clients with which the tests play people
	err := shared.start(context.Background())
	if err == nil {
		err = together()
	}
	if err == nil {
		code = m.Run()
	}
	if err = errors.Join(err, shared.stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// together lets eight tests go on at a time, whatever the machine: they wait,
// most of the time. -parallel says otherwise.
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
	if s.dir, err = os.MkdirTemp("", "lockstep-vault-"); err != nil {
		return err
	}
	if err := s.build(ctx); err != nil {
		return err
	}
	if s.plane, err = plane.Start(); err != nil {
		return err
	}
	err = errors.Join(
		s.plane.Install(ctx),
		s.plane.ApplyShipped(ctx, "rbac/cluster.yaml", ""),
		s.plane.ApplyShipped(ctx, "rbac/cluster-eso.yaml", ""),
		s.plane.ApplyShipped(ctx, "rbac/token-requests.yaml", ""),
		s.plane.StartControllerManager(ctx),
	)
	if err != nil {
		return err
	}
	if s.user, err = client.New(s.plane.Admin, client.Options{Scheme: runtime.NewScheme()}); err != nil {
		return err
	}
	if s.sets, err = kubernetes.NewForConfig(s.plane.Admin); err != nil {
		return err
	}
	if err := s.review(ctx); err != nil {
		return err
	}
	if err := s.front(ctx); err != nil {
		return err
	}
	s.eso, err = s.run(nil, "--dialects", "eso")
	return err
}

// build builds the program, with the race detector when the tests have it.
func (s *stage) build(ctx context.Context) error {
	s.binary = filepath.Join(s.dir, "lockstep")
	args := []string{"build", "-o", s.binary}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	out, err := exec.CommandContext(ctx, "go", append(args, "../../cmd/lockstep")...).CombinedOutput() //nolint:gosec // the program under test
	if err != nil {
		return fmt.Errorf("build lockstep: %w\n%s", err, out)
	}
	return nil
}

// front puts a gateway between lockstep and the API server.
func (s *stage) front(ctx context.Context) error {
	access, err := s.plane.Lockstep(ctx)
	if err != nil {
		return err
	}
	transport, err := rest.TransportFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAData: access.CAData}})
	if err != nil {
		return err
	}
	if s.api, err = newGateway(access.Host, transport); err != nil {
		return err
	}
	s.api.server.EnableHTTP2 = true
	s.api.server.StartTLS()
	access.Host = s.api.server.URL
	access.CAData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.api.server.Certificate().Raw})
	text, err := plane.KubeconfigFor(access)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "kubeconfig"), text, 0o600)
}

// stop ends everything, and looks for what must be nowhere.
func (s *stage) stop() error {
	var err error
	if s.eso != nil {
		err = s.eso.stop()
	}
	if s.api != nil {
		s.api.server.Close()
	}
	if s.plane != nil {
		err = errors.Join(err, s.plane.Stop())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// program is lockstep while it runs.
type program struct {
	cmd  *exec.Cmd
	logs *buffer
	end  func() error
	gone chan struct{}
}

// run starts the controller with flags and nothing in its environment but
// environ.
func (s *stage) run(environ []string, flags ...string) (*program, error) {
	flags = append([]string{
		"controller", "--kubeconfig", filepath.Join(s.dir, "kubeconfig"), "--log-level", "debug", "--leader-elect=false",
		"--metrics-bind-address", "0", "--health-probe-bind-address", "0", "--permit-addresses", "127.0.0.1/32",
	}, flags...)
	p := &program{cmd: exec.Command(s.binary, flags...), logs: &buffer{}, gone: make(chan struct{})} //nolint:gosec,noctx // the program under test; stop ends it
	p.cmd.Env = append([]string{"GORACE=halt_on_error=1"}, environ...)
	p.cmd.Stdout, p.cmd.Stderr = p.logs, p.logs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt of the tests is not its own
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.end = sync.OnceValue(func() error {
		defer close(p.gone)
		return p.cmd.Wait()
	})
	go func() { _ = p.end() }()
	return p, nil
}

// stop ends it as a node does, and says what was wrong with it, if it was: it
// ended by itself or otherwise than well, or wrote what nobody may read.
func (p *program) stop() error {
	select {
	case <-p.gone:
		return fmt.Errorf("lockstep ended by itself: %w\n%s", p.end(), p.logs.last())
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := p.end(); err != nil {
		return fmt.Errorf("lockstep ended badly: %w\n%s", err, p.logs.last())
	}
	for what, sign := range map[string]string{"a value of a secret": canary, "a token of Vault": "hvs.", "a JWT": "eyJ"} {
		if strings.Contains(p.logs.String(), sign) {
			return fmt.Errorf("%s is in the logs", what)
		}
	}
	return nil
}

// complaints are the lines of a log that are warnings or errors and have a word
// in them.
func (p *program) complaints(word string) []string {
	var out []string
	for line := range strings.Lines(p.logs.String()) {
		if (strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`)) && strings.Contains(line, word) {
			out = append(out, line)
		}
	}
	return out
}

// gateway passes requests on, and counts them.
type gateway struct {
	server *httptest.Server // not started

	mu   sync.Mutex
	seen []passage
}

// passage is a request and what it was answered with.
type passage struct {
	line   string // GET /v1/secret/data/a
	status int
}

func newGateway(to string, transport http.RoundTripper) (*gateway, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	g := &gateway{}
	g.server = httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		FlushInterval:  -1,
		ModifyResponse: g.note,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway) // clients that leave end here, too
		},
	})
	return g, nil
}

func (g *gateway) note(r *http.Response) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = append(g.seen, passage{line: r.Request.Method + " " + r.Request.URL.Path, status: r.StatusCode})
	return nil
}

// since returns what passed after a moment and has a part in it, and the moment
// it is now.
func (g *gateway) since(at int, part string) (out []passage, now int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.seen[at:] {
		if strings.Contains(p.line, part) {
			out = append(out, p)
		}
	}
	return out, len(g.seen)
}

// writes are the requests that change what they are about.
func writes(list []passage) (out []passage) {
	for _, p := range list {
		if !strings.HasPrefix(p.line, http.MethodGet+" ") {
			out = append(out, p)
		}
	}
	return out
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
	return text[max(0, len(text)-4000):]
}
