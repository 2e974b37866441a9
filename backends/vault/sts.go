// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/net/http/httpproxy"

	"github.com/lockstep-secrets/lockstep/backend"
)

// sessionName is what AWS's records call those who take a role here.
const sessionName = "lockstep"

// maxReply is the largest answer of a service that is read, in bytes. Real ones
// have about 2,000.
const maxReply = 1 << 20

// The variables by which a cluster of AWS gives the controller's pod an
// identity: a role for the service account (IRSA), EKS Pod Identity, or keys.
const (
	envIRSAFile     = "AWS_WEB_IDENTITY_TOKEN_FILE"
	envIRSARole     = "AWS_ROLE_ARN"
	envPodURL       = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	envPodTokenFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" //nolint:gosec // a variable's name
	envPodToken     = "AWS_CONTAINER_AUTHORIZATION_TOKEN"      //nolint:gosec // a variable's name
	envKeyID        = "AWS_ACCESS_KEY_ID"
	envKey          = "AWS_SECRET_ACCESS_KEY"
	envSession      = "AWS_SESSION_TOKEN"
)

// tokenService is AWS STS in one region, asked with the client of the store. No
// variable of the environment, and no store, says where it is.
type tokenService struct {
	client *http.Client
	region string
	field  string // where the login is in the manifest
}

// callerURL is where the question who am I is for. In us-east-1 that is the
// address without a region, which a Vault takes that was not configured.
func callerURL(ctx context.Context, region string) (string, error) {
	at, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{
		Region: aws.String(region), UseGlobalEndpoint: aws.Bool(region == defaultRegion),
	})
	if err != nil {
		return "", err
	}
	at.URI.Path = "/"
	return at.URI.String(), nil
}

// api makes a client of the SDK without retries. It is not made of a
// configuration of the SDK, which would read the environment.
func (s tokenService) api(k *aws.Credentials) *sts.Client {
	o := sts.Options{Region: s.region, HTTPClient: cautious{s.client}, Retryer: aws.NopRetryer{}}
	if k != nil {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return *k, nil })
	}
	return sts.New(o)
}

// assume takes a role with keys.
func (s tokenService) assume(ctx context.Context, k aws.Credentials, role, externalID string) (aws.Credentials, error) {
	in := &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String(sessionName)}
	if externalID != "" {
		in.ExternalId = aws.String(externalID)
	}
	out, err := s.api(&k).AssumeRole(ctx, in)
	if err != nil {
		return aws.Credentials{}, s.classify(ctx, err, role)
	}
	return s.keys(out.Credentials)
}

// assumeWithToken takes a role with a token of a service account.
func (s tokenService) assumeWithToken(ctx context.Context, token, role string) (aws.Credentials, error) {
	out, err := s.api(nil).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(role), RoleSessionName: aws.String(sessionName), WebIdentityToken: aws.String(token),
	})
	if err != nil {
		return aws.Credentials{}, s.classify(ctx, err, role)
	}
	return s.keys(out.Credentials)
}

func (s tokenService) keys(c *types.Credentials) (aws.Credentials, error) {
	if c != nil {
		k := aws.Credentials{
			AccessKeyID: aws.ToString(c.AccessKeyId), SecretAccessKey: aws.ToString(c.SecretAccessKey), SessionToken: aws.ToString(c.SessionToken),
		}
		if sendable(k) {
			return k, nil
		}
	}
	return aws.Credentials{}, backend.Errorf(backend.Unavailable, "AWS STS gave an answer for %s that cannot be read", s.field)
}

// refusals are the codes of STS that tell people what to do.
var refusals = map[string]string{ //nolint:gosec // codes of errors, and no credentials
	"AccessDenied":                "the role does not trust who asks, or does not know this external ID",
	"ExpiredToken":                "the session has ended",
	"ExpiredTokenException":       "the token has ended",
	"InvalidClientTokenId":        "there is no such access key",
	"InvalidIdentityToken":        "the role's account does not know the issuer of the token, or its audience",
	"RegionDisabledException":     "the account has not enabled the region",
	"SignatureDoesNotMatch":       "the secret access key is not the one of the access key",
	"RequestExpired":              "the clock of this machine is wrong",
	"IncompleteSignature":         "the access key is none",
	"UnrecognizedClientException": "there is no such access key",
}

