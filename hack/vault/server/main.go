// SPDX-License-Identifier: Apache-2.0

// Command server is HashiCorp Vault 1.14.1, the last line under the MPL, for
// tests: unsealed at once, with the engines that Lockstep reads.
//
// It is Vault's own core and HTTP handler, not an imitation, but no Vault to
// keep secrets in: whoever starts it gets the root token and the unseal key.
// It ends when its standard input does, so that it never outlives a test.
//
// Where to look next: core.go for how Vault is put together, engines.go for
// what is in it, database.go for the one thing in it that is pretended.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/vault"
)

// What an operating system expects of a program that failed.
const (
	exitFailure = 1
	exitUsage   = 2
)

// errUsage marks a wrong command line that has been explained already.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(exitUsage)
	default:
		_, _ = fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(exitFailure)
	}
}

type options struct {
	listen, rootToken, data, tlsDir, audit, logLevel string
	sealed, mtls, events                             bool
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("vault", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:0", "loopback `address`; port 0 takes a free one")
	flags.StringVar(&o.rootToken, "root-token", "", "the root `token`; a random one when empty")
	flags.StringVar(&o.data, "data", "", "`folder` that outlives the server; memory when empty")
	flags.BoolVar(&o.sealed, "sealed", false, "leave a Vault that was in -data sealed")
	flags.StringVar(&o.tlsDir, "tls-dir", "", "serve TLS with the certificates of this `folder`, made when it has none")
	flags.BoolVar(&o.mtls, "mtls", false, "refuse clients without a certificate of the folder's authority")
	flags.StringVar(&o.audit, "audit", "", "`file` for one line of JSON per request and per answer, or stdout")
	flags.BoolVar(&o.events, "events", true, "serve sys/events/subscribe")
	flags.StringVar(&o.logLevel, "log-level", "error", "what Vault logs to stderr: `level` trace to error, or off")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage
	}
	host, _, err := net.SplitHostPort(o.listen)
	ip := net.ParseIP(host)
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case err != nil:
	case ip == nil || !ip.IsLoopback():
		err = fmt.Errorf("-listen %s is not a loopback address", o.listen)
	case o.mtls && o.tlsDir == "":
		err = errors.New("-mtls needs -tls-dir")
	case o.sealed && o.data == "":
		err = errors.New("-sealed needs -data")
	case hclog.LevelFromString(o.logLevel) == hclog.NoLevel:
		err = fmt.Errorf("-log-level %s is none of Vault's", o.logLevel)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "vault:", err)
		return o, errUsage
	}
	return o, nil
}

// ready is the line on stdout that says where the server is and how to use
// it. It comes once the port is open, and again after a SIGHUP, which makes
// new certificates.
type ready struct {
	Address    string `json:"address"` // http://127.0.0.1:8200
	Token      string `json:"token"`
	UnsealKey  string `json:"unsealKey"` // base64, as sys/unseal takes it
	Version    string `json:"version"`
	CA         string `json:"ca,omitempty"`         // file
	ClientCert string `json:"clientCert,omitempty"` // file
	ClientKey  string `json:"clientKey,omitempty"`  // file
}

// run serves until ctx or stdin ends.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		stop()
	}()
	logger := hclog.New(&hclog.LoggerOptions{Name: "vault", Output: stderr, Level: hclog.LevelFromString(o.logLevel)})
	dbs, err := openDatabases(o.data)
	if err != nil {
		return err
	}
	core, err := newCore(o, dbs, logger)
	if err != nil {
		return err
	}
	defer func() { _ = core.Shutdown() }()
	keys, err := open(ctx, core, o)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	s := &service{
		listener: listener,
		server: &http.Server{
			Handler:           handler(core, dbs),
			ReadHeaderTimeout: 10 * time.Second,
			ErrorLog:          logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		},
		conns:  map[net.Conn]bool{},
		stdout: stdout,
		line: ready{
			Address: "http://" + listener.Addr().String(), Token: keys.RootToken,
			UnsealKey: base64.StdEncoding.EncodeToString(keys.Unseal), Version: vaultVersion(),
		},
	}
	s.server.ConnState = s.track
	if o.tlsDir != "" {
		if err := s.secure(o); err != nil {
			return err
		}
	}
	if err := s.announce(); err != nil {
		return err
	}
	// After the line, since the audit may go to stdout too, and before the
	// first request is served.
	if err := enableAudit(ctx, core, o, keys); err != nil {
		return err
	}
	return s.serve(ctx)
}

// A service is the HTTP side of the server.
type service struct {
	listener net.Listener
	server   *http.Server
	certs    *certificates // nil without TLS
	stdout   io.Writer
	line     ready

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// secure makes it a TLS service.
func (s *service) secure(o options) error {
	dir, err := filepath.Abs(o.tlsDir)
	if err != nil {
		return err
	}
	s.certs, err = openCertificates(dir)
	if err != nil {
		return err
	}
	s.server.TLSConfig = s.certs.config(o.mtls)
	s.line.Address = "https://" + s.listener.Addr().String()
	s.line.CA, s.line.ClientCert, s.line.ClientKey = s.certs.path(caName), s.certs.path(clientName), s.certs.keyPath(clientName)
	return nil
}

// announce writes the line.
func (s *service) announce() error {
	if err := json.NewEncoder(s.stdout).Encode(s.line); err != nil { //nolint:gosec // G117: the line is for whoever started it
		return fmt.Errorf("say where the server is: %w", err)
	}
	return nil
}

// rotate replaces authority and certificates when there are any, and cuts the
// connections that were made with the old ones.
func (s *service) rotate() error {
	if s.certs != nil {
		if err := s.certs.renew(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	for conn := range s.conns { // they would hide the new certificate
		_ = conn.Close()
	}
	s.mu.Unlock()
	return s.announce()
}

// track knows the connections that are open; a stream of events is none.
func (s *service) track(conn net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.conns[conn] = true
	case http.StateHijacked, http.StateClosed:
		delete(s.conns, conn)
	case http.StateActive, http.StateIdle:
	}
}

// lastWords is how long requests may take that are under way at the end.
const lastWords = time.Second

// serve answers requests until ctx ends.
func (s *service) serve(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	failed := make(chan error, 1)
	go func() {
		if s.certs == nil {
			failed <- s.server.Serve(s.listener)
			return
		}
		failed <- s.server.ServeTLS(s.listener, "", "")
	}()
	for {
		select {
		case err := <-failed:
			return err
		case <-hup:
			if err := s.rotate(); err != nil {
				return err
			}
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
			defer cancel()
			if s.server.Shutdown(end) != nil {
				_ = s.server.Close() // a slow request: it is cut
			}
			return nil
		}
	}
}

// handler is Vault's own, and beside it a look into the pretended databases.
func handler(core *vault.Core, dbs *databases) http.Handler {
	own := vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core:           core,
		ListenerConfig: &configutil.Listener{},
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, databasePrefix) {
			dbs.ServeHTTP(w, r)
			return
		}
		own.ServeHTTP(w, r)
	})
}
