// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backend/backendtest"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// secrets are the Secrets of one namespace, "own", by name/key.
type secrets map[string]string

func (s secrets) In(namespace string) (backend.Credentials, error) {
	if namespace != "" && namespace != "own" {
		return nil, backend.Errorf(backend.InvalidRef, "another namespace")
	}
	return s, nil
}

func (s secrets) All(context.Context, string) (backend.Secret, error) {
	return backend.Secret{}, backend.Errorf(backend.NotFound, "none")
}

func (s secrets) Secret(_ context.Context, name, key string) (backend.Value, error) {
	if name == "broken" {
		return backend.Value{}, backend.Errorf(backend.Unavailable, "no answer")
	}
	if v, ok := s[name+"/"+key]; ok {
		return text(v), nil
	}
	return backend.Value{}, backend.Errorf(backend.NotFound, "none")
}

func (s secrets) ConfigMap(context.Context, string, string) (string, error) {
	return "", backend.Errorf(backend.NotFound, "none")
}

func (s secrets) Token(context.Context, string, []string) (backend.Value, time.Time, error) {
	return backend.Value{}, time.Time{}, backend.Errorf(backend.NotFound, "none")
}

// manifest is spec.provider.ibm with an API key out of a Secret.
func manifest(url, iam, name, namespace string) string {
	raw, _ := json.Marshal(map[string]any{"serviceUrl": url, "auth": map[string]any{"secretRef": map[string]any{
		"iamEndpoint": iam, "secretApiKeySecretRef": map[string]string{"name": name, "key": "apikey", "namespace": namespace},
	}}})
	return string(raw)
}

// contained is spec.provider.ibm with a trusted profile.
func contained(url, iam, profile, place string) string {
	raw, _ := json.Marshal(map[string]any{"serviceUrl": url, "auth": map[string]any{"containerAuth": map[string]string{
		"profile": profile, "iamEndpoint": iam, "tokenLocation": place,
	}}})
	return string(raw)
}

// openStore opens a store of a manifest.
func openStore(ctx context.Context, t testing.TB, raw string, s secrets) (backend.Backend, backend.Identity, error) {
	t.Helper()
	b, id, err := Open(ctx, backend.Config{Raw: []byte(raw), Fingerprint: fingerprint}, s, &http.Client{Transport: &http.Transport{}})
	if err == nil {
		t.Cleanup(func() { _ = b.Close() })
	}
	return b, id, err
}

