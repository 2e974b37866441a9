// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/lockstep-secrets/lockstep/backend"
)

// ownerMark is the name in a secret's custom metadata under which its owner is
// kept.
const ownerMark = "lockstep-owner"

// writer creates secrets, gives them new versions and deletes them. It touches
// only what carries its owner's mark. The product has no conditional requests:
// of two writers at the same moment, the later one wins.
type writer struct{ api *api }

// Write creates the secret or gives it a new version. Labels and dates are not
// written.
func (w *writer) Write(ctx context.Context, write backend.Write) (string, error) {
	ref := write.Ref
	if err := asked(ref, write.Owner); err != nil {
		return "", err
	}
	data, err := dataOf(ref, write.Secret)
	if err != nil {
		return "", err
	}
	now, err := w.find(ctx, ref)
	if backend.CodeOf(err) == backend.NotFound {
		return w.create(ctx, write, data)
	}
	if err != nil {
		return "", err
	}
	switch {
	case !now.ownedBy(write.Owner):
		return "", foreign(ref)
	case write.IfVersion == backend.Absent:
		return "", exists(ref)
	case write.IfVersion != "" && write.IfVersion != now.version():
		return "", backend.Errorf(backend.Conflict, "%s was changed by somebody else", ref)
	}
	return w.update(ctx, now, ref, data)
}

// asked finds questions that cannot be right.
func asked(ref backend.Ref, owner string) error {
	if err := readable(ref); err != nil {
		return err
	}
	if ref.Version != "" {
		return backend.Errorf(backend.InvalidRef, "%s is an old version, which cannot be written", ref)
	}
	if ref.Part != backend.Data {
		return backend.Errorf(backend.InvalidRef, "the metadata of %s cannot be written", ref)
	}
	if owner == "" {
		return backend.Errorf(backend.InvalidRef, "%s has no owner to be written for", ref)
	}
	return nil
}

// find returns what is there now, or NotFound. The values of a
// username_password are asked for, because its user name cannot be changed.
func (w *writer) find(ctx context.Context, ref backend.Ref) (now item, err error) {
	err = w.api.locate(ctx, ref, func(id string) (err error) {
		q := question{path: "/api/v2/secrets/{id}/metadata", params: map[string]string{"id": id}}
		if ref.Kind == typeUsernamePassword {
			q.path = "/api/v2/secrets/{id}"
		}
		now, err = w.api.one(ctx, q, id, ref)
		if _, named := byName(ref); err == nil && named && now.Name != ref.Path {
			return renamed(ref)
		}
		return err
	})
	if err == nil && now.Type != ref.Kind {
		return item{}, answer{Type: now.Type}.wrongType(ref)
	}
	return now, err
}

// ownedBy reports whether the secret carries an owner's mark.
func (i item) ownedBy(owner string) bool {
	var custom map[string]any
	if json.Unmarshal(i.Custom, &custom) != nil {
		return false
	}
	mark, ok := custom[ownerMark].(string)
	return ok && mark == owner
}

func foreign(ref backend.Ref) error {
	return backend.Errorf(backend.Conflict, "%s is not ours: its custom metadata has another %s, or none", ref, ownerMark)
}

func exists(ref backend.Ref) error {
	return backend.Errorf(backend.Conflict, "%s exists already", ref)
}

// means says what the statuses of a change mean.
func (w *writer) means(ref backend.Ref, verb, role string) map[int]error {
	return map[int]error{
		http.StatusForbidden: backend.Errorf(backend.PermissionDenied, "%s may not %s %s (403): it needs the role %s for the instance or its secret group",
			w.api.by().name, verb, ref, role),
	}
}

// create makes a new secret with the owner's mark.
func (w *writer) create(ctx context.Context, write backend.Write, data map[string]any) (string, error) {
	ref := write.Ref
	group, named := byName(ref)
	switch {
	case !named:
		return "", backend.Errorf(backend.InvalidRef, "there is no %s; a new secret is written by its name, and gets its id from the product", ref)
	case write.IfVersion != "" && write.IfVersion != backend.Absent:
		return "", backend.Errorf(backend.Conflict, "%s is not there any more", ref)
	}
	body := map[string]any{
		"name": ref.Path, "secret_type": ref.Kind, "custom_metadata": map[string]string{ownerMark: write.Owner},
	}
	for k, v := range data {
		body[k] = v
	}
	if group != "" {
		id, err := (&finder{w.api}).group(ctx, group)
		if err != nil {
			return "", err
		}
		body["secret_group_id"] = id
	}
	var made item
	means := w.means(ref, "create", "Writer")
	means[http.StatusConflict] = exists(ref)
	means[http.StatusNotFound] = backend.Errorf(backend.Unavailable, "%s does not take new secrets: check the URL of the instance", product)
	q := question{method: http.MethodPost, path: "/api/v2/secrets", body: body, means: means}
	if err := w.api.ask(ctx, q, ref, &made); err != nil {
		return "", err
	}
	if made.ID == "" || made.Name != ref.Path || made.Type != ref.Kind {
		return "", unreadable(ref)
	}
	w.api.names.add(made)
	return made.version(), nil
}

