// SPDX-License-Identifier: Apache-2.0

// Package ibmsm is a stand-in for IBM Cloud Secrets Manager: it speaks the service's API v2 and IAM's token endpoint
// over HTTP, on one address, with its state in memory. It exists so that Lockstep's IBM backend can be developed,
// tested and demonstrated through IBM's official SDK without an account.
//
// It is not a secret store: nothing is encrypted, nothing is kept, and the endpoints below /_standin/ ask for no
// credentials. Bind it to 127.0.0.1. It serves all nine secret types, but the engines behind them are its own: nothing
// outside of it is asked, and nothing rotates by itself. Where IBM's documentation is silent it takes the stricter
// reading. docs/ibm-stand-in.md lists what is served, what is assumed, and which of IBM's own integration tests pass
// (hack/ibmtests proves it).
//
// Start with [New]; routes.go is the list of endpoints, catalogue.go that of the secret types, faults.go, backdoor.go
// and control.go what tests may do to the server from outside the protocol.
package ibmsm
