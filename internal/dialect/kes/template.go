// SPDX-License-Identifier: Apache-2.0

package kes

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"sigs.k8s.io/json"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// script finds what KES would have run as JavaScript: <% … %>, which is never
// empty, and ${ … }.
var script = regexp.MustCompile(`(?s)<%.+?%>|\$\{[^\\}]*(?:\\.[^\\}]*)*\}`)

// template is a Secret to start from, as far as it is static.
type template struct {
	spec.Template
	Type string
}

// document is the shape of spec.template. What a Secret does not have is
// passed over, as the API server would.
type document struct {
	Type     any `json:"type"`
	Metadata struct {
		Namespace       string         `json:"namespace"`
		Labels          map[string]any `json:"labels"`
		Annotations     map[string]any `json:"annotations"`
		Finalizers      []string       `json:"finalizers"`
		OwnerReferences []any          `json:"ownerReferences"`
	} `json:"metadata"`
	Data       map[string]any `json:"data"`
	StringData map[string]any `json:"stringData"`
	Immutable  *bool          `json:"immutable"`
}

// readTemplate reads spec.template.
func readTemplate(es *v1.ExternalSecret) (template, []spec.Issue) {
	if es.Spec.Template == nil {
		return template{}, nil
	}
	var doc document
	// By the API server's rules, for which "Data" is not "data".
	if err := json.UnmarshalCaseSensitivePreserveInts(es.Spec.Template.Raw, &doc); err != nil {
		return template{}, []spec.Issue{wrong("spec.template", "is not the shape of a Secret; compare it with kubectl explain secret")}
	}
	r := reader{}
	out := template{Template: spec.Template{
		Labels:      r.texts("spec.template.metadata.labels", doc.Metadata.Labels),
		Annotations: r.texts("spec.template.metadata.annotations", doc.Metadata.Annotations),
		Finalizers:  doc.Metadata.Finalizers,
		Data:        r.values("spec.template.data", doc.Data, true),
		Overrides:   r.values("spec.template.stringData", doc.StringData, false),
		Immutable:   doc.Immutable,
	}}
	out.Type = r.secretType(doc.Type)
	if ns := doc.Metadata.Namespace; ns != "" && ns != es.Namespace {
		r.issues = append(r.issues, spec.Issue{
			Where: "spec.template.metadata.namespace", Code: backend.InvalidRef,
			Message: "the namespace of the provided object does not match the namespace sent on the request",
		})
	}
	if len(doc.Metadata.OwnerReferences) > 0 {
		r.issues = append(r.issues, wrong("spec.template.metadata.ownerReferences", "cannot be set: the ExternalSecret owns the Secret"))
	}
	return out, r.issues
}

// reader collects what is wrong with a template.
type reader struct{ issues []spec.Issue }

func (r *reader) texts(where string, in map[string]any) map[string]string {
	var out map[string]string
	for _, k := range slices.Sorted(maps.Keys(in)) {
		s, ok := r.static(where+"."+k, in[k])
		if !ok {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[k] = s
	}
	return out
}

func (r *reader) values(where string, in map[string]any, encoded bool) map[string]backend.Value {
	var out map[string]backend.Value
	for _, k := range slices.Sorted(maps.Keys(in)) {
		s, ok := r.static(where+"."+k, in[k])
		if !ok {
			continue
		}
		b := []byte(s)
		if encoded {
			var err error
			if b, err = base64.StdEncoding.DecodeString(s); err != nil {
				r.issues = append(r.issues, wrong(where+"."+k, "is not base64; for plain text use spec.template.stringData"))
				continue
			}
		}
		if out == nil {
			out = map[string]backend.Value{}
		}
		out[k] = backend.NewValue(b)
	}
	return out
}

// secretType returns the type, which KES did not take for a template. What
// JavaScript takes for false counts as absent.
func (r *reader) secretType(v any) string {
	switch v {
	case nil, false, int64(0), float64(0):
		return ""
	}
	s, ok := v.(string)
	if !ok {
		r.issues = append(r.issues, wrong("spec.template.type", "is not a string; put it in quotes"))
	}
	return s
}

// static returns a string that has no script in it. Null is the empty string,
// as for the API server.
func (r *reader) static(where string, v any) (string, bool) {
	if v == nil {
		return "", true
	}
	s, ok := v.(string)
	if !ok {
		r.issues = append(r.issues, wrong(where, "is not a string; put it in quotes"))
		return "", false
	}
	if script.MatchString(s) {
		r.issues = append(r.issues, wrong(where, "is a lodash template, which this version of Lockstep does not run"))
		return "", false
	}
	return s, true
}

func wrong(where, what string) spec.Issue {
	return spec.Issue{Where: where, Code: backend.InvalidRef, Message: fmt.Sprintf("%s %s", where, what)}
}
