// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

const ibmKey = "key-of-the-benchmark"

// ibm is the stand-in for IBM Cloud Secrets Manager, which can tell what changed
// without a read, with requests counted by kind and held up for a while.
type ibm struct {
	state   *state
	delay   time.Duration
	counter counter
	product *ibmsm.Server
	ids     []string // of the paths
	served
}

func startIBM(s *state, delay time.Duration) (*ibm, error) {
	m := &ibm{state: s, delay: delay, product: ibmsm.New(ibmsm.Options{Keys: map[string]ibmsm.Role{ibmKey: ibmsm.SecretsReader}})}
	for p := range s.paths {
		id, err := m.product.Put(ibmsm.Seed{Name: fmt.Sprintf("app-%d", p), Type: "kv", Fields: map[string]any{"data": m.data(p)}})
		if err != nil {
			return nil, err
		}
		m.ids = append(m.ids, id)
	}
	var err error
	m.served, err = serve(m)
	return m, err
}

// data is what a path holds.
func (m *ibm) data(path int) map[string]any {
	out := map[string]any{}
	for j := range entries {
		out[property(j)] = value(path, j, m.state.version(path))
	}
	return out
}

// ServeHTTP counts a request, waits and passes it on.
func (m *ibm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.counter.note(ibmKind(r.Method, r.URL.Path))
	timer := time.NewTimer(m.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		m.product.ServeHTTP(w, r)
	case <-r.Context().Done():
	}
}

// ibmKind is what a request is for.
func ibmKind(method, path string) string {
	rest, ok := strings.CutPrefix(path, "/api/v2/secrets")
	switch {
	case path == "/identity/token":
		return "token"
	case !ok || method != http.MethodGet:
		return kindOther
	case rest == "":
		return "list"
	case strings.Count(rest, "/") == 1:
		return kindRead
	}
	return kindMetadata
}

func (m *ibm) stores(name string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: %[1]s}
stringData: {apikey: %[2]q}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: %[1]s}
spec:
  provider:
    ibm:
      serviceUrl: %[3]q
      auth:
        secretRef:
          iamEndpoint: %[3]q
          secretApiKeySecretRef: {name: %[1]s, key: apikey}
`, name, ibmKey, m.url)
}

func (m *ibm) remote(path int) string { return "kv/" + m.ids[path] }
func (m *ibm) requests() *counter     { return &m.counter }
func (m *ibm) values() *state         { return m.state }

func (m *ibm) change(paths []int) error {
	m.state.bump(paths)
	for _, p := range paths {
		if _, err := m.product.Rotate(m.ids[p], map[string]any{"data": m.data(p)}); err != nil {
			return err
		}
	}
	return nil
}
