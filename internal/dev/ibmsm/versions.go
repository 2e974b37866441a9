// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"net/http"
	"slices"
)

func (s *Server) createVersion(r *request) (answer, *apiError) {
	sec, apiErr := s.store.get(r.path("id"), r.now)
	if apiErr != nil {
		return answer{}, apiErr
	}
	body, apiErr := r.object()
	if apiErr != nil {
		return answer{}, apiErr
	}
	v, apiErr := s.store.rotate(sec, body, opRotate, r.user, r.now)
	if apiErr != nil {
		return answer{}, apiErr
	}
	return answer{http.StatusCreated, versionWithData(sec, v)}, nil
}

// listVersions lists the newest first.
func (s *Server) listVersions(r *request) (answer, *apiError) {
	sec, apiErr := s.store.get(r.path("id"), r.now)
	if apiErr != nil {
		return answer{}, apiErr
	}
	list := make([]fields, 0, len(sec.versions))
	for _, v := range slices.Backward(sec.versions) {
		list = append(list, versionMetadata(sec, v))
	}
	return answer{http.StatusOK, fields{"versions": list, "total_count": len(list)}}, nil
}

// versionOf finds the secret and the version that the path names.
func (s *Server) versionOf(r *request) (*secret, *version, *apiError) {
	sec, apiErr := s.store.get(r.path("id"), r.now)
	if apiErr != nil {
		return nil, nil, apiErr
	}
	v, apiErr := sec.version(r.path("version"))
	return sec, v, apiErr
}

func (s *Server) getVersion(r *request) (answer, *apiError) {
	sec, v, apiErr := s.versionOf(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	if apiErr := s.reveal(sec, v, r.now); apiErr != nil {
		return answer{}, apiErr
	}
	return answer{http.StatusOK, versionWithData(sec, v)}, nil
}

func (s *Server) getVersionMetadata(r *request) (answer, *apiError) {
	sec, v, apiErr := s.versionOf(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	return answer{http.StatusOK, versionMetadata(sec, v)}, nil
}

// versionPatchFields is all that can be edited on a version.
var versionPatchFields = []fieldRule{{name: "version_custom_metadata", patch: optional, check: checkMetadata}}

func (s *Server) patchVersionMetadata(r *request) (answer, *apiError) {
	sec, v, apiErr := s.versionOf(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	patch, apiErr := r.object()
	if apiErr != nil {
		return answer{}, apiErr
	}
	before := fields{"version_custom_metadata": orEmptyObject(v.custom)}
	after := object(mergePatch(before, patch))
	if apiErr := validate(after, versionPatchFields, opPatch, r.now); apiErr != nil {
		return answer{}, apiErr
	}
	v.custom, sec.updated = object(after["version_custom_metadata"]), r.now
	return answer{http.StatusOK, versionMetadata(sec, v)}, nil
}

func (s *Server) deleteVersionData(r *request) (answer, *apiError) {
	sec, v, apiErr := s.versionOf(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	if drops := secretTypes[sec.typ].drops; len(drops) == 0 {
		return answer{}, errInvalid("/secret_type", "the data of a version cannot be deleted for this secret type")
	} else if !slices.Contains(drops, sec.alias(v)) {
		return answer{}, errInvalid("/id", "the data of this version cannot be deleted")
	}
	if len(v.locks) > 0 {
		return answer{}, errLocked()
	}
	s.store.drop(v)
	sec.updated = r.now
	return answer{status: http.StatusNoContent}, nil
}
