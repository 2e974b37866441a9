// SPDX-License-Identifier: Apache-2.0

// Package cases holds what becomes of whole manifests, as files: a manifest, what
// the store holds, what stands in the cluster, and the Secret, the status and
// the writes that are wanted. It runs the pure packages one after the other, as
// internal/controller does, with the real code of the product and without a
// cluster. It has no code of its own; details of single steps are tested in
// their packages, and the shell around them in internal/controller.
//
// # Adding a case
//
// No Go is needed. Copy a file of testdata, say what it shows in the lines above
// the first file in it, change what goes in, and run
//
//	go test ./internal/cases -update
//
// which writes what comes out into the case. Read it: it is right only if you
// say so. A case is a text archive; each file in it begins with a line such as
//
//	-- manifest.yaml --
//
// These go in, and only the first must be there:
//
//	manifest.yaml   the ExternalSecret; a status in it is what an earlier sync told
//	store.yaml      what the instance of IBM Cloud Secrets Manager holds
//	store.json      the same as JSON, where the order of members matters
//	namespace.yaml  the Namespace, for its annotations
//	current.yaml    the Secret as it stands; values in data or stringData
//	env             environment variables of the operator, NAME=VALUE on each line
//	flags           flags of the controller: --adopt=replace
//
// And these come out:
//
//	secret.yaml     the Secret afterwards, or none; text is shown as stringData
//	status.txt      the status of the ExternalSecret
//	changes.txt     the writes to Secrets: create, update, delete, one on each line
//
// After that the case is synced once more, and nothing may be written or said.
//
// The store is a map from ids to secrets with the field names of the product's
// API v2:
//
//	e0246cea-d668-aba7-eef2-58ca11ad3707:
//	  secret_type: username_password
//	  username: user123
//	  password: cloudy-rainy-coffee-book
//	f1b5d36c-71f0-4a4e-8a35-0d9d2f3b6c11:
//	  secret_type: kv
//	  data: {host: db, port: 5432}
//	0c1f6fae-9f8e-4f0c-8a9a-5d2a43c5d0ee:
//	  secret_type: arbitrary
//	  payload: text
//	  error: {code: RateLimited, failing: 5s}
//
// For keyByName, a secret has a name as well. An id that is not there is
// NotFound. An error is what the service answers with instead: NotFound,
// PermissionDenied, Unauthenticated, RateLimited, Unavailable, Conflict,
// Unknown, or Unreachable for no answer at all; failing is for how long. A
// secret that has an error and a secret_type was read before. Instead of an id,
// "*" means every secret and iam the login. For a large value write fill:
// 1048576 in place of the payload, for that many bytes.
package cases
