// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/lockstep-secrets/lockstep/backend"
)

// iamAuth is a login with an identity of AWS. What Vault is sent is a question
// to AWS, "who am I", that is signed with the keys of that identity and that
// Vault asks in our place. The keys themselves stay here.
type iamAuth struct {
	Path       string `json:"path"`
	Region     string `json:"region"`
	AWSRole    string `json:"role"` // of AWS
	ExternalID string `json:"externalID"`
	Role       string `json:"vaultRole"`
	ServerID   string `json:"vaultAwsIamServerID"`
	SecretRef  *struct {
		ID      selector  `json:"accessKeyIDSecretRef"`
		Key     selector  `json:"secretAccessKeySecretRef"`
		Session *selector `json:"sessionTokenSecretRef"`
	} `json:"secretRef"`
	JWT *struct {
		ServiceAccount *serviceAccount `json:"serviceAccountRef"`
	} `json:"jwt"`
}

const (
	// defaultRegion is External Secrets Operator's. Its STS is also the one that
	// a Vault asks which was not configured.
	defaultRegion = "us-east-1"
	// headerServer keeps a signed question from being used at another Vault.
	headerServer = "X-Vault-AWS-IAM-Server-ID"
	// whoAmI is the question. Vault takes no other.
	whoAmI = "Action=GetCallerIdentity&Version=2011-06-15"
	// awsAudience is whom AWS wants the tokens of service accounts to be for.
	awsAudience = "sts.amazonaws.com"
)

// regionForm is what a region looks like. It becomes a part of a host's name, so
// nothing else may.
var regionForm = regexp.MustCompile(`^([a-z]{2}|eusc)(-[a-z]+){1,3}-[0-9]{1,2}$`)

