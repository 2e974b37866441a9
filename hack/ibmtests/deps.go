// SPDX-License-Identifier: Apache-2.0

//go:build deps

package main

// What IBM's tests import: never compiled here, but it keeps the modules in go.mod and go.sum for `go test -c`.
import (
	_ "github.com/IBM/go-sdk-core/v5/core"
	_ "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
	_ "github.com/go-openapi/strfmt"
	_ "github.com/onsi/ginkgo"
	_ "github.com/onsi/gomega"
)
