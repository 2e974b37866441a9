// SPDX-License-Identifier: Apache-2.0

// Package helm pins the Helm that bin/helm is built from, and tests the chart
// in deploy/charts with it. It is a module of its own so that nothing of Helm
// reaches the program.
//
// Where to look next: render_test.go for how a test sees what the chart makes,
// predecessors_test.go for values files of other charts. What holds in a
// cluster is in test/.
package helm