// update makes a new version of what is there now.
func (w *writer) update(ctx context.Context, now item, ref backend.Ref, data map[string]any) (string, error) {
	if now.State == stateDestroyed {
		return "", backend.Errorf(backend.Conflict, "%s was destroyed or has expired; delete it first", ref)
	}
	if name, ok := data["username"]; ok {
		if now.Username == nil || *now.Username != name {
			return "", backend.Errorf(backend.Conflict, "%s has another user name, which the product cannot change; delete it first", ref)
		}
		delete(data, "username")
	}
	q := question{
		method: http.MethodPost, path: "/api/v2/secrets/{id}/versions", params: map[string]string{"id": now.ID},
		body: data, means: w.means(ref, "write", "Writer"),
	}
	if err := w.api.ask(ctx, q, ref, nil); err != nil {
		return "", err
	}
	// The answer is about the version only.
	i, err := w.api.metadata(ctx, now.ID, ref)
	if err != nil {
		return "", err
	}
	return i.version(), nil
}

// Delete removes a secret that carries the owner's mark.
func (w *writer) Delete(ctx context.Context, ref backend.Ref, owner string) error {
	if err := asked(ref, owner); err != nil {
		return err
	}
	now, err := w.find(ctx, ref)
	if backend.CodeOf(err) == backend.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if !now.ownedBy(owner) {
		return foreign(ref)
	}
	q := question{
		method: http.MethodDelete, path: "/api/v2/secrets/{id}", params: map[string]string{"id": now.ID},
		means: w.means(ref, "delete", "Manager"),
	}
	err = w.api.ask(ctx, q, ref, nil)
	if err == nil || backend.CodeOf(err) == backend.NotFound {
		w.api.names.forget(ref)
		return nil
	}
	return err
}

// dataOf lays a secret out as the API takes it.
func dataOf(ref backend.Ref, s backend.Secret) (map[string]any, error) {
	wrong := func(need string) error {
		return backend.Errorf(backend.InvalidRef, "%s cannot be written: it takes %s", ref, need)
	}
	payload := s.Payload.Reveal()
	switch ref.Kind {
	case typeArbitrary:
		if len(payload) == 0 || !utf8.Valid(payload) || s.Fields != nil {
			return nil, wrong("one value of text that is not empty; encode binary data as base64")
		}
		return map[string]any{"payload": string(payload)}, nil
	case typeUsernamePassword:
		if !slices.Equal(s.FieldNames(), []string{"password", "username"}) {
			return nil, wrong("the fields username and password, and no others")
		}
		data := map[string]any{}
		for name, v := range s.Fields {
			if v.Len() == 0 || !utf8.Valid(v.Reveal()) {
				return nil, wrong("a user name and a password of text that are not empty")
			}
			data[name] = string(v.Reveal())
		}
		return data, nil
	case typeKV:
		if s.Fields != nil {
			return fieldsOf(s.Fields, wrong)
		}
		if !json.Valid(payload) || !bytes.HasPrefix(bytes.TrimLeft(payload, " \t\r\n"), []byte("{")) {
			return nil, wrong("a JSON object")
		}
		return map[string]any{"data": json.RawMessage(payload)}, nil
	}
	// The product makes the values of the others itself, or they are
	// certificates.
	return nil, backend.Errorf(backend.InvalidRef, "secrets of type %s cannot be written", ref.Kind)
}

// fieldsOf makes a kv secret of named fields.
func fieldsOf(fields map[string]backend.Value, wrong func(string) error) (map[string]any, error) {
	data := map[string]string{}
	for name, v := range fields {
		if !utf8.Valid(v.Reveal()) {
			return nil, wrong("fields of text; encode binary data as base64")
		}
		data[name] = string(v.Reveal())
	}
	return map[string]any{"data": data}, nil
}
