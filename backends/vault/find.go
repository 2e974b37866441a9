// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// finder lists the names of secrets, folder by folder.
type finder struct{ api *api }

// Find implements backend.Finder: Path is a folder, Name an expression on the
// path, Tags are custom metadata. Names that no request can ask for are left
// out.
func (f *finder) Find(ctx context.Context, q backend.Query) iter.Seq2[backend.Found, error] {
	return func(yield func(backend.Found, error) bool) {
		w, err := f.walk(q)
		if err != nil {
			yield(backend.Found{}, err)
			return
		}
		for folders := []string{w.root}; len(folders) > 0; {
			folder := folders[len(folders)-1]
			folders = folders[:len(folders)-1]
			names, err := w.list(ctx, folder)
			if err != nil {
				yield(backend.Found{}, err)
				return
			}
			for _, name := range names {
				if strings.HasSuffix(name, "/") {
					folders = append(folders, folder+name)
					continue
				}
				found := w.found(folder + name)
				matches, err := w.matches(ctx, found)
				if err != nil {
					yield(backend.Found{}, err)
					return
				}
				if matches && !yield(found, nil) {
					return
				}
			}
		}
	}
}

// walk is one search.
type walk struct {
	api     *api
	session *session
	mount   string // of the engine
	prefix  string // of what the keys of the manifest begin with: "", or the mount in one of its spellings
	root    string // a folder below the mount: "" or with a slash at the end
	name    *regexp.Regexp
	tags    map[string]string

	folders, examined int
}

func (f *finder) walk(q backend.Query) (*walk, error) {
	w := &walk{api: f.api, mount: f.api.engine.mount}
	var err error
	if q.Kind != "" {
		return nil, backend.Errorf(backend.InvalidRef, "secrets in Vault have no kinds to search for")
	}
	if w.name, err = regexp.Compile(q.Name); err != nil {
		return nil, backend.Errorf(backend.InvalidRef, "the name to search for is not an RE2 expression: %q", q.Name)
	}
	if err := w.begin(q.Path); err != nil {
		return nil, err
	}
	if q.Tags != "" {
		if !f.api.engine.versioned {
			return nil, backend.Errorf(backend.InvalidRef, "cannot perform find by tag operations with kv version v1")
		}
		w.tags = map[string]string{}
		for pair := range strings.SplitSeq(q.Tags, ",") {
			k, v, _ := strings.Cut(pair, "=")
			w.tags[k] = v
		}
	}
	w.session, err = f.api.session("")
	return w, err
}

// begin reads where to search.
func (w *walk) begin(path string) error {
	folder := ""
	if strings.Trim(path, "/") != "" {
		clean, err := cleanPath("the path to search", path)
		if err != nil {
			return err
		}
		folder = clean + "/"
	}
	e := w.api.engine
	switch {
	case w.mount != "":
		w.root = strings.TrimPrefix(e.below(folder), "/")
		return nil
	case folder == "":
		return backend.Errorf(backend.InvalidRef, "nobody knows in which engine to search: give the store a path, or the search one that begins with the mount")
	}
	mount, rest, data := strings.Cut(folder, "/data/")
	if w.mount, w.root = mount, rest; !e.versioned || !data {
		w.mount, w.root, _ = strings.Cut(folder, "/")
	}
	w.prefix = strings.TrimSuffix(folder, w.root)
	return ofNobody(w.mount)
}

// found is a secret below the mount.
func (w *walk) found(below string) backend.Found {
	out := backend.Found{Name: w.prefix + below}
	out.Ref.Path = out.Name
	switch e := w.api.engine; {
	case w.prefix == "":
		out.Ref.Path = e.spelled(below)
	case e.versioned:
		out.Ref.Path = w.mount + "/data/" + below
	}
	return out
}

// list returns the names in a folder, in order, without those that cannot be
// asked for. A folder that does not exist has none: Vault has no empty ones.
func (w *walk) list(ctx context.Context, folder string) ([]string, error) {
	if w.folders++; w.folders > maxFolders {
		return nil, backend.Errorf(backend.Conflict, "more than %d folders to search; narrow the search by its path", maxFolders)
	}
	p := place{data: strings.TrimSuffix(w.mount+"/"+folder, "/"), versioned: w.api.engine.versioned}
	q := question{path: p.data, params: url.Values{"list": {"true"}}}
	if p.versioned {
		q.path = strings.TrimSuffix(w.mount+"/metadata/"+folder, "/")
	}
	a, err := w.api.reading(ctx, w.session, q, task{"list", q.path + "/"})
	if err = w.api.proven(ctx, w.session, p, err); backend.CodeOf(err) == backend.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var keys struct {
		Keys []string `json:"keys"`
	}
	if json.Unmarshal(a.Data, &keys) != nil {
		return nil, unreadable(q.path)
	}
	names := slices.DeleteFunc(keys.Keys, func(name string) bool {
		clean, err := cleanPath("", name)
		return err != nil || clean != strings.TrimSuffix(name, "/") || strings.Contains(clean, "/")
	})
	slices.Sort(names)
	return slices.Compact(names), nil
}

// matches reports whether a secret is one that is searched for.
func (w *walk) matches(ctx context.Context, found backend.Found) (bool, error) {
	if !w.name.MatchString(found.Name) {
		return false, nil
	}
	if len(w.tags) == 0 {
		return true, nil
	}
	if w.examined++; w.examined > maxExamined {
		return false, backend.Errorf(backend.Conflict, "more than %d secrets to look at for their tags; narrow the search by path or name", maxExamined)
	}
	p, err := w.api.engine.locate(found.Ref)
	if err != nil {
		return false, err
	}
	h, err := w.api.metadata(ctx, w.session, p)
	if backend.CodeOf(err) == backend.NotFound {
		return false, nil // it vanished since it was listed
	}
	if err != nil {
		return false, err
	}
	for k, v := range w.tags {
		if got, ok := h.Custom[k]; !ok || got != v {
			return false, nil
		}
	}
	return true, nil
}
