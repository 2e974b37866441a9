// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"regexp"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

var (
	// idGrammar keeps path segments such as ".." out of the request; ids are
	// UUIDs.
	idGrammar = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,127}$`)
	// nameGrammar is IBM's for the names of secrets, and a little more. Like
	// ids, names and groups become path segments.
	nameGrammar = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z._-]{1,255}$`)
	// groupGrammar is wide: IBM has none. Dots of their own are found apart.
	groupGrammar = regexp.MustCompile(`^[^\\%\x00-\x1f\x7f]{1,128}$`)
	dotSegment   = regexp.MustCompile(`(^|/)\.\.?(/|$)`)
	// uuid tells ids from names where a key may be either.
	uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
)

// The names that the product has for versions, besides their ids.
const (
	versionCurrent  = "current"
	versionPrevious = "previous"
)

// parseRef reads a key as a dialect writes it. KES ignored the versions in a
// manifest for this product, and so do we there.
func parseRef(d backend.Dialect, k backend.Key) (backend.Ref, error) {
	switch d {
	case backend.KES:
		return parseKES(k)
	case backend.ESO:
		return parseESO(k)
	}
	return backend.Ref{}, backend.Errorf(backend.InvalidRef, "IBM Cloud Secrets Manager is not served for %s manifests by this version of Lockstep", d)
}

// parseKES reads a key with a type, which is an id or, with keyByName, a name.
// The texts are those of KES and of IBM's v1 client.
func parseKES(k backend.Key) (backend.Ref, error) {
	if k.Args["keyByName"] == "true" {
		switch {
		case k.Kind == "":
			return backend.Ref{}, noneNamed("undefined", k.Key)
		case !slices.Contains(served, k.Kind) || !nameGrammar.MatchString(k.Key):
			return backend.Ref{}, noneNamed(k.Kind, k.Key)
		}
		return backend.Ref{Path: k.Key, Kind: k.Kind, Args: "name"}, nil
	}
	if k.Kind == "" {
		return backend.Ref{}, backend.Errorf(backend.InvalidRef, "Missing required parameters: secretType")
	}
	if !slices.Contains(served, k.Kind) {
		return backend.Ref{}, backend.Errorf(backend.InvalidRef,
			"secretType %q is not one that IBM Cloud Secrets Manager has; use one of %s", k.Kind, strings.Join(served, ", "))
	}
	if !idGrammar.MatchString(k.Key) {
		return backend.Ref{}, badID(k.Key)
	}
	return backend.Ref{Path: k.Key, Kind: k.Kind}, nil
}

// parseESO reads [[group/]type/]key. The key is a UUID, to which the group does
// not matter, or a name, which has to have one. Without a type it is arbitrary.
//
// ESO ignored versions. Here they count, and one that the product cannot have
// is refused: that it is missing would let a policy remove what stood so far.
func parseESO(k backend.Key) (backend.Ref, error) {
	ref, err := parsePath(k)
	if err != nil {
		return backend.Ref{}, err
	}
	switch {
	case k.Version == "" || k.Version == versionCurrent:
	case k.Version == versionPrevious || uuid.MatchString(k.Version):
		ref.Version = k.Version
	default:
		return backend.Ref{}, backend.Errorf(backend.InvalidRef,
			"%q is not a version of a secret in IBM Cloud Secrets Manager: use %s, %s or an id", k.Version, versionCurrent, versionPrevious)
	}
	// The metadata comes with the value, and reading the value twice would make
	// two keys of which only the second one is good.
	if ref.Kind != mutatingType {
		ref.Part = k.Part
	}
	return ref, nil
}

// parsePath reads a key alone.
func parsePath(k backend.Key) (backend.Ref, error) {
	parts := strings.Split(k.Key, "/")
	if len(parts) > 3 || slices.Contains(parts, "") {
		return backend.Ref{}, backend.Errorf(backend.InvalidRef, "%q is not a key of IBM Cloud Secrets Manager: use group/type/name or type/id", k.Key)
	}
	ref := backend.Ref{Path: parts[len(parts)-1], Kind: typeArbitrary}
	if len(parts) > 1 {
		ref.Kind = parts[len(parts)-2]
	}
	if !slices.Contains(served, ref.Kind) {
		return backend.Ref{}, backend.Errorf(backend.InvalidRef,
			"secret type %q is not one that IBM Cloud Secrets Manager has; use one of %s", ref.Kind, strings.Join(served, ", "))
	}
	switch {
	case uuid.MatchString(ref.Path):
		return ref, nil
	case len(parts) < 3:
		return backend.Ref{}, backend.Errorf(backend.InvalidRef,
			"secret group name is missing: %q is not the id of a secret, and names are written group/type/name", ref.Path)
	case !isGroup(parts[0]):
		return backend.Ref{}, badGroup(parts[0])
	case !nameGrammar.MatchString(ref.Path):
		return backend.Ref{}, noneNamed(ref.Kind, ref.Path)
	}
	ref.Args = "name:" + parts[0]
	return ref, nil
}

// readable finds questions that cannot be right before they are asked. A Ref
// has a Kind here: asking for a secret of an unknown type may change it, for
// IBM makes a new key for each reader of some iam_credentials.
func readable(ref backend.Ref) error {
	group, named := byName(ref)
	switch {
	case !named && ref.Args != "":
		return backend.Errorf(backend.InvalidRef, "%q says nothing about a secret in IBM Cloud Secrets Manager", ref.Args)
	case !named && !idGrammar.MatchString(ref.Path):
		return badID(ref.Path)
	case named && !nameGrammar.MatchString(ref.Path):
		return noneNamed(ref.Kind, ref.Path)
	case group != "" && !isGroup(group):
		return badGroup(group)
	}
	if ref.Version != "" && !idGrammar.MatchString(ref.Version) {
		return backend.Errorf(backend.InvalidRef, "%q is not a version of a secret in IBM Cloud Secrets Manager", ref.Version)
	}
	if !slices.Contains(served, ref.Kind) {
		return backend.Errorf(backend.InvalidRef, "secrets of type %q are not supported by this version of Lockstep", ref.Kind)
	}
	if ref.Part != backend.Data && ref.Kind == mutatingType {
		return backend.Errorf(backend.InvalidRef, "the metadata of %s is not read, for that would read its value once more", ref)
	}
	return nil
}

func badID(id string) error {
	return backend.Errorf(backend.InvalidRef, "%q is not the id of a secret in IBM Cloud Secrets Manager", id)
}

// isGroup reports whether a secret group may have the name.
func isGroup(name string) bool {
	return groupGrammar.MatchString(name) && !dotSegment.MatchString(name)
}

func badGroup(name string) error {
	return backend.Errorf(backend.InvalidRef, "%q is not the name of a secret group in IBM Cloud Secrets Manager", name)
}

// noneNamed is what KES said of every name that it did not find. No secret can
// have this one.
func noneNamed(kind, name string) error {
	return backend.Errorf(backend.InvalidRef, "No %s secret named %s", kind, name)
}
