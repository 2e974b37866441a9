// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

const (
	podToken   = "canary-pod-token-31d0"
	otherToken = "canary-pod-token-9a8c" // after it was replaced
	clientKey  = "canary-client-secret-6f"
)

// trusted is an instance with a trusted profile, as id and as name.
func trusted(t *testing.T, now func() time.Time) *world {
	t.Helper()
	return start(t, ibmsm.Options{
		Now:      now,
		Profiles: map[string]ibmsm.Role{"profile-1": ibmsm.SecretsReader, "lockstep": ibmsm.SecretsReader, "poor": ibmsm.Reader},
		CRTokens: []string{podToken, otherToken},
		Clients:  map[string]string{"client": clientKey},
	})
}

// file makes a file and returns its name.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "token")
	write(t, name, text)
	return name
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestForms holds what IAM is sent, field by field.
func TestForms(t *testing.T) {
	const grant = "urn:ibm:params:oauth:grant-type:"
	type env = map[string]string
	type sent struct {
		Form   url.Values
		Client string // of Basic authorization
	}
	withClient := func(e env) env {
		e["CLIENT_ID"], e["CLIENT_SECRET"], e["SCOPE"] = "client", clientKey, "some scope"
		return e
	}
	scoped := []string{"some scope"}
	byKey := url.Values{"grant_type": {grant + "apikey"}, "response_type": {"cloud_iam"}, "apikey": {goodKey}}
	byKeyScoped := url.Values{"grant_type": {grant + "apikey"}, "response_type": {"cloud_iam"}, "apikey": {goodKey}, "scope": scoped}
	pod := file(t, podToken+"\n")
	cases := map[string]struct {
		reason string
		env    env
		want   []sent
	}{
		"Key":       {"the plain login", env{}, []sent{{byKey, ""}}},
		"KeyClient": {"by an OAuth client", withClient(env{}), []sent{{byKeyScoped, "client:" + clientKey}}},
		"Container": {"the token of the pod", env{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "profile-1", "CR_TOKEN_FILENAME": pod}, []sent{
			{url.Values{"grant_type": {grant + "cr-token"}, "cr_token": {podToken}, "profile_id": {"profile-1"}}, ""},
		}},
		"ContainerAll": {"all that IBM's SDK sends", withClient(env{
			"AUTH_TYPE": "container", "IAM_PROFILE_ID": "profile-1", "IAM_PROFILE_NAME": "lockstep", "CR_TOKEN_FILENAME": pod,
		}), []sent{
			{url.Values{
				"grant_type": {grant + "cr-token"}, "cr_token": {podToken}, "profile_id": {"profile-1"}, "profile_name": {"lockstep"}, "scope": scoped,
			}, "client:" + clientKey},
		}},
		"Assume": {"scope and client belong to the key's login, as IBM's SDK has it", withClient(env{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_ID": "profile-1"}), []sent{
			{byKeyScoped, "client:" + clientKey},
			{url.Values{"grant_type": {grant + "assume"}, "access_token": {"TOKEN"}, "profile_id": {"profile-1"}}, ""},
		}},
		"AssumeCRN": {"", env{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_CRN": "crn:v1:::profile-1"}, []sent{
			{byKey, ""},
			{url.Values{"grant_type": {grant + "assume"}, "access_token": {"TOKEN"}, "profile_crn": {"crn:v1:::profile-1"}}, ""},
		}},
		"AssumeName": {"", env{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_NAME": "lockstep", "IAM_ACCOUNT_ID": "acc"}, []sent{
			{byKey, ""},
			{url.Values{"grant_type": {grant + "assume"}, "access_token": {"TOKEN"}, "profile_name": {"lockstep"}, "account": {"acc"}}, ""},
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := trusted(t, nil)
			var mu sync.Mutex
			var got []sent
			spy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(strings.NewReader(string(body)))
				form, _ := url.ParseQuery(string(body))
				if form.Has("access_token") {
					form["access_token"] = []string{"TOKEN"}
				}
				s := sent{Form: form}
				if id, secret, ok := r.BasicAuth(); ok {
					s.Client = id + ":" + secret
				}
				mu.Lock()
				got = append(got, s)
				mu.Unlock()
				w.ServeHTTP(rw, r)
			}))
			t.Cleanup(spy.Close)
			c.env["AUTH_URL"] = spy.URL
			mustRead(t, w.open(c.env), w.arbitrary("p"))
			mu.Lock()
			defer mu.Unlock()
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

// TestRefusedLogins holds the texts of each kind of login, word by word. That
// no credential is in them, failed sees to.
func TestRefusedLogins(t *testing.T) {
	const (
		p      = "IBM_CLOUD_SECRETS_MANAGER_API_"
		client = ", and CLIENT_ID with CLIENT_SECRET"
		badKey = "IBM Cloud IAM refuses the API key (400): check " + p + "APIKEY"
		badPod = "IBM Cloud IAM does not let this pod in to the trusted profile (400): check " + p +
			"IAM_PROFILE_ID and IAM_PROFILE_NAME, and that the profile trusts the pod's service account"
		badProfile = "IBM Cloud IAM does not let the API key assume the trusted profile (400): check " + p +
			"IAM_PROFILE_ID, IAM_PROFILE_CRN, IAM_PROFILE_NAME and IAM_ACCOUNT_ID, and that the profile trusts the API key's owner"
		noRole = " may not read %s (403): it needs the role SecretsReader for the instance or its secret group"
		fileIs = p + "CR_TOKEN_FILENAME names "
	)
	type env = map[string]string
	pod := file(t, podToken)
	cases := map[string]struct {
		reason string
		env    env
		api    int // what the instance answers, if not the truth
		code   backend.Code
		text   string
		quiet  bool // IAM is not asked
	}{
		"Key":           {env: env{"APIKEY": unknownKey}, code: backend.Unauthenticated, text: badKey},
		"Client":        {env: env{"CLIENT_ID": "client", "CLIENT_SECRET": "canary"}, code: backend.Unauthenticated, text: badKey + client},
		"Pod":           {reason: "a token that IAM does not know", env: env{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "profile-1", "CR_TOKEN_FILENAME": file(t, "canary")}, code: backend.Unauthenticated, text: badPod},
		"Profile":       {reason: "a profile that is not there", env: env{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "canary", "CR_TOKEN_FILENAME": pod}, code: backend.Unauthenticated, text: badPod},
		"PodClient":     {env: env{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "profile-1", "CR_TOKEN_FILENAME": pod, "CLIENT_ID": "client", "CLIENT_SECRET": "canary"}, code: backend.Unauthenticated, text: badPod + client},
		"NoFile":        {reason: "not mounted", env: env{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "profile-1", "CR_TOKEN_FILENAME": pod + "-canary"}, code: backend.Unauthenticated, text: fileIs + "a file that does not exist: mount a service account token there", quiet: true},
		"Folder":        {reason: "the mount, not the file in it", env: env{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "profile-1", "CR_TOKEN_FILENAME": filepath.Dir(pod)}, code: backend.Unauthenticated, text: fileIs + "a file that cannot be read", quiet: true},
		"EmptyFile":     {env: env{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "profile-1", "CR_TOKEN_FILENAME": file(t, " \n")}, code: backend.Unauthenticated, text: fileIs + "an empty file", quiet: true},
		"AssumeKey":     {reason: "the key comes first", env: env{"AUTH_TYPE": "iamAssume", "APIKEY": unknownKey, "IAM_PROFILE_ID": "profile-1"}, code: backend.Unauthenticated, text: badKey},
		"Assume":        {env: env{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_ID": "canary"}, code: backend.Unauthenticated, text: badProfile},
		"Token401":      {env: env{}, api: 401, code: backend.Unauthenticated, text: "IBM Cloud Secrets Manager refuses the token of the API key (401)"},
		"Profile401":    {env: env{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "profile-1", "CR_TOKEN_FILENAME": pod}, api: 401, code: backend.Unauthenticated, text: "IBM Cloud Secrets Manager refuses the token of the trusted profile (401)"},
		"Assume401":     {env: env{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_ID": "profile-1"}, api: 401, code: backend.Unauthenticated, text: "IBM Cloud Secrets Manager refuses the token of the trusted profile (401)"},
		"Profile403":    {env: env{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "poor", "CR_TOKEN_FILENAME": pod}, code: backend.PermissionDenied, text: "the trusted profile" + noRole},
		"Assume403":     {env: env{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_ID": "poor"}, code: backend.PermissionDenied, text: "the trusted profile" + noRole},
		"Bearer":        {reason: "nobody is asked for another", env: env{"AUTH_TYPE": "bearerToken", "BEARER_TOKEN": "canary"}, code: backend.Unauthenticated, text: "IBM Cloud Secrets Manager refuses the bearer token (401): it may have expired; check " + p + "BEARER_TOKEN", quiet: true},
		"Bearer403":     {env: env{"AUTH_TYPE": "bearerToken", "BEARER_TOKEN": "canary"}, api: 403, code: backend.PermissionDenied, text: "the bearer token" + noRole, quiet: true},
		"NoAuth":        {env: env{"AUTH_TYPE": "noAuth"}, code: backend.Unauthenticated, text: "IBM Cloud Secrets Manager demands a login (401): " + p + "AUTH_TYPE is noAuth", quiet: true},
		"NoAuth403":     {env: env{"AUTH_TYPE": "noAuth"}, api: 403, code: backend.PermissionDenied, text: "a request without a login" + noRole, quiet: true},
		"ContainerHang": {reason: "IAM out of order is no refusal", env: env{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "profile-1", "CR_TOKEN_FILENAME": pod}, api: -503, code: backend.Unavailable, text: "IBM Cloud IAM is out of order (503)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := trusted(t, nil)
			switch {
			case c.api > 0:
				w.Fail(ibmsm.Match{Kind: ibmsm.KindGet}, ibmsm.Fault{Status: c.api, Body: errorBody(canary)})
			case c.api < 0:
				w.Fail(ibmsm.Match{Kind: ibmsm.KindToken}, ibmsm.Fault{Status: -c.api, Body: errorBody(canary)})
			}
			ref := w.arbitrary("p")
			_, err := read(t.Context(), w.open(c.env), ref)
			failed(t, err, c.code, expand(c.text, w.http.URL, ref))
			if asked := w.tokens() > 0; asked == c.quiet {
				t.Errorf("%s: IAM is asked: %t", c.reason, asked)
			}
		})
	}
}

// TestContainerRotates: the token of the pod is read at each login, and between
// two logins its file may be gone.
func TestContainerRotates(t *testing.T) {
	clock := newClock()
	w := trusted(t, clock.Now)
	name := file(t, podToken)
	b := clock.by(w.open(map[string]string{"AUTH_TYPE": "container", "IAM_PROFILE_NAME": "lockstep", "CR_TOKEN_FILENAME": name}))
	ref := w.arbitrary("p")
	mustRead(t, b, ref)
	write(t, name, "canary-not-known")
	mustRead(t, b, ref) // with the token of before
	w.wantTokens(1)
	clock.advance(time.Hour)
	_, err := read(t.Context(), b, ref)
	if backend.CodeOf(err) != backend.Unauthenticated {
		t.Errorf("a replaced token is not read again: %v", err)
	}
	clean(t, err)
	write(t, name, otherToken)
	mustRead(t, b, ref)
	if err := b.Checker.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]int{"cr-token": 4}, w.Stats().Grants); diff != "" {
		t.Error(diff)
	}
}

// TestContainerPlaces: IBM's own places, in the order of its SDK.
func TestContainerPlaces(t *testing.T) {
	missing, first, second := file(t, "")+"-none", file(t, podToken), file(t, "canary-not-known")
	folder := filepath.Dir(first)
	cases := map[string]struct {
		reason string
		places []string
		text   string // of the error
	}{
		"First":  {"the first is taken", []string{first, second}, ""},
		"Later":  {"and else the next", []string{missing, folder, first, second}, ""},
		"Nobody": {"the text names them", []string{"/var/none", missing}, "there is no service account token at any of /var/none, " + missing + ": mount one there, or set IBM_CLOUD_SECRETS_MANAGER_API_CR_TOKEN_FILENAME"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := trusted(t, nil)
			b := w.open(map[string]string{"AUTH_TYPE": "container", "IAM_PROFILE_NAME": "lockstep"})
			b.Checker.(*login).config.tokenFiles = c.places
			ref := w.arbitrary("p")
			if c.text == "" {
				mustRead(t, b, ref)
				return
			}
			_, err := read(t.Context(), b, ref)
			failed(t, err, backend.Unauthenticated, c.text)
		})
	}
}

// TestAssumeTokens: both tokens are kept, and each is renewed when it is due.
func TestAssumeTokens(t *testing.T) {
	clock := newClock()
	w := trusted(t, clock.Now)
	b := clock.by(w.open(map[string]string{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_ID": "profile-1"}))
	l := b.Checker.(*login)
	ref := w.arbitrary("p")
	wantGrants := func(keys, assumed int) {
		t.Helper()
		want := map[string]int{"apikey": keys, "assume": assumed}
		eventually(t, fmt.Sprintf("%v logins", want), func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.pending == nil && cmp.Equal(want, w.Stats().Grants)
		})
	}
	mustRead(t, b, ref)
	mustRead(t, b, ref)
	wantGrants(1, 1)

	// IAM does not let the profile be assumed for a while: the key's token is
	// kept, and asked for once only.
	clock.advance(20 * time.Minute)
	b.Checker.(*login).held = token{}
	w.Fail(ibmsm.Match{Kind: ibmsm.KindToken}, ibmsm.Fault{Status: 503})
	_, err := read(t.Context(), b, ref)
	failed(t, err, backend.Unavailable, "IBM Cloud IAM is out of order (503)")
	w.ClearFaults()
	mustRead(t, b, ref)
	wantGrants(1, 3)

	clock.advance(50 * time.Minute) // both are due; the profile's still holds
	mustRead(t, b, ref)
	wantGrants(2, 4)

	// A check logs in anew from the start.
	if err := b.Checker.Check(t.Context()); err != nil {
		t.Error(err)
	}
	wantGrants(3, 5)

	// The instance refuses: which of the tokens is bad, nobody knows.
	w.ExpireTokens()
	_, err = read(t.Context(), b, ref)
	failed(t, err, backend.Unauthenticated, "IBM Cloud Secrets Manager refuses the token of the trusted profile (401)")
	mustRead(t, b, ref)
	wantGrants(4, 6)
}

// TestAssumeOldKeyToken: while the key cannot log in anew, its token is good to
// its end, unless the key itself is refused.
func TestAssumeOldKeyToken(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		broken int // what IAM answers the key
		code   backend.Code
	}{
		"Down":    {"the old token holds", 503, ""},
		"Refused": {"a key that was deleted has no tokens", 400, backend.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			w := trusted(t, clock.Now)
			b := clock.by(w.open(map[string]string{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_ID": "profile-1"}))
			ref := w.arbitrary("p")
			mustRead(t, b, ref)
			clock.advance(50 * time.Minute)
			b.Checker.(*login).held = token{}
			w.Fail(ibmsm.Match{Kind: ibmsm.KindToken}, ibmsm.Fault{Status: c.broken, Count: 1})
			if _, err := read(t.Context(), b, ref); backend.CodeOf(err) != c.code {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
}

// TestAssumeForgetsKeyToken: a refusal may mean the token of the key, so the
// next login begins with the key.
func TestAssumeForgetsKeyToken(t *testing.T) {
	w := trusted(t, nil)
	b := w.open(map[string]string{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_ID": "profile-1"})
	ref := w.arbitrary("p")
	mustRead(t, b, ref)
	w.ExpireTokens()
	b.Checker.(*login).held = token{}
	_, err := read(t.Context(), b, ref)
	if backend.CodeOf(err) != backend.Unauthenticated {
		t.Errorf("with a dead token: %v", err)
	}
	mustRead(t, b, ref)
}

// TestStaticLogins: what the operator gave is sent as it is, or nothing, and
// there is nobody to ask whether it works.
func TestStaticLogins(t *testing.T) {
	var authorization string
	w := start(t, ibmsm.Options{Anonymous: ibmsm.SecretsReader})
	spy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		authorization = r.Header.Get("Authorization")
		w.ServeHTTP(rw, r)
	}))
	t.Cleanup(spy.Close)
	key := w.open(nil)
	ref := w.arbitrary("p")
	mustRead(t, key, ref)
	good := string(key.Checker.(*login).held.text.Reveal())
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"Bearer": {map[string]string{"AUTH_TYPE": "bearerToken", "BEARER_TOKEN": good}, "Bearer " + good},
		"NoAuth": {map[string]string{"AUTH_TYPE": "noAuth"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.ResetStats()
			c.env["ENDPOINT"] = spy.URL
			b := w.open(c.env)
			mustRead(t, b, ref)
			if authorization != c.want {
				t.Error("another Authorization is sent")
			}
			if b.Checker != nil {
				t.Error("there is a Checker, and nobody to ask")
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			w.wantTokens(0)
		})
	}
}

// TestLoginHidesItself: a login that is printed shows no token and no key.
func TestLoginHidesItself(t *testing.T) {
	w := trusted(t, nil)
	for _, env := range []map[string]string{
		{"CLIENT_ID": "client", "CLIENT_SECRET": clientKey},
		{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "profile-1", "CR_TOKEN_FILENAME": file(t, podToken)},
		{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_ID": "profile-1"},
	} {
		b := w.open(env)
		mustRead(t, b, w.arbitrary("p"))
		l := b.Checker.(*login)
		text := fmt.Sprintf("%v %+v %#v %v %+v", l.config, l.config, l.config, []token{l.held, l.user}, []token{l.held, l.user})
		for _, secret := range []string{"canary", string(l.held.text.Reveal())} {
			if strings.Contains(text, secret) {
				t.Error("a login shows its secrets")
			}
		}
	}
}

// TestPrivateEndpoints: the hosts of IBM's private network, by the names in
// their certificates.
func TestPrivateEndpoints(t *testing.T) {
	const instance, login = "8d6c4c43.private.eu-de.secrets-manager.appdomain.cloud", "private.iam.cloud.ibm.com"
	w := start(t, ibmsm.Options{})
	var mu sync.Mutex
	hosts := map[string]int{}
	secure := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		hosts[r.Host+" "+r.URL.Path[:4]]++
		mu.Unlock()
		w.ServeHTTP(rw, r)
	}))
	t.Cleanup(secure.Close)
	trust := x509.NewCertPool()
	trust.AddCert(secure.Certificate())
	asked := map[string]int{}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trust, ServerName: "example.com"}, // what the certificate of httptest is for
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			mu.Lock()
			asked[addr]++
			mu.Unlock()
			return (&net.Dialer{}).DialContext(ctx, network, secure.Listener.Addr().String())
		},
	}
	b := open(t, w.env(map[string]string{"ENDPOINT": "https://" + instance + "/api", "AUTH_URL": "https://" + login}), transport)
	mustRead(t, b, w.arbitrary("p"))
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(map[string]int{instance + " /api": 1, login + " /ide": 1}, hosts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{instance + ":443": 1, login + ":443": 1}, asked); diff != "" {
		t.Error(diff)
	}
}

// TestProxyUnreachable: a wrong proxy is not taken for a wrong instance.
func TestProxyUnreachable(t *testing.T) {
	w := start(t, ibmsm.Options{})
	dead, err := url.Parse(closedPort(t))
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, w.env(map[string]string{"AUTH_URL": "https://iam.test"}), &http.Transport{Proxy: http.ProxyURL(dead)})
	_, err = read(t.Context(), b, w.arbitrary("p"))
	failed(t, err, backend.Unavailable, "IBM Cloud IAM at iam.test cannot be reached: there is no connection to the proxy")
}

// TestRate: the environment sets the limit that all stores of an instance share.
func TestRate(t *testing.T) {
	w := start(t, ibmsm.Options{})
	for text, want := range map[string]int{"": rate, "1": 1, "18": 18} {
		if got := w.open(map[string]string{"RATE": text}).Limits.Rate; got != want {
			t.Errorf("RATE %q: %d requests a second, want %d", text, got, want)
		}
	}
}

// TestLoginsCount: requests for tokens spend the quota of the instance as well.
func TestLoginsCount(t *testing.T) {
	w := trusted(t, nil)
	c := &counting{RoundTripper: &http.Transport{DisableKeepAlives: true}}
	b := open(t, w.env(map[string]string{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_ID": "profile-1"}), c)
	mustRead(t, b, w.arbitrary("p"))
	if n := c.n.Load(); n != 3 {
		t.Errorf("%d requests by the given client, want 3", n)
	}
}