func TestReadStore(t *testing.T) {
	const (
		host = "https://guid.eu-de.secrets-manager.appdomain.cloud"
		kept = " is not an address of IBM Cloud "
	)
	all := secrets{"s/apikey": goodKey + "\n", "empty/apikey": "", "odd/apikey": "{canary}"}
	type login struct {
		Endpoint, Kind, IAM, Key, Profile string
		Files                             []string
	}
	byKey := login{Endpoint: host, Kind: "iam", IAM: publicIAM, Key: goodKey}
	byPod := login{Endpoint: host, Kind: "container", IAM: publicIAM, Profile: "p", Files: crTokenFiles}
	with := func(l login, change func(*login)) login { change(&l); return l }
	cases := map[string]struct {
		reason string
		raw    string
		want   login
		code   backend.Code
		err    string
	}{
		"Key":        {reason: "the usual", raw: manifest(host, "", "s", ""), want: byKey},
		"KeySpace":   {reason: "says the same", raw: manifest(host+"/api/", "", "s", "own"), want: byKey},
		"KeyIAM":     {reason: "private IAM", raw: manifest(host, "https://private.iam.cloud.ibm.com", "s", ""), want: with(byKey, func(l *login) { l.IAM = "https://private.iam.cloud.ibm.com" })},
		"KeyProxy":   {reason: "the key is the tenant's own, to send anywhere", raw: manifest("https://proxy.example/ibm", "https://iam.example", "s", ""), want: with(byKey, func(l *login) { l.Endpoint, l.IAM = "https://proxy.example/ibm", "https://iam.example" })},
		"KeyNowhere": {reason: "not there", raw: manifest(host, "", "gone", ""), code: backend.Unauthenticated, err: "there is no key apikey in Secret gone, which ibm.auth.secretRef.secretApiKeySecretRef names"},
		"KeyOther":   {reason: "a tenant's store reads its own namespace", raw: manifest(host, "", "s", "other"), code: backend.InvalidRef, err: "another namespace"},
		"KeyNoName":  {reason: "which Secret", raw: manifest(host, "", "", ""), code: backend.InvalidRef, err: "ibm.auth.secretRef.secretApiKeySecretRef needs name and key"},
		"KeyEmpty":   {reason: "no key", raw: manifest(host, "", "empty", ""), code: backend.Unauthenticated, err: "ibm.auth.secretRef.secretApiKeySecretRef is not set: give the controller an IBM Cloud API key with the role SecretsReader"},
		"KeyOdd":     {reason: "a template that nobody filled in", raw: manifest(host, "", "odd", ""), code: backend.Unauthenticated, err: "ibm.auth.secretRef.secretApiKeySecretRef is not an API key: it begins or ends with a brace or a quotation mark"},
		"KeyLater":   {reason: "the cluster does not answer", raw: manifest(host, "", "broken", ""), code: backend.Unavailable, err: "no answer"},
		"Plain":      {reason: "anybody on the way reads it", raw: manifest("http://sm.example", "", "s", ""), code: backend.InvalidRef, err: "ibm.serviceUrl has to begin with https:"},
		"PlainIAM":   {reason: "as above", raw: manifest(host, "http://iam.example", "s", ""), code: backend.InvalidRef, err: "ibm.auth's iamEndpoint has to begin with https:"},
		"PlainName":  {reason: "a name may be anybody", raw: manifest("http://localhost", "", "s", ""), code: backend.InvalidRef, err: "ibm.serviceUrl has to begin with https:"},
		"User":       {reason: "a password does not belong there", raw: manifest("https://u:canary@sm.example", "", "s", ""), code: backend.InvalidRef, err: "ibm.serviceUrl is not a URL such as https://example.com"},
		"NoURL":      {reason: "nobody to ask", raw: manifest("", "", "s", ""), code: backend.InvalidRef, err: "ibm.serviceUrl is not set: give the store the URL of the Secrets Manager instance"},
		"NoAuth":     {reason: "never anonymous", raw: `{"serviceUrl":"` + host + `","auth":{}}`, code: backend.InvalidRef, err: "ibm.auth needs exactly one of secretRef and containerAuth"},
		"BothAuth":   {reason: "which one", raw: `{"serviceUrl":"` + host + `","auth":{"secretRef":{},"containerAuth":{"profile":"p"}}}`, code: backend.InvalidRef, err: "ibm.auth needs exactly one of secretRef and containerAuth"},
		"Type":       {reason: "what the schema refuses as well", raw: `{"serviceUrl":5}`, code: backend.InvalidRef, err: "ibm.serviceUrl has the wrong type"},
		"Broken":     {reason: "no JSON", raw: `{canary`, code: backend.InvalidRef, err: "the settings of ibm cannot be read"},

		"Pod":      {reason: "IBM's own places", raw: contained(host, "", "p", ""), want: byPod},
		"PodPlace": {reason: "one of them", raw: contained(host, "", "p", crTokenFiles[1]), want: with(byPod, func(l *login) { l.Files = crTokenFiles[1:2] })},
		"PodPrivate": {reason: "private endpoints", raw: contained("https://guid.private.eu-de.secrets-manager.appdomain.cloud", "https://private.iam.cloud.ibm.com", "p", ""), want: with(byPod, func(l *login) {
			l.Endpoint, l.IAM = "https://guid.private.eu-de.secrets-manager.appdomain.cloud", "https://private.iam.cloud.ibm.com"
		})},
		"PodNobody":   {reason: "as whom", raw: contained(host, "", "", ""), code: backend.InvalidRef, err: "ibm.auth.containerAuth.profile is not set: containerAuth needs a trusted profile"},
		"PodFile":     {reason: "the controller's own token", raw: contained(host, "", "p", "/var/run/secrets/kubernetes.io/serviceaccount/token"), code: backend.InvalidRef, err: "ibm.auth.containerAuth.tokenLocation is not one of the places where a store may have the token: " + strings.Join(crTokenFiles, ", ")},
		"PodUp":       {reason: "a place that only begins like one", raw: contained(host, "", "p", crTokenFiles[0]+"/../../../kubernetes.io/serviceaccount/token"), code: backend.InvalidRef, err: "ibm.auth.containerAuth.tokenLocation is not one of the places where a store may have the token: " + strings.Join(crTokenFiles, ", ")},
		"PodIAM":      {reason: "the pod's token would be somebody else's", raw: contained(host, "https://iam.example", "p", ""), code: backend.InvalidRef, err: "ibm.auth's iamEndpoint" + kept + "IAM, to which alone the controller shows its own token"},
		"PodIAMLike":  {reason: "as above", raw: contained(host, "https://eviliam.cloud.ibm.com", "p", ""), code: backend.InvalidRef, err: "ibm.auth's iamEndpoint" + kept + "IAM, to which alone the controller shows its own token"},
		"PodURL":      {reason: "IAM's token would be somebody else's", raw: contained("https://sm.example", "", "p", ""), code: backend.InvalidRef, err: "ibm.serviceUrl" + kept + "Secrets Manager, to which alone containerAuth logs in; use secretRef for another one"},
		"PodURLBelow": {reason: "as above", raw: contained("https://secrets-manager.appdomain.cloud.evil.example", "", "p", ""), code: backend.InvalidRef, err: "ibm.serviceUrl" + kept + "Secrets Manager, to which alone containerAuth logs in; use secretRef for another one"},
		"PodPlain":    {reason: "anybody on the way reads it", raw: contained("http"+host[len("https"):], "", "p", ""), code: backend.InvalidRef, err: "ibm.serviceUrl has to begin with https:"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := readConfig(t.Context(), backend.Config{Raw: []byte(c.raw)}, all)
			if c.err != "" {
				failed(t, err, c.code, c.err)
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			is := login{got.endpoint, got.kind, got.iam, string(got.apiKey.Reveal()), got.profile.name, got.tokenFiles}
			if diff := cmp.Diff(c.want, is); diff != "" || got.rate != rate {
				t.Errorf("%s: rate %d, -want +got\n%s", c.reason, got.rate, diff)
			}
		})
	}
}

