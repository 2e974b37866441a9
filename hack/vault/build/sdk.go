// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

const (
	sdkModule = "github.com/hashicorp/vault/sdk"
	// addition goes into the package of its name in the sdk.
	addition = "certutil/basicconstraints.go"
)

// completeSDK copies the sdk into the work folder, adds the function that its
// published version lacks, and writes a go.mod that uses the copy; it returns
// that file. Without the function everything compiles but the PKI engine.
//
// A copy, because Go refuses to overlay a module of its cache.
func completeSDK(ctx context.Context, tool goTool, work string) (string, error) {
	text, err := tool.run(ctx, "mod", "download", "-json", sdkModule)
	if err != nil {
		return "", err
	}
	var published struct{ Dir string }
	if err := json.Unmarshal([]byte(text), &published); err != nil {
		return "", fmt.Errorf("find the sdk: %w", err)
	}
	dir := filepath.Join(work, "sdk")
	if err := os.CopyFS(dir, os.DirFS(published.Dir)); err != nil {
		return "", fmt.Errorf("copy the sdk: %w", err)
	}
	modfile := filepath.Join(work, "go.mod")
	for _, c := range []struct{ from, to string }{
		{addition, filepath.Join(dir, "helper", addition)},
		{"go.mod", modfile},
		{"go.sum", filepath.Join(work, "go.sum")},
	} {
		text, err := os.ReadFile(c.from)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(c.to, text, 0o600); err != nil {
			return "", err
		}
	}
	_, err = tool.run(ctx, "mod", "edit", "-replace", sdkModule+"="+dir, modfile)
	return modfile, err
}
