// SPDX-License-Identifier: Apache-2.0

// Package deploy carries into the binary what a cluster needs before Lockstep
// can run in it. It holds files, no code: the command line reads them, and so
// do tests, that they may run with what is shipped. The CRDs are made by
// hack/crds from api/.
package deploy

import "embed"

// CRDs holds the CRDs of every dialect, one a file, below crds/.
//
//go:embed crds/*.yaml
var CRDs embed.FS

// RBAC holds what Lockstep may do in a cluster, below rbac/: base.yaml, and
// cluster.yaml or namespace.yaml; -eso are what that dialect needs besides.
//
//go:embed rbac/*.yaml
var RBAC embed.FS
