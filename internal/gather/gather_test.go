// SPDX-License-Identifier: Apache-2.0

package gather_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/gather"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func secret(namespace, name string, kv ...string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"of": namespace}}, Data: map[string][]byte{}}
	for i := 0; i < len(kv); i += 2 {
		s.Data[kv[i]] = []byte(kv[i+1])
	}
	return s
}

var files = gather.Files{
	secret("team", "login", "password", "mine"),
	secret("victim", "login", "password", "theirs"),
	&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "ca"}, Data: map[string]string{"ca.crt": "pem"}},
	&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "victim", Name: "ca"}, Data: map[string]string{"ca.crt": "theirs"}},
}

func gatherer() gather.Gatherer { return gather.Gatherer{Live: files, Cached: files} }

// Rows 1 to 3: a store of a namespace reads nothing of another one.
func TestCredentialsStayInTheirNamespace(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		store  spec.Store
		in     string
		want   string // of the password; "" where it is refused
		code   backend.Code
	}{
		"Own":             {reason: "its own namespace", store: spec.Store{Namespace: "team"}, want: "mine"},
		"OwnByName":       {reason: "its own namespace, by name", store: spec.Store{Namespace: "team"}, in: "team", want: "mine"},
		"Another":         {reason: "another one is refused before anything is read", store: spec.Store{Namespace: "team"}, in: "victim", code: backend.InvalidRef},
		"Operator":        {reason: "the operator's store says where", store: spec.Store{Namespace: "team", Shared: true}, in: "victim", want: "theirs"},
		"OperatorDefault": {reason: "or leaves it to who uses it", store: spec.Store{Namespace: "team", Shared: true}, want: "mine"},
		"Nowhere":         {reason: "nobody uses it yet, so nobody knows", store: spec.Store{Shared: true}, code: backend.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			creds, err := gatherer().Credentials(tc.store).In(tc.in)
			if backend.CodeOf(err) != tc.code {
				t.Fatalf("%s: got %v, want %q", tc.reason, err, tc.code)
			}
			if err != nil {
				return
			}
			v, err := creds.Secret(t.Context(), "login", "password")
			if err != nil || string(v.Reveal()) != tc.want {
				t.Errorf("%s: got %s, %v", tc.reason, v.Reveal(), err)
			}
			all, err := creds.All(t.Context(), "login")
			if err != nil || string(all.Fields["password"].Reveal()) != tc.want || all.Labels["of"] == "" {
				t.Errorf("the whole Secret: %v, %v", all.Labels, err)
			}
		})
	}
}

func TestCredentialsMissing(t *testing.T) {
	creds := gatherer().Credentials(spec.Store{Namespace: "team"})
	for what, get := range map[string]func() error{
		`Secret "none" does not exist in namespace "team"`: func() error { _, err := creds.Secret(t.Context(), "none", "k"); return err },
		`Secret "login" has no key "k"`:                    func() error { _, err := creds.Secret(t.Context(), "login", "k"); return err },
		`Secret "gone" does not exist`:                     func() error { _, err := creds.All(t.Context(), "gone"); return err },
		`ConfigMap "none" does not exist`:                  func() error { _, err := creds.ConfigMap(t.Context(), "none", "k"); return err },
		`ConfigMap "ca" has no key "k"`:                    func() error { _, err := creds.ConfigMap(t.Context(), "ca", "k"); return err },
	} {
		if err := get(); backend.CodeOf(err) != backend.NotFound || !strings.HasPrefix(err.Error(), what) {
			t.Errorf("got %v, want %s", err, what)
		}
	}
	if _, _, err := creds.Token(t.Context(), "sa", nil); backend.CodeOf(err) != backend.PermissionDenied {
		t.Errorf("without the power to mint tokens: %v", err)
	}
}

type store struct {
	metav1.PartialObjectMetadata
}

func TestInputs(t *testing.T) {
	all := append(gather.Files{
		&store{metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "s"}}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team", Labels: map[string]string{"env": "dev"}}},
		secret("team", "target", "k", "v"),
	}, files...)
	g := gather.Gatherer{Live: all, Cached: all}
	kinds := gather.Stores{"Store": {
		New: func() client.Object { return &store{} },
		Read: func(o client.Object, ns spec.Namespace) spec.Store {
			return spec.Store{Driver: o.GetName(), Namespace: ns.Name, Revision: ns.Labels["env"]}
		},
	}}
	here, gone := spec.StoreKey{Kind: "Store", Namespace: "team", Name: "s"}, spec.StoreKey{Kind: "Store", Namespace: "team", Name: "gone"}
	cm, no := spec.Source{Kind: "ConfigMap", Name: "ca"}, spec.Source{Kind: "Secret", Name: "none"}
	s := spec.Spec{
		Object:  spec.Object{Namespace: "team"},
		Entries: []spec.Entry{{Store: here}, {Store: here}, {Store: gone}},
		Target: spec.Target{Namespace: "team", Name: "target", Program: &spec.Program{
			From: []spec.TemplateFrom{{Source: cm}, {Source: no}, {Source: spec.Source{Kind: "Secret", Name: "login"}}},
		}},
	}
	in, err := g.Inputs(t.Context(), s, kinds, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[spec.StoreKey]spec.Store{here: {Driver: "s", Namespace: "team", Revision: "dev"}}, in.Stores); diff != "" {
		t.Errorf("what is not there is left out: -want, +got:\n%s", diff)
	}
	if in.Current == nil || string(in.Current.Data["k"].Reveal()) != "v" {
		t.Errorf("current is %v", in.Current)
	}
	if len(in.Sources) != 2 || string(in.Sources[cm]["ca.crt"].Reveal()) != "pem" {
		t.Errorf("templates come from the object's namespace, and what is not there is left out: %v", in.Sources)
	}
}
