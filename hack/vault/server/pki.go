// SPDX-License-Identifier: Apache-2.0

//go:build pki

package main

import (
	"github.com/hashicorp/vault/builtin/logical/pki"
	"github.com/hashicorp/vault/sdk/logical"
)

// pkiFactory makes the PKI engine. It compiles with the completed sdk only,
// see ../sdk, so it has a tag of its own.
var pkiFactory logical.Factory = pki.Factory