// roleForm is what the ARN of a role looks like.
var roleForm = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$`)

// keySource returns the keys of an identity of AWS, each time anew, for they may
// end.
type keySource func(context.Context) (aws.Credentials, error)

func (l *logins) iam(ctx context.Context, a iamAuth) (method, error) {
	field := l.where + ".auth.iam"
	path, err := loginPath(field+".path", a.Path, "aws")
	if err != nil {
		return method{}, err
	}
	a.Region = cmp.Or(strings.TrimSpace(a.Region), defaultRegion)
	if !regionForm.MatchString(a.Region) || strings.Contains(a.Region, "fips") {
		return method{}, backend.Errorf(backend.InvalidRef, "%s.region is not a region of AWS such as eu-west-1", field)
	}
	if a.AWSRole = strings.TrimSpace(a.AWSRole); a.AWSRole != "" && !roleForm.MatchString(a.AWSRole) {
		return method{}, backend.Errorf(backend.InvalidRef, "%s.role is not the ARN of a role of AWS; the role of Vault is vaultRole", field)
	}
	if a.ServerID = strings.TrimSpace(a.ServerID); !isHeaderValue(a.ServerID) {
		return method{}, backend.Errorf(backend.InvalidRef, "%s.vaultAwsIamServerID has a character in it that no header has", field)
	}
	where, err := callerURL(ctx, a.Region)
	if err != nil {
		return method{}, backend.Errorf(backend.InvalidRef, "%s.region is not a region of AWS that Lockstep knows", field)
	}
	keys, identity, err := l.awsKeys(ctx, field, a)
	if err != nil {
		return method{}, err
	}
	for _, text := range []string{"iam", a.Region, a.AWSRole, a.ExternalID, a.ServerID} {
		identity = append(identity, textValue(text))
	}
	role := strings.TrimSpace(a.Role)
	return method{
		path: path, role: role, identity: identity,
		material: func(ctx context.Context) (map[string]string, error) {
			k, err := keys(ctx)
			if err != nil {
				return nil, err
			}
			return signedQuestion(ctx, k, where, a, role)
		},
	}, nil
}

// awsKeys returns who logs in, in the order of External Secrets Operator: a
// service account, keys, the controller itself.
func (l *logins) awsKeys(ctx context.Context, field string, a iamAuth) (keySource, []backend.Value, error) {
	s := tokenService{client: l.http, region: a.Region, field: field}
	var keys keySource
	var identity []backend.Value
	var err error
	switch {
	case a.JWT != nil:
		return l.accountKeys(ctx, s, a)
	case a.SecretRef != nil:
		keys, identity, err = l.staticKeys(ctx, field+".secretRef", a)
	case !l.trusted:
		err = backend.Errorf(backend.InvalidRef, "%s needs secretRef or jwt: only a ClusterSecretStore may log in as Lockstep itself", field)
	default:
		keys, identity, err = s.controllerKeys()
	}
	if err != nil || a.AWSRole == "" {
		return keys, identity, err
	}
	return func(ctx context.Context) (aws.Credentials, error) {
		k, err := keys(ctx)
		if err != nil {
			return aws.Credentials{}, err
		}
		return s.assume(ctx, k, a.AWSRole, a.ExternalID)
	}, identity, nil
}

// staticKeys are keys in a Secret.
func (l *logins) staticKeys(ctx context.Context, field string, a iamAuth) (keySource, []backend.Value, error) {
	id, err := l.trimmed(ctx, field+".accessKeyIDSecretRef", a.SecretRef.ID)
	if err != nil {
		return nil, nil, err
	}
	key, err := l.trimmed(ctx, field+".secretAccessKeySecretRef", a.SecretRef.Key)
	if err != nil {
		return nil, nil, err
	}
	var session backend.Value
	if a.SecretRef.Session != nil {
		if session, err = l.trimmed(ctx, field+".sessionTokenSecretRef", *a.SecretRef.Session); err != nil {
			return nil, nil, err
		}
	}
	k := aws.Credentials{
		AccessKeyID: string(id.Reveal()), SecretAccessKey: string(key.Reveal()), SessionToken: string(session.Reveal()),
	}
	if !sendable(k) {
		return nil, nil, backend.Errorf(backend.Unauthenticated, "%s has no keys of AWS: they are empty, or have a character in them that no key has", field)
	}
	return func(context.Context) (aws.Credentials, error) { return k, nil }, []backend.Value{id, key, session}, nil
}

// accountKeys are those of a role that trusts a service account. External
// Secrets Operator has the role from an annotation of the account, which is not
// among what a backend is given.
func (l *logins) accountKeys(ctx context.Context, s tokenService, a iamAuth) (keySource, []backend.Value, error) {
	field := s.field + ".jwt.serviceAccountRef"
	switch account := a.JWT.ServiceAccount; {
	case account == nil:
		return nil, nil, backend.Errorf(backend.InvalidRef, "%s is missing", field)
	case a.AWSRole == "":
		return nil, nil, backend.Errorf(backend.InvalidRef,
			"%s.role must be the role of AWS that the service account takes: Lockstep does not read the annotation eks.amazonaws.com/role-arn", s.field)
	case a.ExternalID != "":
		return nil, nil, backend.Errorf(backend.InvalidRef,
			"%s.externalID is nothing that AWS takes with a service account: remove it, and let the role trust the account itself", s.field)
	default:
		var tokens method
		if err := l.account(ctx, &tokens, field, *account, append([]string{awsAudience}, account.Audiences...)); err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context) (aws.Credentials, error) {
			made, err := tokens.material(ctx)
			if err != nil {
				return aws.Credentials{}, err
			}
			return s.assumeWithToken(ctx, made["jwt"], a.AWSRole)
		}, tokens.identity, nil
	}
}

// sendable reports whether keys can be put into headers.
func sendable(k aws.Credentials) bool {
	return inHeader(k.AccessKeyID) && inHeader(k.SecretAccessKey) && (k.SessionToken == "" || inHeader(k.SessionToken))
}

// signedQuestion is what Vault is sent. The signature holds for fifteen minutes,
// so each login has its own.
func signedQuestion(ctx context.Context, k aws.Credentials, where string, a iamAuth, role string) (map[string]string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, where, strings.NewReader(whoAmI))
	if err != nil {
		return nil, backend.Errorf(backend.Unknown, "there is no request to AWS STS at this address")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if a.ServerID != "" {
		r.Header.Set(headerServer, a.ServerID)
	}
	sum := sha256.Sum256([]byte(whoAmI))
	if err := v4.NewSigner().SignHTTP(ctx, k, r, hex.EncodeToString(sum[:]), "sts", a.Region, time.Now()); err != nil { // its text may quote a key
		return nil, backend.Errorf(backend.Unauthenticated, "the login of AWS cannot be signed with the keys that it was given")
	}
	headers, err := json.Marshal(r.Header)
	if err != nil {
		return nil, backend.Errorf(backend.Unknown, "the login of AWS is not JSON")
	}
	encode := base64.StdEncoding.EncodeToString
	return map[string]string{
		"role":                    role,
		"iam_http_request_method": r.Method,
		"iam_request_url":         encode([]byte(where)),
		"iam_request_body":        encode([]byte(whoAmI)),
		"iam_request_headers":     encode(headers),
	}, nil
}
