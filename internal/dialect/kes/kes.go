// SPDX-License-Identifier: Apache-2.0

// Package kes reads the manifests of Kubernetes External Secrets
// (kubernetes-client.io/v1) and words what happened the way its users know.
// It is pure. Everything that is peculiar to these manifests is here; what is
// peculiar to a secret manager is in its folder under backends/.
package kes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Settings are what the operator chose for all KES objects, by the environment
// variables that KES had.
type Settings struct {
	InstanceID string        // INSTANCE_ID
	Every      time.Duration // POLLER_INTERVAL_MILLISECONDS
	Pinned     bool          // DISABLE_POLLING
	// Enforce demands that namespaces carry the annotations: ENFORCE_NAMESPACE_ANNOTATIONS.
	Enforce          bool
	RoleAnnotation   string // ROLE_PERMITTED_ANNOTATION
	NamingAnnotation string // NAMING_PERMITTED_ANNOTATION
	// Env is the operator's environment. A backend sees only what its driver
	// lists.
	Env     backend.Env
	Drivers spec.Drivers
}

// inline is the kind of the one store that a KES object has.
const inline = "backendType"

// Managed reports whether this instance looks after the object.
func Managed(es *v1.ExternalSecret, set Settings) bool {
	return es.Spec.ControllerID == set.InstanceID
}

// Synced reports whether the status says that the object's present generation
// is in place.
func Synced(es *v1.ExternalSecret) bool {
	return before(es.Status.Status) == success && es.Status.ObservedGeneration == es.Generation
}

// Spec reads a manifest.
func Spec(es *v1.ExternalSecret, set Settings) spec.Spec {
	out := spec.Spec{
		Object: spec.Object{
			Dialect:    backend.KES,
			APIVersion: v1.GroupVersion.String(),
			Kind:       "ExternalSecret",
			Namespace:  es.Namespace,
			Name:       es.Name,
			UID:        string(es.UID),
			Generation: es.Generation,
		},
		Target:  spec.Target{Namespace: es.Namespace, Name: es.Name, Type: es.Spec.Type, Manager: "lockstep"},
		Syntax:  spec.Lodash,
		Refresh: spec.Refresh{Every: set.Every},
	}
	if set.Pinned {
		out.Refresh = spec.Refresh{Mode: spec.Pinned}
	}
	key := spec.StoreKey{Kind: inline, Name: string(es.Spec.BackendType)}
	if store, issue := store(es, set); issue != nil {
		out.Issues = append(out.Issues, *issue)
	} else {
		out.Stores = map[spec.StoreKey]spec.Store{key: store}
	}
	out.Entries = entries(es, key)
	out.Issues = append(out.Issues, unusable(es)...)
	template, issues := readTemplate(es)
	out.Target.Template = template.Template
	if template.Type != "" {
		out.Target.Type = template.Type
	}
	out.Issues = append(out.Issues, issues...)
	return out
}

// store is the store that the manifest names by its product alone: the rest is
// the operator's environment.
func store(es *v1.ExternalSecret, set Settings) (spec.Store, *spec.Issue) {
	var known []string
	for name, d := range set.Drivers {
		call := d.Names[backend.KES]
		if call == "" {
			continue
		}
		known = append(known, call)
		if call == string(es.Spec.BackendType) {
			return spec.Store{Driver: name, Namespace: es.Namespace, Env: pick(set.Env, d.Env)}, nil
		}
	}
	slices.Sort(known)
	return spec.Store{}, &spec.Issue{
		Where: "spec.backendType", Code: backend.InvalidRef,
		Message: fmt.Sprintf("backendType %q is not supported by this version of Lockstep; supported: %s", es.Spec.BackendType, strings.Join(known, ", ")),
	}
}

// pick returns the variables that a driver lists.
func pick(env backend.Env, names []string) backend.Env {
	out := backend.Env{}
	for k, v := range env {
		if slices.ContainsFunc(names, func(n string) bool {
			prefix, wild := strings.CutSuffix(n, "*")
			return k == n || wild && strings.HasPrefix(k, prefix)
		}) {
			out[k] = v
		}
	}
	return out
}

// entries returns what brings data, in the order in which later ones win.
func entries(es *v1.ExternalSecret, store spec.StoreKey) []spec.Entry {
	var out []spec.Entry
	for i, key := range es.Spec.DataFrom {
		out = append(out, spec.Entry{
			Where: fmt.Sprintf("spec.dataFrom[%d]", i), Store: store,
			Key: backend.Key{Key: key, Args: specArgs(es)},
		})
	}
	for i, item := range es.Spec.DataFromWithOptions {
		e := spec.Entry{
			Where: fmt.Sprintf("spec.dataFromWithOptions[%d]", i), Store: store,
			Key: backend.Key{Key: item.Key, Args: args(es, item.VersionStage, item.VersionID)},
		}
		if item.IsBinary != nil && *item.IsBinary {
			e.Decode = spec.DecodeLenient
		}
		out = append(out, e)
	}
	for i, item := range es.Spec.Data {
		out = append(out, dataEntry(es, i, item, store))
	}
	return out
}

func dataEntry(es *v1.ExternalSecret, i int, item v1.DataItem, store spec.StoreKey) spec.Entry {
	e := spec.Entry{
		Where: fmt.Sprintf("spec.data[%d]", i),
		Store: store,
		Name:  item.Name,
		Key:   backend.Key{Key: item.Key, Version: version(item.Version), Args: args(es, item.VersionStage, item.VersionID)},
	}
	if item.SecretType != nil {
		e.Key.Kind = *item.SecretType
	}
	if item.Property != nil {
		e.Property, e.HasProperty = *item.Property, true
	}
	if item.IsBinary != nil && *item.IsBinary {
		e.Decode = spec.DecodeLenient
	}
	return e
}

// version is a number or a string in the manifest, and means the same as either.
func version(raw *apiextensionsv1.JSON) string {
	if raw == nil {
		return ""
	}
	var s string
	if json.Unmarshal(raw.Raw, &s) == nil {
		return s
	}
	return string(raw.Raw)
}

// specArgs are the settings of the whole object that belong to each read.
func specArgs(es *v1.ExternalSecret) map[string]string {
	out := map[string]string{}
	if es.Spec.KeyByName {
		out["keyByName"] = "true"
	}
	if es.Spec.VaultMountPoint != "" {
		out["vaultMountPoint"] = es.Spec.VaultMountPoint
	}
	if es.Spec.VaultRole != "" {
		out["vaultRole"] = es.Spec.VaultRole
	}
	if es.Spec.KVVersion != 0 {
		out["kvVersion"] = strconv.Itoa(es.Spec.KVVersion)
	}
	return out
}

func args(es *v1.ExternalSecret, stage, id string) map[string]string {
	out := specArgs(es)
	if stage != "" {
		out["versionStage"] = stage
	}
	if id != "" {
		out["versionId"] = id
	}
	return out
}

// unusable finds entries that only other products understand.
func unusable(es *v1.ExternalSecret) []spec.Issue {
	var out []spec.Issue
	for i, item := range es.Spec.Data {
		if item.Path != nil && *item.Path != "" {
			out = append(out, spec.Issue{
				Where: fmt.Sprintf("spec.data[%d].path", i), Code: backend.InvalidRef, Message: "_getByPath not implemented",
			})
			continue
		}
		if item.Name == "" {
			out = append(out, spec.Issue{
				Where: fmt.Sprintf("spec.data[%d].name", i), Code: backend.InvalidRef,
				Message: fmt.Sprintf("spec.data[%d] has no name: say which key of the Secret it fills", i),
			})
		}
	}
	return out
}
