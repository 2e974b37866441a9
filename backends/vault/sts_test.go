// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/lockstep-secrets/lockstep/backend"
)

// The identities that amazon knows.
const (
	annARN   = "arn:aws:iam::111122223333:user/ann"
	bobARN   = "arn:aws:iam::111122223333:user/bob"
	appRoleA = "arn:aws:iam::111122223333:role/app"   // trusts ann, and the service account reader
	farRoleA = "arn:aws:iam::444455556666:role/far"   // trusts ann with an external ID
	podRoleA = "arn:aws:iam::111122223333:role/chain" // trusts the role app
)

// amazon is a stand-in for AWS STS. It verifies signatures by the published
// rules of Signature Version 4 and with no code of AWS's SDK, which signs.
type amazon struct {
	t      testing.TB
	server *httptest.Server
	issuer *ecdsa.PrivateKey // of the cluster's tokens

	mu     sync.Mutex
	users  map[string]user // by access key
	asked  []string        // by us: host, action
	heard  []string        // signatures of who asked who it is
	answer func(http.ResponseWriter) bool
}

type user struct{ secret, session, arn string }

func newAmazon(t testing.TB) *amazon {
	t.Helper()
	a := &amazon{t: t, users: map[string]user{
		"AKIAANN": {"canary-ann", "", annARN}, "AKIABOB": {"canary-bob", "", bobARN}, "ASIAANN": {"canary-temporary", "canary-session", annARN},
	}}
	var err error
	if a.issuer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	return a
}

// client leads what is for AWS to the stand-in, and the rest where it is for.
func (a *amazon) client() *http.Client {
	base := &http.Transport{}
	a.t.Cleanup(base.CloseIdleConnections)
	return &http.Client{Transport: through(func(r *http.Request) (*http.Response, error) {
		if !strings.HasSuffix(r.URL.Hostname(), "amazonaws.com") {
			return base.RoundTrip(r)
		}
		if r.URL.Scheme != "https" {
			a.t.Errorf("AWS is asked without TLS: %s", r.URL)
		}
		there, err := url.Parse(a.server.URL)
		if err != nil {
			return nil, err
		}
		out := r.Clone(r.Context())
		out.Host, out.URL.Scheme, out.URL.Host = r.URL.Host, there.Scheme, there.Host
		out.Header.Set("X-From-Us", "yes")
		return base.RoundTrip(out)
	})}
}

type through func(*http.Request) (*http.Response, error)

func (f through) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// requests are those that we made.
func (a *amazon) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// token is one of a service account of the cluster.
func (a *amazon) token(account string, audiences []string) string {
	a.t.Helper()
	sig, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: a.issuer}, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := jwt.Signed(sig).Claims(jwt.Claims{
		Issuer: "cluster", Subject: "system:serviceaccount:ns:" + account, Audience: audiences, Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}).Serialize()
	if err != nil {
		a.t.Fatal(err)
	}
	return text
}