// classify says what a role that could not be had comes to. The quota is
// Vault's, so a limit of AWS is no reason to leave Vault alone.
func (s tokenService) classify(ctx context.Context, err error, role string) error {
	var (
		ours   *backend.Error
		answer *smithyhttp.ResponseError
		said   smithy.APIError
	)
	switch {
	case errors.As(err, &ours): // the quota's, or the rules' on where to connect to
		return ours
	case ctx.Err() != nil:
		return late("AWS STS", ctx.Err())
	case !errors.As(err, &answer) || answer.HTTPStatusCode() == 0:
		return backend.Errorf(backend.Unavailable, "AWS STS cannot be reached")
	case !errors.As(err, &said):
		return backend.Errorf(backend.Unavailable, "AWS STS gave an answer for %s that cannot be read", s.field)
	}
	switch status, code := answer.HTTPStatusCode(), said.ErrorCode(); {
	case status == http.StatusTooManyRequests || strings.HasPrefix(code, "Throttl") || code == "RequestLimitExceeded":
		return backend.Errorf(backend.Unavailable, "AWS STS limits our requests")
	case code == "IDPCommunicationError":
		return backend.Errorf(backend.Unavailable, "AWS STS cannot reach the issuer of the cluster's tokens")
	case status < http.StatusBadRequest || status >= http.StatusInternalServerError:
		return backend.Errorf(backend.Unavailable, "AWS STS is out of order (%d)", status)
	case refusals[code] != "":
		return backend.Errorf(backend.Unauthenticated, "AWS refuses the role %s to %s: %s", role, s.field, refusals[code])
	default:
		return backend.Errorf(backend.Unauthenticated, "AWS refuses the role %s to %s (%d)", role, s.field, status)
	}
}

// controllerKeys are the controller's own. The metadata service of a node is not
// asked: its identity is that of all pods on it.
func (s tokenService) controllerKeys() (keySource, []backend.Value, error) {
	var keys keySource
	switch {
	case os.Getenv(envIRSAFile) != "" && os.Getenv(envIRSARole) != "":
		keys = s.irsa
	case os.Getenv(envPodURL) != "":
		keys = s.podIdentity
	case os.Getenv(envKeyID) != "" && os.Getenv(envKey) != "":
		keys = func(context.Context) (aws.Credentials, error) {
			return checked(aws.Credentials{
				AccessKeyID: os.Getenv(envKeyID), SecretAccessKey: os.Getenv(envKey), SessionToken: os.Getenv(envSession),
			})
		}
	default:
		return nil, nil, backend.Errorf(backend.Unauthenticated,
			"%s names nobody, and Lockstep's own pod has no identity of AWS: neither %s and %s, nor %s, nor %s and %s. The identity of the node is not used: give secretRef or jwt",
			s.field, envIRSAFile, envIRSARole, envPodURL, envKeyID, envKey)
	}
	return keys, []backend.Value{textValue("the controller on AWS")}, nil
}

// irsa takes the role of the controller's own service account, whose token is
// replaced.
func (s tokenService) irsa(ctx context.Context) (aws.Credentials, error) {
	token, err := os.ReadFile(os.Getenv(envIRSAFile)) //nolint:gosec // the operator names the file
	if err != nil || strings.TrimSpace(string(token)) == "" {
		return aws.Credentials{}, backend.Errorf(backend.Unauthenticated, "there is no token in the file that %s names", envIRSAFile)
	}
	return s.assumeWithToken(ctx, strings.TrimSpace(string(token)), os.Getenv(envIRSARole))
}