// TestStoreConformance holds stores of a manifest to the contract.
func TestStoreConformance(t *testing.T) {
	backendtest.Run(t, func(t testing.TB) backendtest.Harness {
		s := newStore(t)
		h := s.harness()
		h.Name = "ibm by manifest"
		h.Open = func(ctx context.Context, l backendtest.Login) (backend.Backend, backend.Identity, error) {
			name := map[backendtest.Login]string{backendtest.Same: "good", backendtest.Other: "other", backendtest.Refused: "unknown", backendtest.Missing: "gone"}[l]
			return openStore(ctx, t, manifest(s.http.URL, s.http.URL, name, ""),
				secrets{"good/apikey": goodKey, "other/apikey": otherKey, "unknown/apikey": unknownKey})
		}
		b, _, err := h.Open(t.Context(), backendtest.Same)
		if err != nil {
			t.Fatal(err)
		}
		h.Backend = b
		return h
	})
}

// TestStoreIdentity: a tenant's store does not get the operator's connection.
func TestStoreIdentity(t *testing.T) {
	w := start(t, ibmsm.Options{})
	_, tenant, err := openStore(t.Context(), t, manifest(w.http.URL, w.http.URL, "s", ""), secrets{"s/apikey": goodKey})
	if err != nil {
		t.Fatal(err)
	}
	b, operator, err := Open(t.Context(), backend.Config{Env: backend.NewEnv(w.env(nil)), Fingerprint: fingerprint}, nil, &http.Client{Transport: &http.Transport{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if tenant.Login == operator.Login || tenant.Quota != operator.Quota {
		t.Errorf("logins %q and %q, quotas %q and %q", tenant.Login, operator.Login, tenant.Quota, operator.Quota)
	}
}

// TestStoreWords: messages name what the store's author has written.
func TestStoreWords(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b, _, err := openStore(t.Context(), t, manifest(w.http.URL, w.http.URL, "s", ""), secrets{"s/apikey": unknownKey})
	if err != nil {
		t.Fatal(err)
	}
	failed(t, b.Checker.Check(t.Context()), backend.Unauthenticated,
		"IBM Cloud IAM refuses the API key (400): check ibm.auth.secretRef.secretApiKeySecretRef")
	b, _, err = openStore(t.Context(), t, manifest(w.http.URL+"/nowhere", w.http.URL, "s", ""), secrets{"s/apikey": goodKey})
	if err != nil {
		t.Fatal(err)
	}
	_, err = read(t.Context(), b, backend.Ref{Path: someID, Kind: typeArbitrary})
	failed(t, err, backend.Unavailable,
		"IBM Cloud Secrets Manager answers 404 and does not say that there is no arbitrary "+someID+": check ibm.serviceUrl")
}

// TestStoreContainer logs in with the pod's token.
func TestStoreContainer(t *testing.T) {
	w := trusted(t, nil)
	ref := w.arbitrary("p")
	b, _, err := openStore(t.Context(), t, contained(w.http.URL, w.http.URL, "lockstep", crTokenFiles[0]), nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Checker.(*login).config.tokenFiles = []string{file(t, "")}
	_, err = read(t.Context(), b, ref)
	failed(t, err, backend.Unauthenticated, "ibm.auth.containerAuth.tokenLocation names an empty file")
	b.Checker.(*login).config.tokenFiles = []string{file(t, podToken)}
	mustRead(t, b, ref)
}

// TestStoreFind: what a listing finds can be read as the manifest of ESO reads
// it.
func TestStoreFind(t *testing.T) {
	w := start(t, ibmsm.Options{})
	w.seed(ibmsm.Seed{Name: "db-a", Group: "team"})
	w.seed(ibmsm.Seed{Name: "db-b", Group: "team", Type: typeKV, Fields: map[string]any{"data": map[string]any{"k": "v"}}})
	w.seed(ibmsm.Seed{Name: "web", Group: "team"})
	w.mutating("db-key")
	b, _, err := openStore(t.Context(), t, manifest(w.http.URL, w.http.URL, "s", ""), secrets{"s/apikey": goodKey})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for f, err := range b.Finder.Find(t.Context(), backend.Query{Path: "team", Name: "^db-"}) {
		if err != nil {
			t.Fatal(err)
		}
		s, err := read(t.Context(), b, f.Ref)
		if err != nil {
			t.Fatal(err)
		}
		if s, err = view(backend.ESO, f.Ref, s); err != nil {
			t.Fatal(err)
		}
		got = append(got, f.Name+"="+string(s.Payload.Reveal()))
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"db-a=p", `db-b={"k":"v"}`}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestStoreVersions reads the versions that manifests ask for.
func TestStoreVersions(t *testing.T) {
	w := start(t, ibmsm.Options{})
	ref := w.arbitrary("old")
	if _, err := w.Rotate(ref.Path, map[string]any{"payload": "new"}); err != nil {
		t.Fatal(err)
	}
	b, _, err := openStore(t.Context(), t, manifest(w.http.URL, w.http.URL, "s", ""), secrets{"s/apikey": goodKey})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for v, err := range b.Versioner.Versions(t.Context(), ref) {
		if err != nil {
			t.Fatal(err)
		}
		ids[v.ID] = map[int]string{0: "new", 1: "old"}[len(ids)]
	}
	for version, want := range map[string]string{"": "new", "current": "new", "previous": "old"} {
		ids[version] = want
	}
	for version, want := range ids {
		for _, key := range []string{ref.Path, "default/arbitrary/some-secret"} {
			ref, err := parseRef(backend.ESO, backend.Key{Key: key, Version: version})
			if err != nil {
				t.Fatal(err)
			}
			s, err := read(t.Context(), b, ref)
			if err != nil || string(s.Payload.Reveal()) != want {
				t.Errorf("version %q of %s is not %q (error %v)", version, key, want, err)
			}
		}
	}
	unknown := backend.Ref{Path: ref.Path, Kind: typeArbitrary, Version: someID}
	if _, err := read(t.Context(), b, unknown); backend.CodeOf(err) != backend.NotFound {
		t.Errorf("an unknown version: %v", err)
	}
}
