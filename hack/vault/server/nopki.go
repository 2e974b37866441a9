// SPDX-License-Identifier: Apache-2.0

//go:build !pki

package main

import "github.com/hashicorp/vault/sdk/logical"

// pkiFactory is missing when the server is compiled with the sdk as published.
var pkiFactory logical.Factory
