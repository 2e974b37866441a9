// SPDX-License-Identifier: Apache-2.0

package ibmsm

// Kind classes requests for counting and for faults.
type Kind string

// The kinds of request. A kind says what a request costs a caller, not which endpoint it is.
const (
	KindToken     Kind = "token"
	KindGet       Kind = "get"         // a value by id: of a secret or of one of its versions
	KindGetByName Kind = "get_by_name" // a value by group, type and name
	KindList      Kind = "list"        // a page of secrets
	KindMetadata  Kind = "metadata"    // metadata of a secret or a version, or the list of versions
	KindCreate    Kind = "create"
	KindRotate    Kind = "rotate" // a new version
	KindDelete    Kind = "delete" // of a secret
	KindOther     Kind = "other"  // groups, edits, locks, actions, configurations, and what is not served
)

// route is one endpoint: the least role it needs, whether {id} is a secret, and what answers it.
type route struct {
	pattern string
	kind    Kind
	role    Role
	secret  bool
	do      func(*Server, *request) (answer, *apiError)
}

// routes is every endpoint of IAM and of the service.
var routes = []route{
	{"POST /identity/token", KindToken, NoRole, false, (*Server).token},

	{"POST /api/v2/secret_groups", KindOther, Manager, false, (*Server).createGroup},
	{"GET /api/v2/secret_groups", KindOther, Reader, false, (*Server).listGroups},
	{"GET /api/v2/secret_groups/{id}", KindOther, Reader, false, (*Server).getGroup},
	{"PATCH /api/v2/secret_groups/{id}", KindOther, Manager, false, (*Server).patchGroup},
	{"DELETE /api/v2/secret_groups/{id}", KindOther, Manager, false, (*Server).deleteGroup},

	{"POST /api/v2/secrets", KindCreate, Writer, false, (*Server).createSecret},
	{"GET /api/v2/secrets", KindList, Reader, false, (*Server).listSecrets},
	{"GET /api/v2/secrets/{id}", KindGet, SecretsReader, true, (*Server).getSecret},
	{"DELETE /api/v2/secrets/{id}", KindDelete, Manager, true, (*Server).deleteSecret},
	{"GET /api/v2/secrets/{id}/metadata", KindMetadata, Reader, true, (*Server).getMetadata},
	{"PATCH /api/v2/secrets/{id}/metadata", KindOther, Writer, true, (*Server).patchMetadata},
	{"GET /api/v2/secret_groups/{group}/secret_types/{type}/secrets/{name}", KindGetByName, SecretsReader, true, (*Server).getByName},

	{"POST /api/v2/secrets/{id}/versions", KindRotate, Writer, true, (*Server).createVersion},
	{"GET /api/v2/secrets/{id}/versions", KindMetadata, Reader, true, (*Server).listVersions},
	{"GET /api/v2/secrets/{id}/versions/{version}", KindGet, SecretsReader, true, (*Server).getVersion},
	{"GET /api/v2/secrets/{id}/versions/{version}/metadata", KindMetadata, Reader, true, (*Server).getVersionMetadata},
	{"PATCH /api/v2/secrets/{id}/versions/{version}/metadata", KindOther, Writer, true, (*Server).patchVersionMetadata},
	{"DELETE /api/v2/secrets/{id}/versions/{version}/secret_data", KindOther, Manager, true, (*Server).deleteVersionData},

	{"GET /api/v2/secrets_locks", KindOther, Reader, false, (*Server).listSecretsLocks},
	{"GET /api/v2/secrets/{id}/locks", KindOther, Reader, true, (*Server).listLocks},
	{"POST /api/v2/secrets/{id}/locks_bulk", KindOther, Manager, true, (*Server).createLocks},
	{"DELETE /api/v2/secrets/{id}/locks_bulk", KindOther, Manager, true, (*Server).deleteLocks},
	{"GET /api/v2/secrets/{id}/versions/{version}/locks", KindOther, Reader, true, (*Server).listLocks},
	{"POST /api/v2/secrets/{id}/versions/{version}/locks_bulk", KindOther, Manager, true, (*Server).createLocks},
	{"DELETE /api/v2/secrets/{id}/versions/{version}/locks_bulk", KindOther, Manager, true, (*Server).deleteLocks},

	{"POST /api/v2/configurations", KindOther, Manager, false, (*Server).createConfig},
	{"GET /api/v2/configurations", KindOther, Reader, false, (*Server).listConfigs},
	{"GET /api/v2/configurations/{name}", KindOther, SecretsReader, false, (*Server).getConfig},
	{"PATCH /api/v2/configurations/{name}", KindOther, Manager, false, (*Server).patchConfig},
	{"DELETE /api/v2/configurations/{name}", KindOther, Manager, false, (*Server).deleteConfig},
	{"POST /api/v2/configurations/{name}/actions", KindOther, Manager, false, (*Server).configAction},

	{"POST /api/v2/notifications/registration", KindOther, Manager, false, (*Server).register},
	{"GET /api/v2/notifications/registration", KindOther, Manager, false, (*Server).getRegistration},
	{"DELETE /api/v2/notifications/registration", KindOther, Manager, false, (*Server).unregister},
	{"GET /api/v2/notifications/registration/test", KindOther, Manager, false, (*Server).testRegistration},

	{"POST /api/v2/secrets/{id}/actions", KindOther, Writer, true, (*Server).secretAction},
	{"POST /api/v2/secrets/{id}/versions/{version}/actions", KindOther, Writer, true, (*Server).versionAction},
	{"/api/v2/secrets/{id}/tasks", KindOther, Reader, true, unserved("tasks")},
	{"/api/v2/secrets/{id}/tasks/", KindOther, Reader, true, unserved("tasks")},

	{"/", KindOther, NoRole, false, notFound},
}

// unserved answers an endpoint that IBM has and this server has not. 501, because the SDK retries every other 5xx.
func unserved(what string) func(*Server, *request) (answer, *apiError) {
	return func(*Server, *request) (answer, *apiError) { return answer{}, errUnserved(what) }
}

// notFound answers everything else, among it API v1, which IBM removed in October 2023.
func notFound(_ *Server, r *request) (answer, *apiError) {
	return answer{}, &apiError{Status: 404, Code: "not_found", Message: r.http.URL.Path + " is not a valid access endpoint."}
}
