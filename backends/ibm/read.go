// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// reader reads secrets by their ids, which it looks up for those that a ref
// names.
type reader struct{ api *api }

// The states of secrets that say something about their values. A suspended or
// deactivated secret keeps them.
const (
	statePending   = 0 // Pre-activation
	stateDestroyed = 5 // the data is gone for good; expired secrets are among them
)

// answer is what the API says of a secret, or of one version of it. The SDK's
// own models are not used: they fail on types that are newer than the SDK, and
// turn the numbers in a kv secret into floats.
type answer struct {
	ID         string `json:"id"` // of the secret, or of the version
	Name       string `json:"name"`
	Secret     string `json:"secret_id"`   // of a version only
	SecretName string `json:"secret_name"` // of a version only
	Type       string `json:"secret_type"`
	State      int    `json:"state"`             // not of a version
	Available  *bool  `json:"payload_available"` // of a version only
	Versions   int    `json:"versions_total"`
	Updated    string `json:"updated_at"`
	Expiration string `json:"expiration_date"`
	Reuse      bool   `json:"reuse_api_key"` // of iam_credentials, but not of their versions

	data map[string]json.RawMessage // all there is, by name
}

// UnmarshalJSON reads an answer.
func (a *answer) UnmarshalJSON(b []byte) error {
	type known answer
	if err := json.Unmarshal(b, (*known)(a)); err != nil {
		return err
	}
	return json.Unmarshal(b, &a.data)
}

// Read reads each secret with one request for its value. There is a second one
// only when the first proves that a name belongs to another id by now.
func (r *reader) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	out := make([]backend.Result, len(refs))
	for i, ref := range refs {
		secret, err := r.one(ctx, ref)
		out[i] = backend.Result{Ref: ref, Secret: secret, Err: err}
	}
	return out, nil
}

func (r *reader) one(ctx context.Context, ref backend.Ref) (s backend.Secret, err error) {
	if err := readable(ref); err != nil {
		return backend.Secret{}, err
	}
	if group, _ := byName(ref); group != "" && ref.Version == "" {
		return r.byGroup(ctx, group, ref)
	}
	err = r.api.locate(ctx, ref, func(id string) (err error) {
		s, err = r.get(ctx, id, ref)
		return err
	})
	if err != nil {
		return backend.Secret{}, err
	}
	return s, nil
}

// get reads the secret with an id.
func (r *reader) get(ctx context.Context, id string, ref backend.Ref) (backend.Secret, error) {
	if err := r.spare(ctx, id, ref); err != nil {
		return backend.Secret{}, err
	}
	q := question{path: "/api/v2/secrets/{id}", params: map[string]string{"id": id}}
	if ref.Version != "" {
		q.path += "/versions/{version}"
		q.params["version"] = ref.Version
	}
	var a answer
	if err := r.api.ask(ctx, q, ref, &a); err != nil {
		return backend.Secret{}, err
	}
	if !a.about(id, ref) {
		return backend.Secret{}, unreadable(ref)
	}
	return a.secret(ref)
}

// spare makes sure that a secret which a read may change has the name that is
// asked for, before it is read: by now the id may be of somebody else's secret,
// who would lose the API key.
func (r *reader) spare(ctx context.Context, id string, ref backend.Ref) error {
	if _, named := byName(ref); !named || ref.Kind != mutatingType {
		return nil
	}
	i, err := r.api.metadata(ctx, id, ref)
	if err == nil && (i.Name != ref.Path || i.Type != ref.Kind) {
		return renamed(ref)
	}
	return err
}

// about reports whether the answer is to the question. An empty object or one
// that a proxy mixed up must not pass for a secret without data, which is a
// missing one, or for another secret.
func (a answer) about(id string, ref backend.Ref) bool {
	got := a.ID
	if ref.Version != "" {
		got = a.Secret
	}
	return a.Type != "" && strings.EqualFold(got, id)
}

// secret is the answer as a secret.
func (a answer) secret(ref backend.Ref) (backend.Secret, error) {
	name := a.Name
	if ref.Version != "" {
		name = a.SecretName
	}
	if _, named := byName(ref); named && (name != ref.Path || a.Type != ref.Kind) {
		return backend.Secret{}, renamed(ref)
	}
	l, ok := layouts[a.Type]
	if !ok || a.Type != ref.Kind {
		return backend.Secret{}, a.wrongType(ref)
	}
	if a.State == stateDestroyed || a.Available != nil && !*a.Available {
		return backend.Secret{}, gone(ref)
	}
	s := backend.Secret{Version: a.version(ref), ReadMutates: item{Type: a.Type, Reuse: a.Reuse}.mutates()}
	found, err := l.fill(&s, a.data)
	switch {
	case err != nil:
		return backend.Secret{}, unreadable(ref)
	case !found && l.ordered && ref.Version == "":
		return backend.Secret{}, unissued(ref, a.State)
	case !found:
		return backend.Secret{}, gone(ref)
	}
	if end, err := time.Parse(time.RFC3339, a.Expiration); err == nil {
		s.Expires = end
	}
	if ref.Part == backend.Metadata {
		s.Payload, s.JSON, s.Fields = backend.Value{}, false, a.everything()
	}
	return s, nil
}

// everything is all that the API says of a secret, its value too, by name and
// as JSON. Left out is when it was read last, which changes with each read.
func (a answer) everything() map[string]backend.Value {
	out := map[string]backend.Value{}
	for name, raw := range a.data {
		if name != "retrieved_at" && !absent(raw) {
			out[name] = backend.NewValue(slices.Clone(raw))
		}
	}
	return out
}

// wrongType names the type only when it is one of IBM's that we know, since it
// is the server's text.
func (a answer) wrongType(ref backend.Ref) error {
	if slices.Contains(served, a.Type) {
		return backend.Errorf(backend.InvalidRef, "secret %s is of type %s, not %s; correct secretType", ref.Path, a.Type, ref.Kind)
	}
	return backend.Errorf(backend.InvalidRef,
		"secret %s is not of type %s but of a type that this version of Lockstep does not know", ref.Path, ref.Kind)
}

// version is that of an item, or the id when the ref names a version.
func (a answer) version(ref backend.Ref) string {
	if ref.Version != "" {
		return a.ID
	}
	return versionOf(a.Type, a.Reuse, a.Versions, a.Updated)
}

// gone is what a secret without data comes to: never an empty value.
func gone(ref backend.Ref) error {
	return backend.Errorf(backend.NotFound, "%s holds no data any more: it was destroyed or has expired", ref)
}

// unissued is what a certificate without data comes to that was not destroyed.
// It is not missing, and the product is not out of order.
func unissued(ref backend.Ref, state int) error {
	if state == statePending {
		return backend.Errorf(backend.Conflict, "%s is not issued yet", ref)
	}
	return backend.Errorf(backend.Conflict, "%s holds no certificate: its order may have failed", ref)
}