func (a *amazon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Error(err)
	}
	form, err := url.ParseQuery(string(text))
	if err != nil {
		a.t.Error(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Header.Get("X-From-Us") != "" {
		a.asked = append(a.asked, r.Host+" "+form.Get("Action"))
	}
	w.Header().Set("Content-Type", "text/xml")
	if a.answer != nil && r.Header.Get("X-From-Us") != "" && a.answer(w) {
		return
	}
	var who user
	if form.Get("Action") != "AssumeRoleWithWebIdentity" {
		var code string
		if who, code = a.signed(r, text); code != "" {
			refuseAWS(w, http.StatusForbidden, code)
			return
		}
	}
	switch action := form.Get("Action"); action {
	case "GetCallerIdentity":
		a.heard = append(a.heard, r.Header.Get("Authorization"))
		_, _ = fmt.Fprintf(w, "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>%s</Arn><UserId>AIDA:x</UserId><Account>%s</Account>"+
			"</GetCallerIdentityResult></GetCallerIdentityResponse>", who.arn, strings.Split(who.arn, ":")[4])
	case "AssumeRole", "AssumeRoleWithWebIdentity":
		if !a.trusts(form, who) {
			refuseAWS(w, http.StatusForbidden, "AccessDenied")
			return
		}
		a.role(w, action, form)
	default:
		refuseAWS(w, http.StatusBadRequest, "InvalidAction")
	}
}

// trusts is what the policies of the roles say.
func (a *amazon) trusts(form url.Values, who user) bool {
	role, external := form.Get("RoleArn"), form.Get("ExternalId")
	if form.Get("Action") == "AssumeRole" {
		return role == appRoleA && who.arn == annARN || role == farRoleA && who.arn == annARN && external == "x-1" ||
			role == podRoleA && strings.HasPrefix(who.arn, "arn:aws:sts::111122223333:assumed-role/app/")
	}
	token, err := jwt.ParseSigned(form.Get("WebIdentityToken"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return false
	}
	var claims jwt.Claims
	if token.Claims(&a.issuer.PublicKey, &claims) != nil {
		return false
	}
	return role == appRoleA && claims.Subject == "system:serviceaccount:ns:reader" && claims.Audience.Contains("sts.amazonaws.com")
}

// role makes keys of a role.
func (a *amazon) role(w http.ResponseWriter, action string, form url.Values) {
	parts := strings.Split(form.Get("RoleArn"), ":")
	id := "ASIA" + strconv.Itoa(len(a.users))
	u := user{"canary-made+/" + id, "canary/session=" + id, "arn:aws:sts::" + parts[4] + ":assumed-" + parts[5] + "/" + form.Get("RoleSessionName")}
	a.users[id] = u
	_, _ = fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>%[2]s</AccessKeyId>`+
		`<SecretAccessKey>%[3]s</SecretAccessKey><SessionToken>%[4]s</SessionToken><Expiration>%[5]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
		action, id, html.EscapeString(u.secret), html.EscapeString(u.session), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

func refuseAWS(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>canary of the server</Message></Error></ErrorResponse>", code)
}

var authorizationForm = regexp.MustCompile(
	`^AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/([a-z0-9-]+)/sts/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$`)

// signed verifies a request, and returns whose it is or what AWS says.
func (a *amazon) signed(r *http.Request, body []byte) (user, string) {
	m := authorizationForm.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return user{}, "IncompleteSignature"
	}
	id, day, region, names, signature := m[1], m[2], m[3], strings.Split(m[4], ";"), m[5]
	who, ok := a.users[id]
	when := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", when)
	home := map[string]string{"sts.amazonaws.com": "us-east-1"}[r.Host]
	if home == "" {
		home = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(r.Host, "sts."), ".cn"), ".amazonaws.com")
	}
	switch {
	case !ok || who.session != r.Header.Get("X-Amz-Security-Token"):
		return user{}, "InvalidClientTokenId"
	case err != nil || time.Since(at).Abs() > 15*time.Minute || !strings.HasPrefix(when, day):
		return user{}, "RequestExpired"
	case region != home, !slices.Contains(names, "host"), !slices.IsSorted(names):
		return user{}, "SignatureDoesNotMatch"
	}
	for name := range r.Header { // nothing of AWS's may be added on the way
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(names, name) {
			return user{}, "SignatureDoesNotMatch"
		}
	}
	var headers strings.Builder
	for _, name := range names {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		headers.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	request := strings.Join([]string{r.Method, path.Clean(r.URL.Path), r.URL.RawQuery, headers.String(), m[4], digest(body)}, "\n")
	scope := strings.Join([]string{day, region, "sts", "aws4_request"}, "/")
	key := []byte("AWS4" + who.secret)
	for _, part := range strings.Split(scope, "/") {
		key = authenticate(key, part)
	}
	want := authenticate(key, strings.Join([]string{"AWS4-HMAC-SHA256", when, scope, digest([]byte(request))}, "\n"))
	if hex.EncodeToString(want) != signature {
		return user{}, "SignatureDoesNotMatch"
	}
	return who, ""
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func authenticate(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text))
	return h.Sum(nil)
}

