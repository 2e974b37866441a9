// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// externalSecretsExternalSecret adds what a condition may be called, which is
// not so for stores although both have the same Go type, and v1beta1.
func externalSecretsExternalSecret(crd *apiextensionsv1.CustomResourceDefinition) error {
	for i := range crd.Spec.Versions {
		root := crd.Spec.Versions[i].Schema.OpenAPIV3Schema
		err := descend(root, []string{"status", "conditions", "[]", "type"}, func(s *apiextensionsv1.JSONSchemaProps) error {
			var err error
			s.Enum, err = enum([]string{"Ready", "Deleted"})
			return err
		})
		if err != nil {
			return err
		}
	}
	return serveBeta(crd)
}

// externalSecretsStore keeps what a store says of a product that we do not
// know, or do not know well enough: it is refused where a person sees it, in a
// condition, and not dropped in silence.
func externalSecretsStore(crd *apiextensionsv1.CustomResourceDefinition) error {
	for i := range crd.Spec.Versions {
		root := crd.Spec.Versions[i].Schema.OpenAPIV3Schema
		err := descend(root, []string{"spec", "provider"}, func(s *apiextensionsv1.JSONSchemaProps) error {
			keepUnknown(s)
			one := int64(1)
			s.MinProperties, s.MaxProperties = &one, &one
			keep := true
			s.XPreserveUnknownFields = &keep
			return nil
		})
		if err != nil {
			return err
		}
	}
	return serveBeta(crd)
}

// keepUnknown keeps unknown fields in every object at and below s but those
// that hold one of several fields: there, a field that nobody knows would count
// as one and refuse a manifest that used to be accepted.
func keepUnknown(s *apiextensionsv1.JSONSchemaProps) {
	if len(s.Properties) > 0 && s.MaxProperties == nil {
		keep := true
		s.XPreserveUnknownFields = &keep
	}
	for name, p := range s.Properties {
		keepUnknown(&p)
		s.Properties[name] = p
	}
	if s.Items != nil && s.Items.Schema != nil {
		keepUnknown(s.Items.Schema)
	}
}

// serveBeta serves the only version as v1beta1 also, as manifests from before
// External Secrets Operator 0.17 name it. The schema is the same, so nothing
// has to be converted.
func serveBeta(crd *apiextensionsv1.CustomResourceDefinition) error {
	if n := len(crd.Spec.Versions); n != 1 {
		return fmt.Errorf("has %d versions, want v1 only", n)
	}
	beta := *crd.Spec.Versions[0].DeepCopy()
	beta.Name = "v1beta1"
	beta.Storage = false
	beta.Deprecated = true
	warning := fmt.Sprintf("%[1]s/v1beta1 %[2]s is deprecated: write %[1]s/v1, which has the same fields",
		crd.Spec.Group, crd.Spec.Names.Kind)
	beta.DeprecationWarning = &warning
	crd.Spec.Versions = append(crd.Spec.Versions, beta)
	crd.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.NoneConverter}
	return nil
}

// descend applies f to what is below s at path, in which [] stands for the
// items of a list.
func descend(s *apiextensionsv1.JSONSchemaProps, path []string, f func(*apiextensionsv1.JSONSchemaProps) error) error {
	if len(path) == 0 {
		return f(s)
	}
	next := func(s *apiextensionsv1.JSONSchemaProps) error { return descend(s, path[1:], f) }
	if path[0] != "[]" {
		return change(s, path[0], next)
	}
	if s.Items == nil || s.Items.Schema == nil {
		return fmt.Errorf("not a list, before %v", path)
	}
	return next(s.Items.Schema)
}
