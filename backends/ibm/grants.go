// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/lockstep-secrets/lockstep/backend"
)

// What IAM gives a token for.
const (
	keyGrant    = "urn:ibm:params:oauth:grant-type:apikey"
	crGrant     = "urn:ibm:params:oauth:grant-type:cr-token"
	assumeGrant = "urn:ibm:params:oauth:grant-type:assume"
)

// maxGrant is the longest answer of IAM that is read, in bytes.
const maxGrant = 1 << 20

// crTokenFiles are where compute resource tokens are put, in the order in
// which IBM's SDK looks.
var crTokenFiles = []string{
	"/var/run/secrets/tokens/vault-token",
	"/var/run/secrets/tokens/sa-token",
	"/var/run/secrets/codeengine.cloud.ibm.com/compute-resource-token/token",
}

// request asks IAM for a token.
func (l *login) request() (token, error) {
	ctx, cancel := context.WithTimeout(backend.WithOperation(l.until, backend.OpLogin), loginTimeout)
	defer cancel()
	switch l.config.kind {
	case core.AUTHTYPE_CONTAINER:
		return l.byContainer(ctx)
	case core.AUTHTYPE_IAM_ASSUME:
		return l.byAssuming(ctx)
	default:
		return l.byKey(ctx)
	}
}

// byKey logs in with the API key.
func (l *login) byKey(ctx context.Context) (token, error) {
	form := url.Values{
		"grant_type": {keyGrant}, "response_type": {"cloud_iam"}, "apikey": {string(l.config.apiKey.Reveal())},
	}
	return l.obtain(ctx, l.scoped(form), iam+" refuses the API key (%d): check "+l.config.words.apiKey+l.clientHint())
}

// byContainer logs in to a trusted profile with the token that Kubernetes gave
// the pod. It is read each time, because it is replaced every hour or so.
func (l *login) byContainer(ctx context.Context) (token, error) {
	text, err := crToken(l.config.tokenFiles, l.config.words.tokenFile)
	if err != nil {
		return token{}, err
	}
	form := url.Values{"grant_type": {crGrant}, "cr_token": {text}}
	for name, value := range map[string]string{"profile_id": l.config.profile.id, "profile_name": l.config.profile.name} {
		if value != "" {
			form.Set(name, value)
		}
	}
	return l.obtain(ctx, l.scoped(form), iam+" does not let this pod in to the trusted profile (%d): check "+
		l.config.words.profile+", and that the profile trusts the pod's service account"+l.clientHint())
}

// byAssuming logs in to a trusted profile with a token of the API key.
func (l *login) byAssuming(ctx context.Context) (token, error) {
	user, err := l.userToken(ctx)
	if err != nil {
		return token{}, err
	}
	form := url.Values{"grant_type": {assumeGrant}, "access_token": {string(user.Reveal())}}
	switch p := l.config.profile; {
	case p.crn != "":
		form.Set("profile_crn", p.crn)
	case p.id != "":
		form.Set("profile_id", p.id)
	default:
		form.Set("profile_name", p.name)
		form.Set("account", p.account)
	}
	t, err := l.obtain(ctx, form, iam+" does not let the API key assume the trusted profile (%d): check "+
		envPrefix+"IAM_PROFILE_ID, IAM_PROFILE_CRN, IAM_PROFILE_NAME and IAM_ACCOUNT_ID, and that the profile trusts the API key's owner")
	if backend.CodeOf(err) == backend.Unauthenticated {
		l.keep(token{}) // it may be the token of the API key that is refused
	}
	return t, err
}

// userToken returns a token of the API key, the one before where it still is
// good.
func (l *login) userToken(ctx context.Context) (backend.Value, error) {
	l.mu.Lock()
	old, now := l.user, l.now()
	l.mu.Unlock()
	if now.Before(old.renew) {
		return old.text, nil
	}
	t, err := l.byKey(ctx)
	switch {
	case err == nil:
		l.keep(t)
		return t.text, nil
	case now.Before(old.expires) && backend.CodeOf(err) != backend.Unauthenticated:
		return old.text, nil
	default:
		return backend.Value{}, err
	}
}

func (l *login) keep(user token) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.user = user
}

// scoped limits what the token is good for.
func (l *login) scoped(form url.Values) url.Values {
	if l.config.scope != "" {
		form.Set("scope", l.config.scope)
	}
	return form
}

// clientHint is what else to check when a login is refused.
func (l *login) clientHint() string {
	if l.config.clientID == "" {
		return ""
	}
	return ", and CLIENT_ID with CLIENT_SECRET"
}

// obtain makes one token request. Refusal is what to say when IAM does not
// accept what is in the form, with its status.
func (l *login) obtain(ctx context.Context, form url.Values, refusal string) (token, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.config.iam+"/identity/token", strings.NewReader(form.Encode()))
	if err != nil {
		return token{}, backend.Errorf(backend.InvalidRef, "%s is not a usable URL", l.config.words.iam)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "lockstep")
	if l.config.clientID != "" && form.Get("grant_type") != assumeGrant {
		r.SetBasicAuth(l.config.clientID, string(l.config.clientSecret.Reveal()))
	}
	// The life is counted from here by our own clock, so that it does not
	// matter when IAM's shows another time.
	asked := l.now()
	resp, err := l.client.Do(r)
	if err != nil {
		return token{}, unanswered(iam, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxGrant))
	if over := ctx.Err(); err != nil && over != nil {
		return token{}, given(iam, over)
	}
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		return token{}, classifyLogin(resp, refusal, l.config.words.iam)
	}
	var answer core.IamTokenServerResponse
	if err != nil || json.Unmarshal(body, &answer) != nil || answer.AccessToken == "" || !inHeader(answer.AccessToken) {
		return token{}, backend.Errorf(backend.Unavailable, "%s gave an answer that cannot be read", iam)
	}
	life := time.Duration(min(answer.ExpiresIn, longestLife)) * time.Second
	return token{
		text: backend.NewValue([]byte(answer.AccessToken)), renew: asked.Add(life * 4 / 5), expires: asked.Add(life - margin),
	}, nil
}

// inHeader reports whether a token can be sent as one.
func inHeader(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// crToken reads the compute resource token from the first of the files that
// can be read. They are the operator's own choice, or IBM's. setting is what
// messages call that choice.
func crToken(files []string, setting string) (string, error) {
	var last error
	for _, name := range files {
		text, err := os.ReadFile(name) //nolint:gosec // the operator names the file, or it is one of IBM's
		if err == nil && strings.TrimSpace(string(text)) != "" {
			return strings.TrimSpace(string(text)), nil
		}
		last = err
	}
	what := "names an empty file"
	switch {
	case len(files) > 1:
		return "", backend.Errorf(backend.Unauthenticated,
			"there is no service account token at any of %s: mount one there, or set %s", strings.Join(files, ", "), setting)
	case errors.Is(last, fs.ErrNotExist):
		what = "names a file that does not exist: mount a service account token there"
	case last != nil:
		what = "names a file that cannot be read"
	}
	return "", backend.Errorf(backend.Unauthenticated, "%s %s", setting, what)
}
