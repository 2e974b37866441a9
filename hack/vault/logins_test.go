// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Every login method gives a token of its role's policies for the right
// credentials and none for wrong ones. What stands behind a method in real
// life is pretended here; Vault's side is Vault's.
func TestLogins(t *testing.T) {
	v := start(t)
	for _, kind := range []string{"approle", "aws", "cert", "gcp", "jwt", "kubernetes", "ldap", "oidc", "userpass"} {
		v.write(t, "sys/auth/"+kind, object{"type": kind})
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	kube, kubeCA := tokenReviews(t)
	ldap, sts := ldapServer(t), stsServer(t)
	role := func(o object) object { o["token_policies"] = "reader"; return o }

	v.write(t, "auth/userpass/users/ann", role(object{"password": "right"}))
	v.write(t, "auth/ldap/config", object{"url": "ldap://" + ldap, "userdn": "ou=people", "userattr": "cn"})
	v.write(t, "auth/ldap/users/ann", object{"policies": "reader"})
	v.write(t, "auth/jwt/config", object{"jwt_validation_pubkeys": publicPEM(t, key)})
	v.write(t, "auth/jwt/role/app", role(object{"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault"}))
	v.write(t, "auth/kubernetes/config", object{"kubernetes_host": kube, "kubernetes_ca_cert": kubeCA, "disable_local_ca_jwt": true})
	v.write(t, "auth/kubernetes/role/app", role(object{"bound_service_account_names": "app", "bound_service_account_namespaces": "shop", "audience": "vault"}))
	v.write(t, "auth/aws/config/client", object{"sts_endpoint": sts, "iam_endpoint": sts})
	v.write(t, "auth/aws/role/app", role(object{"auth_type": "iam", "bound_iam_principal_arn": "arn:aws:iam::111122223333:role/app", "resolve_aws_unique_ids": false}))

	cases := map[string]struct {
		path         string
		right, wrong object
	}{
		"userpass": {"auth/userpass/login/ann", object{"password": "right"}, object{"password": "wrong"}},
		"ldap":     {"auth/ldap/login/ann", object{"password": "right"}, object{"password": "wrong"}},
		"jwt": {
			"auth/jwt/login",
			object{"role": "app", "jwt": token(t, key, "ann", "vault")},
			object{"role": "app", "jwt": token(t, key, "ann", "somebody else")},
		},
		"kubernetes": {
			"auth/kubernetes/login",
			object{"role": "app", "jwt": token(t, key, "app", "vault")},
			object{"role": "app", "jwt": token(t, key, "other", "vault")},
		},
		"aws": {"auth/aws/login", awsLogin(t, "AKIARIGHT"), awsLogin(t, "AKIAWRONG")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			status, answer := v.ask(t, "", http.MethodPost, c.path, c.right)
			policies := fmt.Sprint(at(answer, "auth.policies"))
			if status != http.StatusOK || policies != "[default reader]" {
				t.Errorf("right: %d %v %v", status, policies, answer["errors"])
			}
			if status, _ := v.ask(t, "", http.MethodPost, c.path, c.wrong); status < 400 {
				t.Errorf("wrong: %d", status)
			}
		})
	}
}

// A certificate logs in; with -mtls no one else even connects; a SIGHUP
// replaces the authority.
func TestTLS(t *testing.T) {
	v := start(t, "-tls-dir", t.TempDir())
	ca, err := os.ReadFile(v.CA)
	if err != nil {
		t.Fatal(err)
	}
	v.write(t, "sys/auth/cert", object{"type": "cert"})
	v.write(t, "auth/cert/certs/app", object{"certificate": string(ca), "allowed_common_names": "client", "token_policies": "reader"})
	if status, answer := v.ask(t, "", http.MethodPost, "auth/cert/login", nil); status != http.StatusOK {
		t.Errorf("login with a certificate: %d %v", status, answer["errors"])
	}
	certified, before := v.http, v.tls(t, false)
	v.http = &http.Client{Transport: &http.Transport{TLSClientConfig: before}}
	if status, _ := v.ask(t, "", http.MethodPost, "auth/cert/login", nil); status != http.StatusBadRequest {
		t.Errorf("login without a certificate: %d", status)
	}

	if err := v.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	v.read(t)
	for name, c := range map[string]*http.Client{"idle": v.http, "certified": certified} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.Address+"/v1/sys/health", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := c.Do(req); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s: the old authority is still trusted", name)
		}
	}
	v.http = &http.Client{Transport: &http.Transport{TLSClientConfig: v.tls(t, false)}}
	if status, _ := v.ask(t, root, http.MethodGet, "sys/mounts", nil); status != http.StatusOK {
		t.Errorf("with the new authority: %d", status)
	}

	strict := start(t, "-tls-dir", t.TempDir(), "-mtls")
	if status, _ := strict.ask(t, root, http.MethodGet, "sys/mounts", nil); status != http.StatusOK {
		t.Errorf("with a certificate: %d", status)
	}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(strict.Address, "https://"), strict.tls(t, false))
	if err == nil {
		_, err = conn.Read(make([]byte, 1)) // TLS 1.3 hears of it now
		_ = conn.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %v", err)
	}
}

