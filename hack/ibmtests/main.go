// SPDX-License-Identifier: Apache-2.0

// Command ibmtests prints which of IBM's own integration tests for Secrets Manager pass against the stand-in
// (internal/dev/ibmsm), as the table in docs/ibm-stand-in.md. The list itself is testdata/expected.txt, and the test of
// this package runs IBM's tests, unmodified, from the SDK's module and fails when the list is not what happens.
//
// It is a module of its own so that the test libraries IBM uses stay out of Lockstep's dependencies.
package main

import (
	_ "embed"
	"fmt"
	"os"
)

//go:embed testdata/expected.txt
var expectedText string

func main() {
	list, err := parseExpected(expectedText)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(table(list))
}
