// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// reader reads secrets one by one.
type reader struct{ api *api }

// Read implements backend.Reader.
func (r *reader) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	out := make([]backend.Result, len(refs))
	for i, ref := range refs {
		out[i].Ref = ref
		out[i].Secret, out[i].Err = r.one(ctx, ref)
	}
	return out, nil
}

func (r *reader) one(ctx context.Context, ref backend.Ref) (backend.Secret, error) {
	p, err := r.api.engine.locate(ref)
	if err != nil {
		return backend.Secret{}, err
	}
	s, err := r.api.session(ref.Args)
	if err != nil {
		return backend.Secret{}, err
	}
	r.api.seen.add(p.data, ref)
	if ref.Part == backend.Metadata {
		m, err := r.api.metadata(ctx, s, p)
		if err != nil {
			return backend.Secret{}, err
		}
		return m.asSecret(p)
	}
	q := question{path: p.data}
	if ref.Version != "" {
		q.params = url.Values{"version": {ref.Version}}
	}
	asked := s.now()
	a, err := r.api.reading(ctx, s, q, task{"read", p.data})
	if err != nil {
		return backend.Secret{}, r.api.proven(ctx, s, p, err)
	}
	if p.versioned {
		return a.versioned(p, ref)
	}
	out, err := a.plain(p)
	if out.Lease = a.lent(s, ref.Args, asked); out.Lease.ID != "" {
		out.ReadMutates, out.Expires = true, out.Lease.Expires
	}
	return out, err
}

// plain is what a path answers: a JSON object.
func (a *answer) plain(p place) (backend.Secret, error) {
	doc := bytes.TrimSpace(a.Data)
	if len(doc) == 0 || doc[0] != '{' {
		return backend.Secret{}, unreadable(p.data)
	}
	return backend.Secret{Payload: backend.NewValue(doc), JSON: true}, nil
}

// kvMetadata is what an engine of version 2 says of one version.
type kvMetadata struct {
	Version      int               `json:"version"`
	Created      string            `json:"created_time"`
	DeletionTime string            `json:"deletion_time"`
	Destroyed    bool              `json:"destroyed"`
	Custom       map[string]string `json:"custom_metadata"`
}

// token is the Version of a Secret. The number alone is not enough: a secret
// that was removed with its history begins at 1 again.
func (m kvMetadata) token() string { return strconv.Itoa(m.Version) + " " + m.Created }

// versioned is a secret of an engine of version 2.
func (a *answer) versioned(p place, ref backend.Ref) (backend.Secret, error) {
	var kv struct {
		Data     json.RawMessage `json:"data"`
		Metadata *kvMetadata     `json:"metadata"`
	}
	if json.Unmarshal(a.Data, &kv) != nil || kv.Metadata == nil || len(kv.Data) == 0 || kv.Metadata.Version < 1 {
		return backend.Secret{}, backend.Errorf(backend.Conflict,
			"what Vault has at %s is not a secret of a key-value engine of version 2: check the version of the engine, and the path", p.data)
	}
	m := kv.Metadata
	doc := bytes.TrimSpace(kv.Data)
	switch {
	case string(doc) == "null" && (m.DeletionTime != "" || m.Destroyed):
		return backend.Secret{}, backend.Errorf(backend.NotFound, "the version of %s was deleted", p.data)
	case doc[0] != '{':
		return backend.Secret{}, unreadable(p.data)
	case ref.Version != "" && ref.Version != strconv.Itoa(m.Version):
		return backend.Secret{}, unreadable(p.data) // of another version
	}
	return backend.Secret{Payload: backend.NewValue(doc), JSON: true, Version: m.token(), Labels: m.Custom}, nil
}

// history is the metadata of a secret.
type history struct {
	Current  int                   `json:"current_version"`
	Updated  string                `json:"updated_time"`
	Custom   map[string]string     `json:"custom_metadata"`
	Versions map[string]kvMetadata `json:"versions"`
}

// live is the current version, and false when there is none that can be read.
func (h *history) live(now time.Time) (kvMetadata, bool) {
	m, ok := h.Versions[strconv.Itoa(h.Current)]
	m.Version = h.Current
	return m, ok && m.available(now)
}

// available reports whether a version can be read. One that is to be deleted
// has the time of that already.
func (m kvMetadata) available(now time.Time) bool {
	if m.Destroyed {
		return false
	}
	if m.DeletionTime == "" {
		return true
	}
	t, err := time.Parse(time.RFC3339Nano, m.DeletionTime)
	return err == nil && now.Before(t)
}

// metadata reads the metadata of a secret.
func (a *api) metadata(ctx context.Context, s *session, p place) (*history, error) {
	if p.metadata == "" {
		return nil, backend.Errorf(backend.InvalidRef, "%s is not the path of a secret in a key-value engine of version 2", p.data)
	}
	out, err := a.reading(ctx, s, question{path: p.metadata}, task{"read", p.metadata})
	if err != nil {
		return nil, a.proven(ctx, s, p, err)
	}
	h := &history{}
	if json.Unmarshal(out.Data, h) != nil || h.Versions == nil {
		return nil, unreadable(p.metadata)
	}
	return h, nil
}

// asSecret is the custom metadata as one document.
func (h *history) asSecret(p place) (backend.Secret, error) {
	custom := h.Custom
	if custom == nil {
		custom = map[string]string{}
	}
	doc, err := json.Marshal(custom)
	if err != nil {
		return backend.Secret{}, unreadable(p.metadata)
	}
	return backend.Secret{Payload: backend.NewValue(doc), JSON: true, Version: h.Updated, Labels: custom}, nil
}

// proven makes sure that a secret that is missing is missing in an engine of
// the version that was asked for. One of version 1 has no data/ and says so of
// every secret in the words of a missing one; that must not remove anything.
func (a *api) proven(ctx context.Context, s *session, p place, err error) error {
	if backend.CodeOf(err) != backend.NotFound || !p.versioned {
		return err
	}
	out, lookup := a.ask(ctx, s, question{path: "sys/internal/ui/mounts/" + p.data})
	var mount struct {
		Type    string `json:"type"`
		Path    string `json:"path"`
		Options struct {
			Version string `json:"version"`
		} `json:"options"`
	}
	if lookup != nil || json.Unmarshal(out.Data, &mount) != nil || mount.Path == "" {
		return err // it is no secret of ours to tell
	}
	if mount.Type == "kv" && mount.Options.Version == "2" {
		return err
	}
	return backend.Errorf(backend.Conflict, "the engine at %s is not a key-value engine of version 2", mount.Path)
}