func publicPEM(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// token is a JWT as a service account's token is one.
func token(t *testing.T, key *ecdsa.PrivateKey, account, audience string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jwt.Signed(signer).Claims(object{
		"iss": "kubernetes/serviceaccount", "sub": account, "aud": []string{audience},
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"kubernetes.io": object{"namespace": "shop", "serviceaccount": object{"name": account, "uid": "1"}},
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tokenReviews is the part of a Kubernetes API that Vault asks: it knows the
// service account of any token. It returns its address and its certificate.
func tokenReviews(t *testing.T) (address, ca string) {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Spec struct {
				Token     string
				Audiences []string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Error(err)
		}
		parts := strings.Split(review.Spec.Token, ".")
		claims, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Error(err)
		}
		var c struct{ Sub string }
		if err := json.Unmarshal(claims, &c); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(object{"status": object{
			"authenticated": true, "audiences": review.Spec.Audiences,
			"user": object{"username": "system:serviceaccount:shop:" + c.Sub, "uid": "1"},
		}})
	}))
	t.Cleanup(srv.Close)
	return srv.URL, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
}

// stsServer answers GetCallerIdentity for one access key.
func stsServer(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=AKIARIGHT/") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult>`+
			`<Arn>arn:aws:sts::111122223333:assumed-role/app/session</Arn><UserId>AROAX:session</UserId><Account>111122223333</Account>`+
			`</GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// awsLogin wraps a request to STS; the stand-in looks at the key only.
func awsLogin(t *testing.T, accessKey string) object {
	t.Helper()
	headers, err := json.Marshal(http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=" + accessKey + "/20260101/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=0"}})
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	return object{
		"role": "app", "iam_http_request_method": http.MethodPost,
		"iam_request_url":     encode([]byte("https://sts.amazonaws.com/")),
		"iam_request_body":    encode([]byte("Action=GetCallerIdentity&Version=2011-06-15")),
		"iam_request_headers": encode(headers),
	}
}

// ldapServer takes simple binds of cn=ann with the password "right".
func ldapServer(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveBinds(conn)
		}
	}()
	return listener.Addr().String()
}

// Of LDAP (RFC 4511) this knows BindRequest, and its answer.
const (
	bindRequest, bindResponse  = 0, 1
	success, badCredentials    = 0, 49
	messageID, operation       = 0, 1 // of a message
	bindName, bindSimplePasswd = 1, 2 // of a bind request
)

func serveBinds(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		message, err := ber.ReadPacket(conn)
		if err != nil || len(message.Children) < 2 || message.Children[operation].Tag != bindRequest {
			return
		}
		bind, code := message.Children[operation], badCredentials
		if bind.Children[bindName].Data.String() == "cn=ann,ou=people" && bind.Children[bindSimplePasswd].Data.String() == "right" {
			code = success
		}
		answer := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
		answer.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, message.Children[messageID].Value, ""))
		body := ber.Encode(ber.ClassApplication, ber.TypeConstructed, bindResponse, nil, "")
		body.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
		for range 2 { // matched name, message
			body.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
		}
		answer.AppendChild(body)
		if _, err := conn.Write(answer.Bytes()); err != nil {
			return
		}
	}
}
