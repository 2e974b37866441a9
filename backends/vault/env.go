// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// The variables of Kubernetes External Secrets.
const (
	envAddress    = "VAULT_ADDR"
	envNamespace  = "VAULT_NAMESPACE"
	envMount      = "DEFAULT_VAULT_MOUNT_POINT"
	envRole       = "DEFAULT_VAULT_ROLE"
	envThreshold  = "VAULT_TOKEN_RENEW_THRESHOLD" // seconds
	envInterval   = "POLLER_INTERVAL_MILLISECONDS"
	envSkipVerify = "VAULT_SKIP_VERIFY"
	envToken      = "VAULT_TOKEN" // its library's; it replaces the login
)

// The defaults of Kubernetes External Secrets.
const (
	defaultServer   = "http://127.0.0.1:8200"
	defaultMount    = "kubernetes"
	defaultInterval = 10 * time.Second
)

// environment is what the operator says of Vault. Who logs in is the pod of the
// controller, and as what is said by each manifest.
type environment struct {
	server, namespace string
	mount, role       string // where a manifest says nothing
	threshold         time.Duration
	tokenFile         string
	token             backend.Value // replaces all logins, where it is set
}

func readEnv(env backend.Env) (environment, error) {
	get := func(name string) string { return strings.TrimSpace(env.Reveal(name)) }
	e := environment{namespace: get(envNamespace), role: get(envRole), tokenFile: podToken}
	var err error
	if e.server, err = serverURL(envAddress, cmp.Or(get(envAddress), defaultServer)); err != nil {
		return e, err
	}
	if e.mount, err = cleanPath(envMount, cmp.Or(strings.Trim(get(envMount), "/"), defaultMount)); err != nil {
		return e, err
	}
	if !isHeaderValue(e.namespace) {
		return e, backend.Errorf(backend.InvalidRef, "%s has a character in it that no namespace has", envNamespace)
	}
	if skip := get(envSkipVerify); skip != "" && skip != "0" && !strings.EqualFold(skip, "false") {
		return e, backend.Errorf(backend.InvalidRef,
			"%s is not supported: the tokens would go to anybody who answers in the name of Vault; name the file with the certificate of its CA in NODE_EXTRA_CA_CERTS instead", envSkipVerify)
	}
	if token := get(envToken); token != "" {
		if !inHeader(token) {
			return e, backend.Errorf(backend.InvalidRef, "%s is not a token of Vault", envToken)
		}
		e.token = textValue(token)
	}
	e.threshold, err = threshold(get(envThreshold), get(envInterval))
	return e, err
}

// threshold is how much life a token is renewed before the end of: what is said
// or, as long as that is short, three polls.
func threshold(text, interval string) (time.Duration, error) {
	if text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return 0, backend.Errorf(backend.InvalidRef, "%s is not a number of seconds", envThreshold)
		}
		return time.Duration(n) * time.Second, nil
	}
	every := defaultInterval
	if n, err := strconv.ParseUint(interval, 10, 31); err == nil {
		every = time.Duration(n) * time.Millisecond
	}
	return 3 * every, nil
}

// party is a role at a mount. Each has a session of its own, and none shows the
// token of another.
type party struct{ mount, role string }

// parties are the sessions of one environment.
type parties struct {
	env     environment
	clients *clients
	ctx     context.Context //nolint:containedctx // sessions belong to the store and not to a caller

	mu       sync.Mutex
	sessions map[party]*session
	closed   bool
}

// openEnv makes a backend of the operator's environment.
func openEnv(ctx context.Context, cfg backend.Config, client *http.Client) (backend.Backend, backend.Identity, error) {
	e, err := readEnv(cfg.Env)
	if err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	return e.open(ctx, cfg, client)
}

func (e environment) open(ctx context.Context, cfg backend.Config, client *http.Client) (backend.Backend, backend.Identity, error) {
	p := &parties{
		env:      e,
		clients:  &clients{server: e.server, http: wired(client), headers: http.Header{}},
		ctx:      context.WithoutCancel(ctx),
		sessions: map[party]*session{},
	}
	if _, err := p.clients.as(backend.Value{}, ""); err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	a := &api{
		engine:  engine{versioned: true},
		words:   words{field: "the role", kes: true},
		session: p.session,
		close:   p.close,
	}
	b := a.backend(client, true)
	if e.role == "" && !e.token.IsSet() { // there is nobody to ask as, but for a manifest
		b.Checker, b.Watcher = nil, nil
	}
	// A manifest of Kubernetes External Secrets finds and writes nothing.
	b.Finder, b.Writer = nil, nil
	id := backend.Identity{
		Login: strings.Join([]string{"env", e.server, cfg.Fingerprint(
			e.token, textValue(e.namespace), textValue(e.mount), textValue(e.role), textValue(e.threshold.String()))}, " "),
		Quota: e.server,
	}
	return b, id, nil
}

// session returns the session of a Ref's Args.
func (p *parties) session(args string) (*session, error) {
	values, err := url.ParseQuery(args)
	if err != nil {
		return nil, backend.Errorf(backend.InvalidRef, "%q says nothing about a secret in Vault", args)
	}
	who := party{cmp.Or(values.Get(argMount), p.env.mount), cmp.Or(values.Get(argRole), p.env.role)}
	if p.env.token.IsSet() {
		who = party{}
	} else if who.role == "" {
		return nil, backend.Errorf(backend.InvalidRef, "Invalid type: null (expected string)") // as Kubernetes External Secrets said it
	}
	path, err := loginPath(argMount, who.mount, defaultMount)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.sessions[who]; s != nil {
		return s, nil
	}
	if p.closed {
		return nil, backend.Errorf(backend.Unavailable, "the store was closed")
	}
	s, err := p.begin(who, path)
	if err == nil {
		p.sessions[who] = s
	}
	return s, err
}

// begin makes the session of a party, or that of the operator's token.
func (p *parties) begin(who party, path string) (*session, error) {
	m := method{path: path, namespace: p.env.namespace, role: who.role}
	field := "role " + who.role
	if p.env.token.IsSet() {
		m, field = method{namespace: p.env.namespace, token: p.env.token}, envToken
	} else {
		ownPod(&m, p.env.tokenFile)
	}
	s := newSession(p.ctx, m, p.clients, words{field: field, kes: true}, p.env.namespace)
	s.threshold = p.env.threshold
	if m.path != "" {
		return s, nil
	}
	var err error
	s.held, err = s.granted(m.token)
	return s, err
}

func (p *parties) close() {
	p.mu.Lock()
	p.closed = true
	all := p.sessions
	p.sessions = map[party]*session{}
	p.mu.Unlock()
	for _, s := range all {
		s.close()
	}
}
