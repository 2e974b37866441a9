// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// bank is a product whose values name who logged in where to read them.
type bank struct {
	pause func(most time.Duration)
	reads func(signature, path string) // is told of each read

	mu     sync.Mutex
	serial map[string]int // of each path; 0 is not there
}

// account is the provider's part of a store.
type account struct {
	Endpoint string `json:"endpoint"`
	Secret   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace,omitempty"`
	} `json:"secret"`
}

// tokenKey is where credentials hold the token.
const tokenKey = "token"

// driver is the product, which manifests call "bank".
func (b *bank) driver() backend.Driver {
	return backend.Driver{
		Open: b.open, Names: map[backend.Dialect]string{backend.ESO: "bank"},
		Ref: func(_ backend.Dialect, k backend.Key) (backend.Ref, error) { return backend.Ref{Path: k.Key}, nil },
	}
}

// signature is who reads where. What a tenant's store reads is never the
// operator's.
func signature(shared bool, endpoint, token string) string {
	if shared {
		return endpoint + "|operator's " + token
	}
	return endpoint + "|" + token
}

func (b *bank) open(ctx context.Context, cfg backend.Config, creds backend.Credentials, _ *http.Client) (backend.Backend, backend.Identity, error) {
	var a account
	if err := json.Unmarshal(cfg.Raw, &a); err != nil {
		return backend.Backend{}, backend.Identity{}, backend.Errorf(backend.InvalidRef, "no JSON")
	}
	c, err := creds.In(a.Secret.Namespace)
	if err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	token, err := c.Secret(ctx, a.Secret.Name, tokenKey)
	if backend.CodeOf(err) == backend.NotFound {
		err = backend.Errorf(backend.Unauthenticated, "no token")
	}
	if err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	b.pause(latency)
	s := desk{b, signature(cfg.Shared, a.Endpoint, string(token.Reveal()))}
	id := backend.Identity{Login: a.Endpoint + "/" + cfg.Fingerprint(token), Quota: a.Endpoint}
	return backend.Backend{Reader: s, Finder: s, Checker: s, Limits: backend.Limits{Batch: 3, Parallel: 2}}, id, nil
}

// desk is the bank as one login sees it.
type desk struct {
	*bank
	signature string
}

// Check says that the login works.
func (d desk) Check(context.Context) error { return nil }

// Read implements backend.Reader.
func (d desk) Read(_ context.Context, refs []backend.Ref) ([]backend.Result, error) {
	d.pause(700 * time.Millisecond)
	out := make([]backend.Result, len(refs))
	for i, r := range refs {
		out[i].Ref = r
		out[i].Secret, out[i].Err = d.secret(r.Path)
		d.reads(d.signature, r.Path)
	}
	d.pause(700 * time.Millisecond)
	return out, nil
}

// secret is what a path holds: a text, or a document of two.
func (d desk) secret(path string) (backend.Secret, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.serial[path]
	if n == 0 {
		return backend.Secret{}, backend.Errorf(backend.NotFound, "no %s", path)
	}
	text := d.signature + "|" + path + "|" + strconv.Itoa(n)
	if strings.HasPrefix(path, "doc-") {
		text = fmt.Sprintf(`{"user":%q,"password":%q}`, text, text)
	}
	return backend.Secret{Payload: backend.NewValue([]byte(text)), Version: strconv.Itoa(n)}, nil
}

// Find implements backend.Finder.
func (d desk) Find(_ context.Context, q backend.Query) iter.Seq2[backend.Found, error] {
	d.pause(500 * time.Millisecond)
	re := regexp.MustCompile(q.Name)
	var hits []string
	d.mu.Lock()
	for path, n := range d.serial {
		if n > 0 && re.MatchString(path) {
			hits = append(hits, path)
		}
	}
	d.mu.Unlock()
	slices.Sort(hits)
	return func(yield func(backend.Found, error) bool) {
		for _, path := range hits {
			if !yield(backend.Found{Ref: backend.Ref{Path: path}}, nil) {
				return
			}
		}
	}
}