// podIdentity asks the agent of EKS on the node.
func (s tokenService) podIdentity(ctx context.Context) (aws.Credentials, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv(envPodURL), http.NoBody) //nolint:gosec // the operator names the agent
	if err != nil || !mayHaveToken(r.URL) {
		return aws.Credentials{}, backend.Errorf(backend.Unauthenticated, "%s is not the URL of an agent on this node, nor one with https", envPodURL)
	}
	token := os.Getenv(envPodToken)
	if file := os.Getenv(envPodTokenFile); file != "" {
		text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
		if err != nil {
			return aws.Credentials{}, backend.Errorf(backend.Unauthenticated, "the file that %s names cannot be read", envPodTokenFile)
		}
		token = string(text)
	}
	if token = strings.TrimSpace(token); token != "" {
		if !inHeader(token) {
			return aws.Credentials{}, backend.Errorf(backend.Unauthenticated, "what EKS Pod Identity wants to be shown is not a token")
		}
		r.Header.Set("Authorization", token)
	}
	text, err := fetch(s.client, r, "EKS Pod Identity")
	if err != nil {
		return aws.Credentials{}, err
	}
	var out struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string `json:"SecretAccessKey"`
		Token           string `json:"Token"`
	}
	if json.Unmarshal(text, &out) != nil { // its text may quote a key
		return aws.Credentials{}, backend.Errorf(backend.Unavailable, "EKS Pod Identity gave an answer that cannot be read")
	}
	return checked(aws.Credentials{AccessKeyID: out.AccessKeyID, SecretAccessKey: out.SecretAccessKey, SessionToken: out.Token})
}

func checked(k aws.Credentials) (aws.Credentials, error) {
	if !sendable(k) {
		return aws.Credentials{}, backend.Errorf(backend.Unauthenticated, "the keys of AWS that Lockstep's own pod has are none")
	}
	return k, nil
}

// mayHaveToken reports whether a token may be sent there: by TLS, or to an agent
// on the node, at the addresses that AWS's own SDKs take.
func mayHaveToken(u *url.URL) bool {
	if u.Scheme == "https" {
		return u.Hostname() != ""
	}
	at, err := netip.ParseAddr(u.Hostname())
	if err != nil || u.Scheme != "http" {
		return false
	}
	switch at.String() {
	case "169.254.170.2", "169.254.170.23", "fd00:ec2::23":
		return true
	}
	return at.IsLoopback()
}

// fetch asks a service on the node, whose answers are short. It does not ask
// through a proxy without TLS: who reads the answer can act as this pod.
func fetch(c *http.Client, r *http.Request, name string) ([]byte, error) {
	if r.URL.Scheme == "http" {
		if proxy, err := httpproxy.FromEnvironment().ProxyFunc()(r.URL); proxy != nil || err != nil {
			return nil, backend.Errorf(backend.Unauthenticated,
				"%s would be asked through the proxy of HTTP_PROXY, which could read its answer: add %s to NO_PROXY", name, r.URL.Hostname())
		}
	}
	resp, err := cautious{c}.Do(r)
	if err != nil {
		var ours *backend.Error
		switch {
		case errors.As(err, &ours):
			return nil, ours
		case r.Context().Err() != nil:
			return nil, late(name, r.Context().Err())
		}
		return nil, backend.Errorf(backend.Unavailable, "%s cannot be reached", name)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	switch code := resp.StatusCode; {
	case code == http.StatusBadRequest || code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusNotFound:
		return nil, backend.Errorf(backend.Unauthenticated, "%s has no identity for Lockstep's own pod (%d)", name, code)
	case code != http.StatusOK:
		return nil, backend.Errorf(backend.Unavailable, "%s is out of order (%d)", name, code)
	case err != nil:
		return nil, backend.Errorf(backend.Unavailable, "%s breaks off its answer", name)
	}
	return text, nil
}

// cautious follows no redirect, where a signature or a token would go along, and
// reads no long answer.
type cautious struct{ base *http.Client }

// Do makes a request, as the SDK wants it done.
func (c cautious) Do(r *http.Request) (*http.Response, error) {
	one := &http.Client{
		Transport: c.base.Transport, Timeout: c.base.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := one.Do(r) //nolint:gosec // the transport has the rules on where to connect to
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxReply), resp.Body}
	return resp, nil
}

// late is a service that is waited for no longer.
func late(name string, over error) error {
	return &backend.Error{Code: backend.Unavailable, Message: name + " does not answer in time", Err: over}
}
