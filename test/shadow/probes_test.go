// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/lockstep-secrets/lockstep/internal/config"
)

// wire is the way to the API server, which may be cut.
type wire struct {
	mu   sync.Mutex
	cut  bool
	open map[net.Conn]struct{}
}

// through returns the access by way of the wire.
func (w *wire) through(access *rest.Config) *rest.Config {
	out := rest.CopyConfig(access)
	out.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.cut {
			return nil, errors.New("the wire is cut")
		}
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			w.open[c] = struct{}{}
		}
		return c, err
	}
	return out
}

func (w *wire) become(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for c := range w.open {
		if cut {
			_ = c.Close()
		}
	}
}

// ask returns the code and the text of an answer.
func ask(t *testing.T, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the certificate is made at each start
	}}
	res, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// answers waits for a code.
func answers(t *testing.T, url, token string, want int) string {
	t.Helper()
	var text string
	eventually(t, func() error {
		var code int
		if code, text = ask(t, url, token); code != want {
			return fmt.Errorf("%s answers %d, want %d: %s", url, code, want, text)
		}
		return nil
	})
	return text
}

// TestProbes: an API server that is away is no reason to start the controller
// anew, and one to take it for not ready. That a loop that does not move turns
// /healthz red is tested in internal/feed and internal/controller.
func TestProbes(t *testing.T) {
	w := &wire{open: map[net.Conn]struct{}{}}
	c := start(t, w.through(shared.account(t, "probed", false)), nil, config.Controller{})
	healthz, readyz := "http://"+c.health+"/healthz", "http://"+c.health+"/readyz"
	answers(t, readyz, "", http.StatusOK)
	answers(t, healthz+"/feed", "", http.StatusOK)
	w.become(true)
	answers(t, readyz, "", http.StatusInternalServerError)
	if code, text := ask(t, healthz, ""); code != http.StatusOK {
		t.Errorf("without an API server /healthz answers %d: %s", code, text)
	}
	w.become(false)
	answers(t, readyz, "", http.StatusOK)
}

// TestMetricsSecure: who has no token, none of this cluster, or no right, gets
// nothing.
func TestMetricsSecure(t *testing.T) {
	access := shared.account(t, "served", true)
	shared.apply(t, "lockstep-system", `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: served-auth-delegator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:auth-delegator"}
subjects: [{kind: ServiceAccount, name: served, namespace: lockstep-system}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: scraper, namespace: lockstep-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: stranger, namespace: lockstep-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: scraper}
rules: [{nonResourceURLs: [/metrics], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: scraper}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: scraper}
subjects: [{kind: ServiceAccount, name: scraper, namespace: lockstep-system}]
`)
	// Two replicas, of which one does not lead: it is scraped too.
	cfg := config.Controller{Shadow: true, MetricsSecure: true, LeaderElect: true}
	replicas := []*instance{start(t, access, nil, cfg), start(t, access, nil, cfg)}
	scraper, stranger := shared.token(t, "scraper"), shared.token(t, "stranger")
	for _, c := range replicas {
		metrics := "https://" + c.metrics + "/metrics"
		if text := answers(t, metrics, scraper, http.StatusOK); !strings.Contains(text, "lockstep_paused 0") {
			t.Error("who may gets no metrics")
		}
		answers(t, metrics, "", http.StatusUnauthorized)
		answers(t, metrics, "of.another.cluster", http.StatusUnauthorized)
		answers(t, metrics, stranger, http.StatusForbidden)
		// The right to one path is none to the other.
		answers(t, "https://"+c.metrics+"/shadow", scraper, http.StatusForbidden)
		answers(t, "https://"+c.metrics+"/shadow", "", http.StatusUnauthorized)
	}
	if code, _ := ask(t, "http://"+replicas[0].metrics+"/metrics", scraper); code == http.StatusOK {
		t.Error("the metrics are served without TLS too")
	}
}
