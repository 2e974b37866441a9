// SPDX-License-Identifier: Apache-2.0

//go:build linux

package node

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path"
	"runtime"
)

// Image packs one static program into an image, as a docker-archive: what
// docker save writes and Load takes. It is the entry point, and runs as nobody
// in particular. Nothing else is in the image.
func Image(name, program string) ([]byte, error) {
	text, err := os.ReadFile(program) //nolint:gosec // a program that the caller built
	if err != nil {
		return nil, err
	}
	entry := "/" + path.Base(program)
	layer, err := archive(file{path.Base(program), 0o755, text})
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{
		"os": "linux", "architecture": runtime.GOARCH,
		"config": map[string]any{"Entrypoint": []string{entry}, "User": "65532:65532"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal([]map[string]any{
		{"Config": digest(config) + ".json", "RepoTags": []string{"docker.io/" + name}, "Layers": []string{"layer.tar"}},
	})
	if err != nil {
		return nil, err
	}
	return archive(file{digest(config) + ".json", 0o644, config}, file{"layer.tar", 0o644, layer}, file{"manifest.json", 0o644, manifest})
}

type file struct {
	name string
	mode int64
	text []byte
}

func archive(list ...file) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range list {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.text))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.text); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), w.Close()
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
