// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// TestTexts holds the texts that people read in a status, word by word. %s is
// the secret.
func TestTexts(t *testing.T) {
	const (
		api = ibmsm.KindGet
		iam = ibmsm.KindToken

		badKey     = "IBM Cloud IAM refuses the API key (%d): check IBM_CLOUD_SECRETS_MANAGER_API_APIKEY"
		forbidden  = "the API key may not read %s (403): it needs the role SecretsReader for the instance or its secret group"
		notProven  = "IBM Cloud Secrets Manager answers %d and does not say that there is no %%s: check IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT"
		notTaken   = "IBM Cloud Secrets Manager does not accept the request for %%s (%d)"
		outOfOrder = "IBM Cloud Secrets Manager is out of order (%d)"
		moved      = "IBM Cloud Secrets Manager redirects to another address (%d), where the credentials do not belong: check IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT"
	)
	body := errorBody(canary)
	// fault is one status with a body that must not show.
	fault := func(status int) ibmsm.Fault { return ibmsm.Fault{Status: status, Body: body} }
	cases := map[string]struct {
		reason string
		kind   ibmsm.Kind
		fault  ibmsm.Fault
		key    string // API key; the good one when empty
		code   backend.Code
		text   string
		wait   time.Duration
	}{
		"Missing": {kind: api, fault: fault(404), code: backend.NotFound, text: "IBM Cloud Secrets Manager has no %s"},
		"Gone":    {kind: api, fault: fault(410), code: backend.NotFound, text: "IBM Cloud Secrets Manager has no %s"},
		"NotFoundPage": {
			reason: "a proxy's 404 proves nothing, and must not remove anything",
			kind:   api, fault: ibmsm.Fault{Status: 404, Body: "<html>" + canary}, code: backend.Unavailable, text: fmt.Sprintf(notProven, 404),
		},
		"NotFoundOther": {
			reason: "as above, in JSON", kind: api, fault: ibmsm.Fault{Status: 404, Body: `{"message":"` + canary + `"}`},
			code: backend.Unavailable, text: fmt.Sprintf(notProven, 404),
		},
		"NotFoundNone": {
			reason: "as above", kind: api, fault: ibmsm.Fault{Status: 404, Body: `{"errors":[]}`},
			code: backend.Unavailable, text: fmt.Sprintf(notProven, 404),
		},
		"NotFoundAPI": {
			reason: "what API v1 has answered since it was switched off", kind: api,
			fault: ibmsm.Fault{Status: 404, Body: `{"errors":[{"message":"/api/v2/secrets is not a valid access endpoint."}]}`},
			code:  backend.Unavailable, text: fmt.Sprintf(notProven, 404),
		},
		"Forbidden": {kind: api, fault: fault(403), code: backend.PermissionDenied, text: forbidden},
		"Role":      {reason: "a key that may list only", key: readerKey, code: backend.PermissionDenied, text: forbidden},
		"Token":     {kind: api, fault: fault(401), code: backend.Unauthenticated, text: "IBM Cloud Secrets Manager refuses the token of the API key (401)"},
		"Locked":    {kind: api, fault: fault(412), code: backend.Conflict, text: "%s is locked (412)"},
		"Limited":   {kind: api, fault: fault(429), code: backend.RateLimited, text: "IBM Cloud Secrets Manager limits our requests (429)"},
		"LimitedFor": {
			kind: api, fault: ibmsm.Fault{Status: 429, Body: body, RetryAfter: "17"},
			code: backend.RateLimited, text: "IBM Cloud Secrets Manager limits our requests (429)", wait: 17 * time.Second,
		},
		"LimitedUntil": {
			reason: "a date is a duration too", kind: api,
			fault: ibmsm.Fault{Status: 429, Body: body, RetryAfter: time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)},
			code:  backend.RateLimited, text: "IBM Cloud Secrets Manager limits our requests (429)", wait: time.Hour,
		},
		"BadRequest":   {kind: api, fault: fault(400), code: backend.Unknown, text: fmt.Sprintf(notTaken, 400)},
		"Conflict":     {reason: "nothing that a read can be", kind: api, fault: fault(409), code: backend.Unknown, text: fmt.Sprintf(notTaken, 409)},
		"Timeout":      {reason: "better later", kind: api, fault: fault(408), code: backend.Unavailable, text: fmt.Sprintf(outOfOrder, 408)},
		"Broken":       {kind: api, fault: fault(500), code: backend.Unavailable, text: fmt.Sprintf(outOfOrder, 500)},
		"NotServed":    {kind: api, fault: fault(501), code: backend.Unavailable, text: fmt.Sprintf(outOfOrder, 501)},
		"Gateway":      {kind: api, fault: ibmsm.Fault{Status: 502, Body: canary}, code: backend.Unavailable, text: fmt.Sprintf(outOfOrder, 502)},
		"Overloaded":   {kind: api, fault: fault(503), code: backend.Unavailable, text: fmt.Sprintf(outOfOrder, 503)},
		"Redirected":   {reason: "a token belongs to one host", kind: api, fault: fault(302), code: backend.Unavailable, text: fmt.Sprintf(moved, 302)},
		"Reset":        {kind: api, fault: ibmsm.Fault{Reset: true}, code: backend.Unavailable, text: "IBM Cloud Secrets Manager at HOST cannot be reached"},
		"WrongKey":     {reason: "IAM's own answer", key: unknownKey, code: backend.Unauthenticated, text: fmt.Sprintf(badKey, 400)},
		"LoginRefused": {kind: iam, fault: fault(401), code: backend.Unauthenticated, text: fmt.Sprintf(badKey, 401)},
		"LoginForbid":  {reason: "a key that is locked", kind: iam, fault: fault(403), code: backend.Unauthenticated, text: fmt.Sprintf(badKey, 403)},
		"LoginNotThere": {
			reason: "says nothing of the key", kind: iam, fault: fault(404), code: backend.Unknown,
			text: "IBM Cloud IAM does not accept the request for a token (404): check IBM_CLOUD_SECRETS_MANAGER_API_AUTH_URL",
		},
		"LoginLimited": {
			kind: iam, fault: ibmsm.Fault{Status: 429, Body: body, RetryAfter: "17"},
			code: backend.RateLimited, text: "IBM Cloud IAM limits our requests (429)", wait: 17 * time.Second,
		},
		"LoginBroken": {kind: iam, fault: ibmsm.Fault{Status: 500, Body: canary}, code: backend.Unavailable, text: "IBM Cloud IAM is out of order (500)"},
		"LoginRedirected": {
			reason: "on a 307 the API key would go along", kind: iam, fault: fault(307), code: backend.Unavailable,
			text: "IBM Cloud IAM redirects to another address (307), where the credentials do not belong: check IBM_CLOUD_SECRETS_MANAGER_API_AUTH_URL",
		},
		"LoginReset": {kind: iam, fault: ibmsm.Fault{Reset: true}, code: backend.Unavailable, text: "IBM Cloud IAM at HOST cannot be reached"},
		"LoginText": {
			reason: "the SDK says nothing of an answer that is no JSON", kind: iam,
			fault: ibmsm.Fault{Status: 200, Body: canary}, code: backend.Unavailable, text: "IBM Cloud IAM gave an answer that cannot be read",
		},
		"LoginNoToken": {
			reason: "an empty token is none", kind: iam,
			fault: ibmsm.Fault{Status: 200, Body: `{"access_token":""}`}, code: backend.Unavailable, text: "IBM Cloud IAM gave an answer that cannot be read",
		},
		"LoginBadToken": {
			reason: "would be a second header", kind: iam,
			fault: ibmsm.Fault{Status: 200, Body: `{"access_token":"canary\r\nX: y"}`}, code: backend.Unavailable,
			text: "IBM Cloud IAM gave an answer that cannot be read",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := start(t, ibmsm.Options{})
			if c.key == "" {
				c.key = goodKey
			}
			if c.kind != "" {
				w.Fail(ibmsm.Match{Kind: c.kind}, c.fault)
			}
			b := w.open(map[string]string{"APIKEY": c.key})
			ref := w.arbitrary(canary)
			_, err := read(t.Context(), b, ref)
			failed(t, err, c.code, expand(c.text, w.http.URL, ref))
			if got := backend.RetryAfterOf(err); got > c.wait || got < c.wait-5*time.Second {
				t.Errorf("retry after %s, want %s", got, c.wait)
			}
			if gets := w.Stats().Kinds[api]; gets > 1 && c.fault.Status != 0 {
				t.Errorf("%d requests for one Read", gets)
			}
			if c.kind == iam {
				failed(t, b.Checker.Check(t.Context()), c.code, expand(c.text, w.http.URL, ref))
			}
		})
	}
}

