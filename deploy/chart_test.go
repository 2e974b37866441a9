// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"io/fs"
	"os"
	"path"
	"testing"

	"github.com/lockstep-secrets/lockstep/deploy"
)

// TestChartHasTheCRDs: Helm reads no file outside a chart, so it has copies. make
// generate makes them.
func TestChartHasTheCRDs(t *testing.T) {
	t.Parallel()
	const copies = "charts/lockstep/files/crds"
	files, err := fs.Glob(deploy.CRDs, "crds/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		want, err := fs.ReadFile(deploy.CRDs, file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path.Join(copies, path.Base(file)))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s is not what is in the chart (%v): make generate", file, err)
		}
	}
	entries, err := os.ReadDir(copies)
	if err != nil || len(entries) != len(files) {
		t.Errorf("the chart has %d CRDs, want %d: %v", len(entries), len(files), err)
	}
}
