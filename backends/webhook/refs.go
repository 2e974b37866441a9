// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-secrets/lockstep/backend"
)

// args are the parts of a manifest's remoteRef that a Ref has no field for.
// Templates see them, so they are a part of the question.
type args struct {
	Namespace string `json:"namespace,omitempty"`
	Property  string `json:"property,omitempty"`
}

// parseRef reads a key and its Args namespace and property. The metadata policy
// makes no difference, as with ESO.
func parseRef(d backend.Dialect, k backend.Key) (backend.Ref, error) {
	if d != backend.ESO {
		return backend.Ref{}, backend.Errorf(backend.InvalidRef, "webhooks are not served for %s manifests", d)
	}
	a := args{Namespace: k.Args["namespace"], Property: k.Args["property"]}
	ref := backend.Ref{Path: k.Key, Version: k.Version, Args: a.encode()}
	if err := wellFormed(ref, a); err != nil {
		return backend.Ref{}, err
	}
	return ref, nil
}

// encode is canonical: nothing where there are no arguments, and else JSON
// whose members are sorted.
func (a args) encode() string {
	if a == (args{}) {
		return ""
	}
	b, _ := json.Marshal(a) // strings always marshal
	return string(b)
}

// readable takes a ref apart, or says why it cannot be right.
func readable(ref backend.Ref) (args, error) {
	var a args
	if ref.Args != "" {
		if json.Unmarshal([]byte(ref.Args), &a) != nil || a.encode() != ref.Args {
			return args{}, backend.Errorf(backend.InvalidRef, "the arguments of %s are not those of a webhook", ref)
		}
	}
	if ref.Kind != "" || ref.Part != backend.Data {
		return args{}, backend.Errorf(backend.InvalidRef, "a webhook has values only, without kinds and without metadata")
	}
	return a, wellFormed(ref, a)
}

// wellFormed refuses what no template could put into a request safely: a
// control character begins a new header, or ends a string in the server.
func wellFormed(ref backend.Ref, a args) error {
	if ref.Path == "" {
		return backend.Errorf(backend.InvalidRef, "remoteRef.key is empty")
	}
	for _, f := range []struct{ name, text string }{
		{"key", ref.Path}, {"version", ref.Version}, {"property", a.Property}, {"namespace", a.Namespace},
	} {
		if !utf8.ValidString(f.text) || strings.ContainsFunc(f.text, unicode.IsControl) {
			return backend.Errorf(backend.InvalidRef, "remoteRef.%s has a control character in it, or is not UTF-8", f.name)
		}
	}
	return nil
}

// wholeRef is remoteRef used as a whole, which has the namespace in it.
var wholeRef = regexp.MustCompile(`remoteRef(?:[^.A-Za-z0-9_]|$)`)

// byNamespace reports whether a template of the store may make use of the
// namespace of who asks.
func byNamespace(raw []byte) bool {
	return bytes.Contains(raw, []byte("remoteRef.namespace")) || wholeRef.Match(raw)
}