// expand fills a text of a table.
func expand(text, url string, ref backend.Ref) string {
	_, host, _ := strings.Cut(url, "://")
	return strings.ReplaceAll(strings.ReplaceAll(text, "%s", ref.String()), "HOST", host)
}

// TestUnanswered holds the texts for servers that cannot be spoken with.
func TestUnanswered(t *testing.T) {
	good := start(t, ibmsm.Options{})
	secure := httptest.NewUnstartedServer(good.Server)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshakes that fail here
	secure.StartTLS()
	t.Cleanup(secure.Close)
	trust := x509.NewCertPool()
	trust.AddCert(secure.Certificate())

	garbage := speaking(t, "HTTP/1.1 canary\r\n\r\n")
	dialSecure := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, secure.Listener.Addr().String())
	}
	noName := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "nowhere.invalid", IsNotFound: true}}
	}
	cases := map[string]struct {
		reason    string
		url       string
		transport *http.Transport
		text      string
	}{
		"UnknownCA": {
			"the SDK makes text of this error, and loses what it was",
			secure.URL, &http.Transport{}, "WHO at HOST has no certificate that is trusted for this host",
		},
		"WrongName": {
			"a good certificate of another host",
			"https://wrong.test:443", &http.Transport{DialContext: dialSecure, TLSClientConfig: &tls.Config{RootCAs: trust}},
			"WHO at HOST has no certificate that is trusted for this host",
		},
		"PlainHTTP": {
			"https to a server that speaks http",
			strings.Replace(good.http.URL, "http:", "https:", 1), &http.Transport{}, "WHO at HOST does not speak TLS",
		},
		"ClosedPort": {"nobody listens", closedPort(t), &http.Transport{}, "WHO at HOST cannot be reached: it refuses the connection"},
		"NoName": {
			"a typing error in the host",
			"https://nowhere.invalid", &http.Transport{DialContext: noName}, "WHO at HOST cannot be reached: its name cannot be resolved",
		},
		"Garbage": {"net/http's error quotes the server", garbage, &http.Transport{}, "WHO at HOST cannot be reached"},
		"Slow": {
			"the transport's own patience",
			speaking(t, ""), &http.Transport{ResponseHeaderTimeout: time.Millisecond}, "WHO at HOST does not answer in time",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ref := good.arbitrary("p")
			_, err := read(t.Context(), open(t, good.env(map[string]string{"AUTH_URL": c.url}), c.transport), ref)
			failed(t, err, backend.Unavailable, expand(strings.Replace(c.text, "WHO", iam, 1), c.url, ref))

			// The same server as the instance, with an IAM that works.
			b := open(t, good.env(map[string]string{"ENDPOINT": c.url}), c.transport)
			holdToken(b)
			_, err = read(t.Context(), b, ref)
			failed(t, err, backend.Unavailable, expand(strings.Replace(c.text, "WHO", product, 1), c.url, ref))
		})
	}
}

// holdToken makes the backend believe that it has logged in.
func holdToken(b backend.Backend) {
	later := time.Now().Add(time.Hour)
	b.Checker.(*login).held = token{text: backend.NewValue([]byte("t")), renew: later, expires: later}
}

// TestTimeout: a caller's deadline, while the instance thinks and in the
// middle of a body.
func TestTimeout(t *testing.T) {
	cases := map[string]struct {
		respond http.HandlerFunc
	}{
		"Thinking": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		"Half": {func(w http.ResponseWriter, r *http.Request) {
			says(200, `{"id":"x1","payload":"`+canary)(w, r)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			b := answering(t, c.respond)
			holdToken(b)
			_, err := read(ctx, b, backend.Ref{Path: "x1", Kind: typeArbitrary})
			failed(t, err, backend.Unavailable, "IBM Cloud Secrets Manager does not answer in time")
		})
	}
}

// closedPort returns the URL of an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

// speaking returns the URL of a server that answers each request with a fixed
// text and then waits.
func speaking(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_, _ = conn.Read(make([]byte, 1))
				_, _ = io.WriteString(conn, text)
				_, _ = io.Copy(io.Discard, conn) // until the client goes
			}()
		}
	}()
	return "http://" + l.Addr().String()
}
