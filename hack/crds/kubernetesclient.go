// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// branch is one group of backends that share what they require of a spec.
type branch struct {
	backends []string
	required []string
}

// branches must neither overlap nor leave out a backend: exactly one of them
// has to match. Their number and order show in the API server's message when
// backendType is missing, and people search for that message.
var branches = []branch{
	{backends: []string{"secretsManager", "systemManager"}},
	{backends: []string{"vault"}},
	{backends: []string{"azureKeyVault"}, required: []string{"keyVaultName"}},
	{backends: []string{"gcpSecretsManager"}},
	{backends: []string{"alicloudSecretsManager"}},
	{backends: []string{"ibmcloudSecretsManager"}},
	{backends: []string{"akeyless"}},
}

// kubernetesClientExternalSecret adds the rules between fields: what each
// backend requires, that there is something to read, and that an item names
// either one value or a path.
func kubernetesClientExternalSecret(crd *apiextensionsv1.CustomResourceDefinition) error {
	for i := range crd.Spec.Versions {
		root := crd.Spec.Versions[i].Schema.OpenAPIV3Schema
		if err := change(root, "spec", addSpecRules); err != nil {
			return err
		}
	}
	return nil
}

func addSpecRules(spec *apiextensionsv1.JSONSchemaProps) error {
	for _, b := range branches {
		values, err := enum(b.backends)
		if err != nil {
			return err
		}
		spec.OneOf = append(spec.OneOf, apiextensionsv1.JSONSchemaProps{
			Properties: map[string]apiextensionsv1.JSONSchemaProps{"backendType": {Enum: values}},
			Required:   b.required,
		})
	}
	spec.AnyOf = []apiextensionsv1.JSONSchemaProps{
		{Required: []string{"data"}},
		{Required: []string{"dataFrom"}},
		{Required: []string{"dataFromWithOptions"}},
	}
	return change(spec, "data", addItemRules)
}

func addItemRules(data *apiextensionsv1.JSONSchemaProps) error {
	if data.Items == nil || data.Items.Schema == nil {
		return errors.New("data is not a list")
	}
	data.Items.Schema.OneOf = []apiextensionsv1.JSONSchemaProps{
		{Required: []string{"key", "name"}},
		{Required: []string{"path"}},
	}
	return nil
}

// change applies f to a property of s and puts the result back.
func change(s *apiextensionsv1.JSONSchemaProps, name string, f func(*apiextensionsv1.JSONSchemaProps) error) error {
	p, ok := s.Properties[name]
	if !ok {
		return fmt.Errorf("no property %s", name)
	}
	if err := f(&p); err != nil {
		return err
	}
	s.Properties[name] = p
	return nil
}

func enum(values []string) ([]apiextensionsv1.JSON, error) {
	out := make([]apiextensionsv1.JSON, 0, len(values))
	for _, v := range values {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		out = append(out, apiextensionsv1.JSON{Raw: raw})
	}
	return out, nil
}