// TestAmazonVerifies: the stand-in takes the example of AWS's own documentation
// of the algorithm, so what it takes of us is worth something.
func TestAmazonVerifies(t *testing.T) {
	// From "Examples of how to derive a signing key", AWS General Reference.
	key := []byte("AWS4" + "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
	for _, part := range []string{"20120215", "us-east-1", "iam", "aws4_request"} {
		key = authenticate(key, part)
	}
	if got, want := hex.EncodeToString(key), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"; got != want {
		t.Errorf("the key of the example is %s, want %s", got, want)
	}
}

// TestSTSFails: what AWS says is classified, never repeated, and asked once.
func TestSTSFails(t *testing.T) {
	a, w := newAmazon(t), newWorld(t, 2)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a signed request went elsewhere") }))
	defer elsewhere.Close()
	says := func(status int, code string) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool { refuseAWS(w, status, code); return true }
	}
	for name, c := range map[string]struct {
		reason string
		answer func(http.ResponseWriter) bool
		want   backend.Code
		says   string
	}{
		"Denied":    {"a code that is explained", says(http.StatusForbidden, "AccessDenied"), backend.Unauthenticated, "external ID"},
		"Other":     {"one that is not", says(http.StatusForbidden, "canaryCode"), backend.Unauthenticated, "(403)"},
		"Throttled": {"a limit of AWS is not Vault's", says(http.StatusBadRequest, "Throttling"), backend.Unavailable, "limits"},
		"TooMany":   {"the same by its status", says(http.StatusTooManyRequests, "X"), backend.Unavailable, "limits"},
		"Broken":    {"asked once", says(http.StatusInternalServerError, "InternalFailure"), backend.Unavailable, "(500)"},
		"Issuer":    {"it may be back", says(http.StatusBadRequest, "IDPCommunicationError"), backend.Unavailable, "issuer"},
		"Elsewhere": {"a signature goes nowhere else", func(w http.ResponseWriter) bool {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(http.StatusFound)
			return true
		}, backend.Unavailable, "STS"},
		"Garbage": {"no XML", func(w http.ResponseWriter) bool { _, _ = io.WriteString(w, "canary{"); return true }, backend.Unavailable, "STS"},
		"BadKeys": {"no key has a space", func(w http.ResponseWriter) bool {
			_, _ = io.WriteString(w, "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>canary 1</AccessKeyId>"+
				"<SecretAccessKey>canary</SecretAccessKey></Credentials></AssumeRoleResult></AssumeRoleResponse>")
			return true
		}, backend.Unavailable, "cannot be read"},
		"NoKeys": {"XML without keys", func(w http.ResponseWriter) bool { _, _ = io.WriteString(w, "<AssumeRoleResponse/>"); return true }, backend.Unavailable, "cannot be read"},
		"Long": {"keys that come after more than anybody reads", func(w http.ResponseWriter) bool {
			_, _ = io.WriteString(w, strings.Repeat(" ", 2*maxReply))
			a.role(w, "AssumeRole", url.Values{"RoleArn": {appRoleA}, "RoleSessionName": {"long"}})
			return true
		}, backend.Unavailable, "STS"},
	} {
		t.Run(name, func(t *testing.T) {
			a.mu.Lock()
			a.answer, a.asked = c.answer, nil
			a.mu.Unlock()
			b := w.iam(a, map[string]any{"role": appRoleA, "secretRef": annKeys}, false)
			text := w.fails(b, c.want)
			if !strings.Contains(text, c.says) || strings.Contains(text, "canary") {
				t.Errorf("%s: the error is %q, want %q in it", c.reason, text, c.says)
			}
			if n := len(a.requests()); n != 1 {
				t.Errorf("%s: %d requests, want 1", c.reason, n)
			}
		})
	}
	a.server.Close()
	if text := w.fails(w.iam(a, map[string]any{"role": appRoleA, "secretRef": annKeys}, false), backend.Unavailable); !strings.Contains(text, "AWS STS cannot be reached") {
		t.Errorf("nobody there: %s", text)
	}
}
