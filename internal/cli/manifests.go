// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	esv1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	kesv1 "github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/controller"
)

// manifests are the objects of files.
type manifests struct {
	objects []client.Object
}

// kinds are those that are read, by apiVersion and kind.
var kinds = map[string]func() client.Object{
	kesv1.GroupVersion.String() + " ExternalSecret":         func() client.Object { return &kesv1.ExternalSecret{} },
	esv1.GroupVersion.String() + " ExternalSecret":          func() client.Object { return &esv1.ExternalSecret{} },
	esv1.GroupVersion.String() + " SecretStore":             func() client.Object { return &esv1.SecretStore{} },
	esv1.GroupVersion.String() + " ClusterSecretStore":      func() client.Object { return &esv1.ClusterSecretStore{} },
	esv1.GroupVersion.Group + "/v1beta1 ExternalSecret":     func() client.Object { return &esv1.ExternalSecret{} },
	esv1.GroupVersion.Group + "/v1beta1 SecretStore":        func() client.Object { return &esv1.SecretStore{} },
	esv1.GroupVersion.Group + "/v1beta1 ClusterSecretStore": func() client.Object { return &esv1.ClusterSecretStore{} },
	"v1 Secret":    func() client.Object { return &corev1.Secret{} },
	"v1 ConfigMap": func() client.Object { return &corev1.ConfigMap{} },
	"v1 Namespace": func() client.Object { return &corev1.Namespace{} },
}

// read returns the objects in the files.
func (s shell) read(files []string, namespace string) (*manifests, error) {
	m := &manifests{}
	for _, name := range files {
		in := s.in
		if name != "-" {
			f, err := os.Open(name) //nolint:gosec // the user names the file
			if err != nil {
				return nil, err
			}
			defer func() { _ = f.Close() }()
			in = f
		}
		if err := m.decode(in, name, namespace); err != nil {
			return nil, err
		}
	}
	for _, o := range m.objects {
		switch o.(type) {
		case *kesv1.ExternalSecret, *esv1.ExternalSecret:
			return m, nil
		}
	}
	return nil, fmt.Errorf("no ExternalSecret of %s or %s in the files", kesv1.GroupVersion, esv1.GroupVersion)
}

// decode reads the documents of one file.
func (m *manifests) decode(in io.Reader, name, namespace string) error {
	docs := utilyaml.NewYAMLReader(bufio.NewReader(in))
	for n := 1; ; n++ {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: document %d: %w", name, n, err)
		}
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			return fmt.Errorf("%s: document %d is not YAML", name, n)
		}
		make, ok := kinds[kind.APIVersion+" "+kind.Kind]
		if !ok {
			continue
		}
		obj := make()
		if err := yaml.Unmarshal(doc, obj); err != nil {
			return fmt.Errorf("%s: document %d: a field has the wrong type; compare it with kubectl explain %s.spec", name, n, strings.ToLower(kind.Kind))
		}
		m.add(obj, namespace)
	}
}

// add fills in what the API server would.
func (m *manifests) add(obj client.Object, namespace string) {
	m.objects = append(m.objects, obj)
	switch o := obj.(type) {
	case *corev1.Namespace, *esv1.ClusterSecretStore:
		return
	case *corev1.Secret:
		stored(o)
	}
	if obj.GetNamespace() == "" {
		obj.SetNamespace(namespace)
	}
}

// stored brings a Secret into the form in which it is stored.
func stored(s *corev1.Secret) {
	for k, v := range s.StringData {
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
	if s.Type == "" {
		s.Type = corev1.SecretTypeOpaque
	}
}

// of returns the objects of a dialect.
func (m *manifests) of(d controller.Dialect) []client.Object {
	var out []client.Object
	for _, o := range m.objects {
		if reflect.TypeOf(o) == reflect.TypeOf(d.New()) {
			out = append(out, o)
		}
	}
	return out
}

// fill replaces what a store is by what it holds, and takes the class away from
// all stores, since no other controller is here.
func (m *manifests) fill(contents []string) error {
	for _, o := range m.objects {
		if s := storeSpec(o); s != nil {
			s.Controller = ""
		}
	}
	for _, text := range contents {
		name, file, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("--contents: %q is not STORE=FILE", text)
		}
		b, err := os.ReadFile(file) //nolint:gosec // the user names the file
		if err != nil {
			return err
		}
		var data []struct {
			Key     string `json:"key"`
			Value   string `json:"value"`
			Version string `json:"version,omitempty"`
		}
		if err := yaml.UnmarshalStrict(b, &data); err != nil {
			return fmt.Errorf("--contents: %s is not a list of {key, value, version}", file)
		}
		raw, err := json.Marshal(map[string]any{"fake": map[string]any{"data": data}})
		if err != nil {
			return err
		}
		found := false
		for _, o := range m.objects {
			if s := storeSpec(o); s != nil && o.GetName() == name {
				found = true
				s.Provider = esv1.Provider{Raw: raw}
			}
		}
		if !found {
			return fmt.Errorf("--contents: no SecretStore or ClusterSecretStore %q in the files", name)
		}
	}
	return nil
}

// storeSpec returns the spec of a store, or nil of anything else.
func storeSpec(o client.Object) *esv1.SecretStoreSpec {
	switch s := o.(type) {
	case *esv1.SecretStore:
		return &s.Spec
	case *esv1.ClusterSecretStore:
		return &s.Spec
	}
	return nil
}
