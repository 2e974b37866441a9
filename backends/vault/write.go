// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"maps"
	"unicode/utf8"

	"github.com/lockstep-secrets/lockstep/backend"
)

// ownerMark is the name in a secret's custom metadata under which its owner is
// kept.
const ownerMark = "lockstep-owner"

// maxCustom is the longest value of custom metadata, in bytes, that Vault
// takes.
const maxCustom = 512

// writer creates secrets of an engine of version 2, gives them new versions and
// deletes them. Each write names the version it is on top of, and Vault refuses
// it when somebody was faster.
type writer struct{ api *api }

// Write implements backend.Writer. The mark goes first, so that a value never
// stands without one. Labels are custom metadata; what else is there stays.
func (w *writer) Write(ctx context.Context, want backend.Write) (string, error) {
	p, s, err := w.begin(want.Ref, want.Owner)
	if err != nil {
		return "", err
	}
	data, err := dataOf(p, want.Secret)
	if err != nil {
		return "", err
	}
	h, err := w.api.metadata(ctx, s, p)
	if backend.CodeOf(err) == backend.NotFound {
		h, err = &history{}, nil
	}
	if err != nil {
		return "", err
	}
	now, live := h.live(s.now())
	mark, marked := h.Custom[ownerMark]
	switch {
	case marked && mark != want.Owner, live && !marked:
		return "", foreign(p)
	case want.IfVersion == backend.Absent && live:
		return "", backend.Errorf(backend.Conflict, "%s exists already", p.data)
	case want.IfVersion != "" && want.IfVersion != backend.Absent && (!live || want.IfVersion != now.token()):
		return "", backend.Errorf(backend.Conflict, "%s was changed by somebody else", p.data)
	}
	if err := w.mark(ctx, s, p, h.Custom, want); err != nil {
		return "", err
	}
	body := map[string]any{"data": data, "options": map[string]any{"cas": h.Current}}
	a, err := w.api.reading(ctx, s, question{path: p.data, body: body}, task{"write", p.data})
	if err != nil {
		return "", err
	}
	var made kvMetadata
	if json.Unmarshal(a.Data, &made) != nil || made.Version < 1 {
		return "", unreadable(p.data)
	}
	return made.token(), nil
}

// begin finds questions that cannot be right.
func (w *writer) begin(ref backend.Ref, owner string) (place, *session, error) {
	p, err := w.api.engine.locate(ref)
	if err != nil {
		return place{}, nil, err
	}
	switch {
	case p.metadata == "":
		return place{}, nil, backend.Errorf(backend.InvalidRef, "%s cannot be written: it is not in a key-value engine of version 2", p.data)
	case ref.Version != "":
		return place{}, nil, backend.Errorf(backend.InvalidRef, "an old version of %s cannot be written", p.data)
	case ref.Part != backend.Data:
		return place{}, nil, backend.Errorf(backend.InvalidRef, "the metadata of %s cannot be written", p.data)
	case owner == "" || len(owner) > maxCustom:
		return place{}, nil, backend.Errorf(backend.InvalidRef, "%s has no owner to be written for, or one that is too long", p.data)
	}
	s, err := w.api.session(ref.Args)
	return p, s, err
}

func foreign(p place) error {
	return backend.Errorf(backend.Conflict, "%s is not ours: its custom metadata has another %s, or none", p.data, ownerMark)
}

// mark writes the custom metadata, unless it is as it should be.
func (w *writer) mark(ctx context.Context, s *session, p place, now map[string]string, want backend.Write) error {
	custom := map[string]string{}
	maps.Copy(custom, now)
	maps.Copy(custom, want.Secret.Labels)
	custom[ownerMark] = want.Owner
	if maps.Equal(custom, now) {
		return nil
	}
	q := question{path: p.metadata, body: map[string]any{"custom_metadata": custom}}
	_, err := w.api.reading(ctx, s, q, task{"write", p.metadata})
	return err
}

// dataOf lays a secret out as Vault takes it: an object.
func dataOf(p place, secret backend.Secret) (any, error) {
	if secret.Payload.IsSet() {
		var members map[string]json.RawMessage
		if secret.Fields != nil || json.Unmarshal(secret.Payload.Reveal(), &members) != nil || members == nil {
			return nil, backend.Errorf(backend.InvalidRef, "%s takes a JSON object, or named fields", p.data)
		}
		return members, nil
	}
	out := make(map[string]string, len(secret.Fields))
	for name, v := range secret.Fields {
		if !utf8.Valid(v.Reveal()) || !utf8.ValidString(name) {
			return nil, backend.Errorf(backend.InvalidRef, "%s takes fields of text; encode binary data as base64", p.data)
		}
		out[name] = string(v.Reveal())
	}
	return out, nil
}

// Delete implements backend.Writer: all versions go, and the metadata with
// them. Vault cannot be told to do so on a condition, so of a deletion and a
// write at the same moment the later one counts.
func (w *writer) Delete(ctx context.Context, ref backend.Ref, owner string) error {
	p, s, err := w.begin(ref, owner)
	if err != nil {
		return err
	}
	h, err := w.api.metadata(ctx, s, p)
	if backend.CodeOf(err) == backend.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if mark, marked := h.Custom[ownerMark]; !marked || mark != owner {
		if _, live := h.live(s.now()); !live && !marked {
			return nil
		}
		return foreign(p)
	}
	_, err = w.api.reading(ctx, s, question{path: p.metadata, delete: true}, task{"delete", p.metadata})
	if backend.CodeOf(err) == backend.NotFound {
		return nil
	}
	return err
}
