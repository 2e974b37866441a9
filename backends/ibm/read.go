// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/lockstep-secrets/lockstep/backend"
)

// reader reads secrets by their ids.
type reader struct {
	service *core.BaseService
	login   *login
}

// stateDestroyed is the state of secrets whose data is gone for good, expired
// ones among them.
const stateDestroyed = 5

// answer is what the API says of a secret, or of one version of it. The SDK's
// own models are not used: they fail on types that are newer than the SDK, and
// turn the numbers in a kv secret into floats.
type answer struct {
	ID         string          `json:"id"`        // of the secret, or of the version
	Secret     string          `json:"secret_id"` // of a version only
	Type       string          `json:"secret_type"`
	State      int             `json:"state"`
	Available  *bool           `json:"payload_available"` // of a version only
	Versions   int             `json:"versions_total"`
	Updated    string          `json:"updated_at"`
	Expiration string          `json:"expiration_date"`
	Payload    *string         `json:"payload"`
	Username   *string         `json:"username"`
	Password   *string         `json:"password"`
	Data       json.RawMessage `json:"data"`
}

// Read reads each secret with one request.
func (r *reader) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	out := make([]backend.Result, len(refs))
	for i, ref := range refs {
		secret, err := r.one(ctx, ref)
		out[i] = backend.Result{Ref: ref, Secret: secret, Err: err}
	}
	return out, nil
}

func (r *reader) one(ctx context.Context, ref backend.Ref) (backend.Secret, error) {
	if err := readable(ref); err != nil {
		return backend.Secret{}, err
	}
	var a answer
	if err := r.get(ctx, ref, &a); err != nil {
		return backend.Secret{}, err
	}
	return a.secret(ref)
}

// get makes the one request for a secret.
func (r *reader) get(ctx context.Context, ref backend.Ref, into *answer) error {
	if over := ctx.Err(); over != nil {
		return given(product, over)
	}
	token, err := r.login.token(ctx)
	if err != nil {
		return err
	}
	path, params := "/api/v2/secrets/{id}", map[string]string{"id": ref.Path}
	if ref.Version != "" {
		path += "/versions/{version}"
		params["version"] = ref.Version
	}
	builder := core.NewRequestBuilder(core.GET).WithContext(ctx)
	if _, err := builder.ResolveRequestURL(r.service.Options.URL, path, params); err != nil {
		return badID(ref.Path)
	}
	builder.AddHeader("Accept", "application/json")
	builder.AddHeader("Authorization", "Bearer "+token)
	request, err := builder.Build()
	if err != nil {
		return badID(ref.Path)
	}
	resp, err := r.service.Request(request, into)
	if err == nil {
		return nil
	}
	if over := ctx.Err(); over != nil {
		return given(product, over)
	}
	if resp != nil && resp.StatusCode == http.StatusUnauthorized {
		r.login.refused(token)
	}
	return classify(resp, err, ref)
}

// secret is the answer as a secret.
func (a answer) secret(ref backend.Ref) (backend.Secret, error) {
	if !a.about(ref) {
		return backend.Secret{}, unreadable(ref)
	}
	if a.Type != ref.Kind {
		return backend.Secret{}, a.wrongType(ref)
	}
	s := backend.Secret{Version: a.version(ref)}
	if t, err := time.Parse(time.RFC3339, a.Expiration); err == nil {
		s.Expires = t
	}
	switch {
	case a.State == stateDestroyed || a.Available != nil && !*a.Available:
		return backend.Secret{}, gone(ref)
	case a.Type == typeArbitrary && a.Payload != nil:
		s.Payload = backend.NewValue([]byte(*a.Payload))
	case a.Type == typeUsernamePassword && a.Username != nil && a.Password != nil:
		s.Fields = map[string]backend.Value{
			"username": backend.NewValue([]byte(*a.Username)),
			"password": backend.NewValue([]byte(*a.Password)),
		}
	case a.Type == typeKV && strings.HasPrefix(string(a.Data), "{"):
		s.Payload, s.JSON = backend.NewValue(a.Data), true
	case a.Type == typeKV && len(a.Data) > 0 && string(a.Data) != "null":
		return backend.Secret{}, unreadable(ref)
	default:
		return backend.Secret{}, gone(ref)
	}
	return s, nil
}

// about reports whether the answer is to the question. An empty object or one
// that a proxy mixed up must not pass for a secret without data, which is a
// missing one, or for another secret.
func (a answer) about(ref backend.Ref) bool {
	id := a.ID
	if ref.Version != "" {
		id = a.Secret
	}
	return a.Type != "" && strings.EqualFold(id, ref.Path)
}

// wrongType names the type only when it is one of IBM's that we know, since it
// is the server's text.
func (a answer) wrongType(ref backend.Ref) error {
	if slices.Contains(served, a.Type) {
		return backend.Errorf(backend.InvalidRef, "secret %s is of type %s, not %s; correct secretType", ref.Path, a.Type, ref.Kind)
	}
	is := "of a type that this version of Lockstep does not know"
	if slices.Contains(known, a.Type) {
		is = "of type " + a.Type + ", which is not supported by this version of Lockstep"
	}
	return backend.Errorf(backend.InvalidRef, "secret %s is not of type %s but %s", ref.Path, ref.Kind, is)
}

// version changes with every new version of a secret, and with its metadata.
func (a answer) version(ref backend.Ref) string {
	if ref.Version != "" {
		return a.ID
	}
	if a.Versions == 0 && a.Updated == "" {
		return ""
	}
	return strconv.Itoa(a.Versions) + " " + a.Updated
}

// gone is what a secret without data comes to: never an empty value.
func gone(ref backend.Ref) error {
	return backend.Errorf(backend.NotFound, "%s holds no data any more: it was destroyed or has expired", ref)
}
