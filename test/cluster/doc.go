// SPDX-License-Identifier: Apache-2.0

// Package cluster tests what people install, where they install it: the image,
// by the Helm chart, on a cluster whose kubelet runs the pods (package
// internal/dev/node). Lockstep has the rights that the chart gives it and nothing
// more. The manager is the stand-in for IBM's, in the process of the tests.
//
// There is one cluster and one test whose steps build on each other, from the
// first installation to the last removal; cluster_test.go lists them. It is not
// among those of make test: make test-cluster runs it, as root.
package cluster
