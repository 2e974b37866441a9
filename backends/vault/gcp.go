// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/lockstep-secrets/lockstep/backend"
)

// gcpAuth is a login with an identity of Google Cloud: a JWT that a key of a
// service account signs here, for roles of type iam, or that the metadata
// service of the machine makes, for roles of type gce. The project and the
// location are not needed for either.
type gcpAuth struct {
	Path      string `json:"path"`
	Role      string `json:"role"`
	SecretRef *struct {
		Key selector `json:"secretAccessKeySecretRef"`
	} `json:"secretRef"`
	WorkloadIdentity json.RawMessage `json:"workloadIdentity"`
	ServiceAccount   json.RawMessage `json:"serviceAccountRef"`
}

const (
	// jwtLife is how long the JWT of a login holds. Vault allows fifteen minutes,
	// and a role may allow less.
	jwtLife = 5 * time.Minute
	// Where the metadata service of a machine of Google's is, unless the
	// environment says otherwise: by address, for a name could lead elsewhere.
	metadataAddress = "169.254.169.254"
	envMetadata     = "GCE_METADATA_HOST"
	// Without this header it answers nobody, for no browser sends it.
	metadataHeader, metadataFlavor = "Metadata-Flavor", "Google"
	// maxKey is the longest private key that is used, in bytes. Those that Google
	// makes have about 1,200, and one of 4,096 bits has 2,400. With one of 37,000 a
	// single signature takes a minute, which no context ends.
	maxKey = 4096
)

// gcp returns a login in the order of External Secrets Operator: a key, Workload
// Identity, a service account, the controller itself.
func (l *logins) gcp(ctx context.Context, a gcpAuth) (method, error) {
	field := l.where + ".auth.gcp"
	path, err := loginPath(field+".path", a.Path, "gcp")
	if err != nil {
		return method{}, err
	}
	m := method{path: path, role: strings.TrimSpace(a.Role)}
	if m.role == "" {
		return method{}, backend.Errorf(backend.InvalidRef, "%s.role is missing", field)
	}
	var token func(context.Context) (string, error)
	switch {
	case a.SecretRef != nil:
		token, m.identity, err = l.gcpKey(ctx, field+".secretRef.secretAccessKeySecretRef", a.SecretRef.Key, m.role)
	case isSet(a.WorkloadIdentity):
		err = backend.Errorf(backend.InvalidRef,
			"%s.workloadIdentity is not supported: which account of Google Cloud it stands for is said by an annotation that Lockstep does not read: use secretRef, or a login of kind jwt with kubernetesServiceAccountToken", field)
	case isSet(a.ServiceAccount):
		err = backend.Errorf(backend.InvalidRef,
			"%s.serviceAccountRef is not supported: External Secrets Operator logged in as itself with it. Use secretRef, or a login of kind jwt with kubernetesServiceAccountToken; a ClusterSecretStore that leaves it out logs in as Lockstep itself", field)
	case !l.trusted:
		err = backend.Errorf(backend.InvalidRef, "%s needs secretRef: only a ClusterSecretStore may log in as Lockstep itself", field)
	default:
		m.identity = []backend.Value{textValue("the controller on Google Cloud")}
		token = func(ctx context.Context) (string, error) { return machineToken(ctx, l.http, m.role) }
	}
	if err != nil {
		return method{}, err
	}
	m.identity = append(m.identity, textValue("gcp"))
	m.material = func(ctx context.Context) (map[string]string, error) {
		text, err := token(ctx)
		if err != nil {
			return nil, err
		}
		return map[string]string{"role": m.role, "jwt": text}, nil
	}
	return m, nil
}

// gcpKey is the login of a service account whose key is in a Secret. Nobody else
// is asked for it: Vault gets the public half from Google.
func (l *logins) gcpKey(ctx context.Context, field string, s selector, role string) (func(context.Context) (string, error), []backend.Value, error) {
	text, err := l.secret(ctx, field, s, "")
	if err != nil {
		return nil, nil, err
	}
	var file struct {
		Type  string `json:"type"`
		Email string `json:"client_email"`
		ID    string `json:"private_key_id"`
		Key   string `json:"private_key"`
	}
	if json.Unmarshal(text.Reveal(), &file) != nil || file.Type != "service_account" || file.Email == "" || file.ID == "" { // its text may quote the key
		return nil, nil, backend.Errorf(backend.Unauthenticated, "%s is not the key of a service account of Google Cloud as JSON", field)
	}
	key := rsaKey(file.Key)
	if key == nil {
		return nil, nil, backend.Errorf(backend.Unauthenticated, "%s has no RSA key in PEM in it", field)
	}
	return func(context.Context) (string, error) {
		signer, err := jose.NewSigner(
			jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: file.ID}}, (&jose.SignerOptions{}).WithType("JWT"))
		if err != nil { // its text may quote the key
			return "", unsigned(field)
		}
		now := time.Now()
		out, err := jwt.Signed(signer).Claims(jwt.Claims{
			Issuer: file.Email, Subject: file.Email, Audience: jwt.Audience{"vault/" + role},
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(jwtLife)),
		}).Serialize()
		if err != nil {
			return "", unsigned(field)
		}
		return out, nil
	}, []backend.Value{text}, nil
}

func unsigned(field string) error {
	return backend.Errorf(backend.Unauthenticated, "%s has a key that signs nothing", field)
}

// rsaKey reads a private key in either of its two forms. It returns nil where
// there is none, and for one of a size that nobody has.
func rsaKey(text string) *rsa.PrivateKey {
	block, _ := pem.Decode([]byte(text))
	if block == nil || len(block.Bytes) > maxKey {
		return nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	key, _ := parsed.(*rsa.PrivateKey)
	return key
}

// machineToken is the token of the machine that this process runs on.
func machineToken(ctx context.Context, c *http.Client, role string) (string, error) {
	u := url.URL{
		Scheme: "http", Host: cmp.Or(os.Getenv(envMetadata), metadataAddress),
		Path:     "/computeMetadata/v1/instance/service-accounts/default/identity",
		RawQuery: url.Values{"audience": {"http://vault/" + role}, "format": {"full"}}.Encode(),
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return "", backend.Errorf(backend.Unauthenticated, "%s is not the address of a metadata service", envMetadata)
	}
	r.Header.Set(metadataHeader, metadataFlavor)
	text, err := fetch(c, r, "the metadata service of Google Cloud")
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if !inHeader(token) || strings.Count(token, ".") != 2 {
		return "", backend.Errorf(backend.Unavailable, "the metadata service of Google Cloud gave an answer that cannot be read")
	}
	return token, nil
}
