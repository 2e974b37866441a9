// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// engine is where the secrets of a store are.
type engine struct {
	mount     string // "" when the keys have it
	versioned bool   // the key-value engine is of version 2
	// whole says that a key never begins with the mount, as External Secrets
	// Operator has it with OpenBao.
	whole bool
}

// place is where one secret is, as paths below /v1/.
//
//	engine        mount   key                 data                  metadata
//	version 1     kv      a/b                 kv/a/b                –
//	version 1     kv      kv/a/b              kv/a/b                –
//	version 1     –       kv/a/b              kv/a/b                –
//	version 2     kv      a/b                 kv/data/a/b           kv/metadata/a/b
//	version 2     kv      kv/a/b              kv/data/a/b           kv/metadata/a/b
//	version 2     kv      kv/data/a/b         kv/data/a/b           kv/metadata/a/b
//	version 2     –       kv/a/b              kv/data/a/b           kv/metadata/a/b
//	version 2     –       team/kv/data/a/b    team/kv/data/a/b      team/kv/metadata/a/b
//	kind kv2      any     kv/data/a/b         kv/data/a/b           kv/metadata/a/b
type place struct {
	data      string
	metadata  string // "" where there is none
	versioned bool
}

// locate says where a Ref is.
func (e engine) locate(ref backend.Ref) (place, error) {
	path, err := cleanPath("the key", ref.Path)
	if err != nil {
		return place{}, err
	}
	if version, err := parseVersion(ref.Version); err != nil || version != ref.Version {
		return place{}, backend.Errorf(backend.InvalidRef, "%q is not a version of a secret in Vault: versions are numbers", ref.Version)
	}
	p, err := e.resolve(ref.Kind, path)
	if err != nil {
		return place{}, err
	}
	if err := ofNobody(p.data); err != nil {
		return place{}, err
	}
	switch {
	case ref.Part == backend.Metadata && !p.versioned:
		return place{}, backend.Errorf(backend.InvalidRef, "%s: key-value engines of version 1 keep no metadata", path)
	case ref.Part == backend.Metadata && p.metadata == "":
		return place{}, backend.Errorf(backend.InvalidRef, "%s has no data/ in it, so nobody knows where its metadata is", path)
	case ref.Version != "" && !p.versioned && ref.Kind != kindV1:
		return place{}, backend.Errorf(backend.InvalidRef, "%s: key-value engines of version 1 keep no old versions", path)
	}
	return p, nil
}

func (e engine) resolve(kind, path string) (place, error) {
	switch kind {
	case kindV1, kindPath:
		return place{data: path}, nil
	case kindV2:
		p := place{data: path, versioned: true}
		if mount, rest, ok := cutData(path); ok {
			p.metadata = mount + "/metadata/" + rest
		}
		return p, nil
	case "":
	default:
		return place{}, backend.Errorf(backend.InvalidRef, "%q is not a kind of secret in Vault", kind)
	}
	mount, rest := e.mount, e.below(path)
	switch {
	case mount == "" && !e.versioned:
		return place{data: path}, nil
	case mount == "":
		var ok bool
		if mount, rest, ok = cutData(path); !ok {
			mount, rest, _ = strings.Cut(path, "/")
		}
	}
	if rest == "" {
		return place{}, backend.Errorf(backend.InvalidRef, "%s is the mount of an engine, and not a secret in it", path)
	}
	if !e.versioned {
		return place{data: mount + "/" + rest}, nil
	}
	return place{data: mount + "/data/" + rest, metadata: mount + "/metadata/" + rest, versioned: true}, nil
}

// below is a key without the mount, and data/ after it, that External Secrets
// Operator let people write.
func (e engine) below(path string) string {
	if e.whole {
		return path
	}
	rest, ok := strings.CutPrefix(path, e.mount+"/")
	if !ok {
		return path
	}
	if e.versioned {
		rest = strings.TrimPrefix(rest, "data/")
	}
	return rest
}

// spelled is the key of a path below the mount. One that begins like the mount
// has it once more, so that it is not taken off.
func (e engine) spelled(below string) string {
	if e.mount != "" && e.below(below) != below {
		return e.mount + "/" + below
	}
	return below
}

// cutData splits the path of a secret in an engine of version 2.
func cutData(path string) (mount, rest string, ok bool) {
	mount, rest, ok = strings.Cut(path, "/data/")
	return mount, rest, ok && mount != "" && rest != ""
}

// ofNobody refuses the parts of the API that hold no secrets of engines. One
// of them answers the token itself that the store logged in with, which in a
// store for several namespaces is more than each of them has. A namespace of
// Vault may be at the beginning of a path.
func ofNobody(path string) error {
	padded := "/" + path + "/"
	if strings.HasPrefix(padded, "/sys/") || strings.Contains(padded, "/auth/token/") {
		return backend.Errorf(backend.InvalidRef, "%s is a part of Vault's own API, and not a secret", path)
	}
	return nil
}

// spellings are the keys of manifests that mean the secret at a path below the
// mount of an engine.
func (e engine) spellings(mount, path string) []string {
	if !e.versioned {
		full := mount + "/" + path
		if e.mount == "" {
			return []string{full}
		}
		if rest, ok := strings.CutPrefix(full, e.mount+"/"); ok {
			return []string{rest}
		}
		return nil
	}
	rest, ok := strings.CutPrefix(path, "data/")
	switch {
	case !ok:
		return nil
	case e.mount == "" && strings.Contains("/"+rest, "/data/"):
		return []string{mount + "/data/" + rest} // without the first data/, the next one would count
	case e.mount == "":
		return []string{mount + "/data/" + rest, mount + "/" + rest}
	case e.mount == mount:
		return []string{e.spelled(rest)}
	}
	return nil
}
