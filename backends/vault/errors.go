// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// refusal is an answer that is an error, in what of it can be relied on. The
// server's own texts are looked at, and never passed on.
type refusal struct {
	code   int
	vault  bool // it is of the form that Vault's errors have
	texts  []string
	warned bool // it says that the path is one of the other version's
	wait   time.Duration
	gone   bool // a version that was deleted or destroyed
}

// Error is for logs of tests; classify makes the message.
func (r *refusal) Error() string { return fmt.Sprintf("the server answers %d", r.code) }

// says reports whether one of the texts has a phrase in it.
func (r *refusal) says(phrase string) bool {
	return slices.ContainsFunc(r.texts, func(s string) bool { return strings.Contains(s, phrase) })
}

// refuse reads an answer that is an error.
func refuse(code int, header http.Header, body []byte) *refusal {
	r := &refusal{code: code, wait: backend.ParseRetryAfter(header.Get("Retry-After"), time.Now())}
	var a struct {
		Errors   *[]string `json:"errors"`
		Warnings []string  `json:"warnings"`
		Data     *struct {
			Metadata *kvMetadata `json:"metadata"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &a) != nil {
		return r
	}
	if a.Errors != nil {
		r.vault, r.texts = true, *a.Errors
	}
	r.warned = len(a.Warnings) > 0
	if a.Data != nil && a.Data.Metadata != nil {
		m := a.Data.Metadata
		r.gone = m.Version > 0 && (m.DeletionTime != "" || m.Destroyed)
	}
	return r
}

// missing reports whether a 404 proves that there is no such secret. Proxies
// and wrong URLs answer 404 as well, and so does Vault where there is no engine
// at all, with a text.
func (r *refusal) missing() bool {
	return r.code == http.StatusNotFound && !r.warned && (r.gone || r.vault && len(r.texts) == 0)
}

// invalidToken reports whether the server says so, as it does since 1.19.
// Before, a token that ended and one that may not are told in the same words.
func (r *refusal) invalidToken() bool {
	return r.code == http.StatusForbidden && r.says("invalid token") || r.code == http.StatusBadRequest && r.says("missing client token")
}

// words are how messages are worded. The users of Kubernetes External Secrets
// know those of Vault's own library for Node.js.
type words struct {
	field string // where the login is in the manifest, or in the environment
	kes   bool
}

// task is what a request was for, as messages say it.
type task struct {
	verb string // read, list, write, delete
	what string // the path
}

// classify turns what a request came to into the error of the contract.
func (w words) classify(err error, t task) error {
	var (
		r    *refusal
		ours *backend.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		e := r.classify(w, t)
		if text := r.inKES(t); w.kes && text != "" {
			return reworded(e, text)
		}
		return e
	case errors.As(err, &ours):
		return ours
	}
	return given(err)
}

func (r *refusal) classify(w words, t task) error {
	switch code := r.code; {
	case r.missing():
		return backend.Errorf(backend.NotFound, "there is no %s in Vault", t.what)
	case code == http.StatusNotFound && r.warned:
		return backend.Errorf(backend.Conflict, "Vault says that %s is not a path of the engine there (404): check the version of the key-value engine", t.what)
	case code == http.StatusNotFound && r.vault:
		return backend.Errorf(backend.Conflict, "Vault has no secrets engine for %s (404): check the mount", t.what)
	case code == http.StatusNotFound:
		return backend.Errorf(backend.Unavailable, "a server answers 404 and does not say that there is no %s: check the URL of Vault", t.what)
	case r.invalidToken() || code == http.StatusUnauthorized:
		return w.expired(code)
	case code == http.StatusForbidden:
		return backend.Errorf(backend.PermissionDenied,
			"Vault does not allow to %s %s (403), or there is no such path: the policies of %s must have it", t.verb, t.what, w.field)
	case code == http.StatusBadRequest && r.says("check-and-set"):
		return backend.Errorf(backend.Conflict, "%s was changed by somebody else", t.what)
	case code == http.StatusMethodNotAllowed:
		return backend.Errorf(backend.Conflict, "the engine at %s has nothing to %s there (405): check the path", t.what, t.verb)
	}
	if e := r.elsewhere(); e != nil {
		return e
	}
	return backend.Errorf(backend.Unknown, "Vault does not accept the request to %s %s (%d)", t.verb, t.what, r.code)
}

// elsewhere classifies what means the same for every request, and returns nil
// for the rest.
func (r *refusal) elsewhere() error {
	switch code := r.code; {
	case code == http.StatusTooManyRequests:
		return &backend.Error{Code: backend.RateLimited, Message: "Vault limits our requests (429)", RetryAfter: r.wait}
	case code == http.StatusServiceUnavailable && r.says("sealed"):
		return backend.Errorf(backend.Unavailable, "Vault is sealed")
	case code == http.StatusBadRequest && r.says(upgrading):
		return backend.Errorf(backend.Unavailable, "Vault is giving versions to the secrets of an engine")
	case code == http.StatusPreconditionFailed:
		return backend.Errorf(backend.Unavailable, "this server of Vault does not have what was written last yet (412)")
	case code == 472 || code == 473 || code == http.StatusRequestTimeout || code >= http.StatusInternalServerError:
		return backend.Errorf(backend.Unavailable, "Vault is out of order (%d)", code)
	case code >= http.StatusMultipleChoices && code < http.StatusBadRequest:
		return backend.Errorf(backend.Unavailable, "Vault redirects to another address (%d), where the credentials do not belong: use the address of its active server", code)
	}
	return nil
}

// expired is a token that the server does not know, or not any more.
func (w words) expired(code int) error {
	if w.kes {
		return backend.Errorf(backend.Unauthenticated, "permission denied")
	}
	return backend.Errorf(backend.Unauthenticated, "Vault does not accept the token of %s (%d): it is not one of this server, or it has ended", w.field, code)
}

// deniedInKES is Vault's own text for what a policy does not allow.
const deniedInKES = "1 error occurred: * permission denied"

// upgrading is what a key-value engine answers for some seconds when it becomes
// one of version 2 (vault-plugin-secrets-kv, upgrade.go).
const upgrading = "from non-versioned to versioned data"

// textsInKES are the texts of Vault's errors that Kubernetes External Secrets
// showed and that say the same whatever was asked for, as its statuses wrote
// them. Others are not shown: a server may echo what it was sent.
var textsInKES = []string{
	deniedInKES,
	"permission denied",
	"Vault is sealed",
	"internal error",
	"1 error occurred: * internal error",
	"internal server error",
	"1 error occurred: * context canceled",
	"1 error occurred: * context deadline exceeded",
	"local node not active but active cluster node not found",
	"unsupported operation",
	"1 error occurred: * unsupported operation",
	"unsupported path",
	"1 error occurred: * unsupported path",
	"invalid request",
	"1 error occurred: * invalid request",
	"Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly.",
	"Waiting for the primary to upgrade from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service when the primary is finished.",
}

// inKES is the status that Kubernetes External Secrets showed for an answer of
// the server: the first of its texts or, where there is none, the number. It is
// "" where ours says more, or the text is not one that we know.
func (r *refusal) inKES(t task) string {
	switch {
	case r.code < http.StatusBadRequest || r.invalidToken():
		return "" // redirects were followed there, and tokens are replaced here
	case r.code == http.StatusNotFound && !r.missing() && len(r.texts) == 0:
		return "" // "Status 404" has to mean that the secret is not there
	case len(r.texts) == 0 || r.missing():
		return fmt.Sprintf("Status %d", r.code)
	}
	text := strings.Join(strings.Fields(r.texts[0]), " ")
	known := slices.Concat(textsInKES, []string{
		fmt.Sprintf("no handler for route %q. route entry not found.", t.what),
		fmt.Sprintf("no handler for route '%s'", t.what), // before Vault 1.12
	})
	if i := slices.Index(known, text); i >= 0 {
		return known[i]
	}
	if r.code == http.StatusForbidden {
		return deniedInKES
	}
	return ""
}

// reworded is an error of the contract in other words.
func reworded(err error, text string) error {
	var e *backend.Error
	if !errors.As(err, &e) {
		return err
	}
	out := *e
	out.Message = text
	return &out
}

// unreadable is a success whose body makes no sense.
func unreadable(what string) error {
	return backend.Errorf(backend.Unavailable, "Vault gave an answer for %s that cannot be read", what)
}

// given is the error of a request without an answer. The wire has seen to the
// words where it could; what else comes is a context's end, or of the library's
// own making, whose texts quote URLs.
func given(err error) error {
	var ours *backend.Error
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, context.DeadlineExceeded):
		return &backend.Error{Code: backend.Unavailable, Message: "Vault does not answer in time", Err: context.DeadlineExceeded}
	case errors.Is(err, context.Canceled):
		return &backend.Error{Code: backend.Unavailable, Message: "the request to Vault was given up", Err: context.Canceled}
	}
	return backend.Errorf(backend.Unavailable, "Vault cannot be reached")
}
