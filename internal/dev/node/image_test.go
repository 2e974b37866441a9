// SPDX-License-Identifier: Apache-2.0

//go:build linux

package node

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unpack reads an archive into memory.
func unpack(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if out[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestImage(t *testing.T) {
	program := filepath.Join(t.TempDir(), "app")
	if err := os.WriteFile(program, []byte("a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	archive, err := Image("team/app:1", program)
	if err != nil {
		t.Fatal(err)
	}
	files := unpack(t, archive)
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil || len(manifest) != 1 {
		t.Fatalf("%s: %v", files["manifest.json"], err)
	}
	m := manifest[0]
	if len(m.RepoTags) != 1 || m.RepoTags[0] != "docker.io/team/app:1" || len(m.Layers) != 1 {
		t.Fatalf("the manifest is %+v", m)
	}
	var config struct {
		Config struct {
			Entrypoint []string
			User       string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(files[m.Config], &config); err != nil {
		t.Fatal(err)
	}
	if c := config.Config; len(c.Entrypoint) != 1 || c.Entrypoint[0] != "/app" || strings.HasPrefix(c.User, "0") || c.User == "" {
		t.Errorf("it starts %q as %q", c.Entrypoint, c.User)
	}
	layer := files[m.Layers[0]]
	if d := config.RootFS.DiffIDs; len(d) != 1 || d[0] != "sha256:"+digest(layer) {
		t.Errorf("the layers are %v", d)
	}
	if got := unpack(t, layer); string(got["app"]) != "a program" || len(got) != 1 {
		t.Errorf("the layer has %v", got)
	}
}

// TestMissing: who lacks a part is told which, and where it comes from.
func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("LOCKSTEP_CONTROL_PLANE", filepath.Join(t.TempDir(), "control-plane"))
	err := Missing()
	if err == nil {
		t.Fatal("nothing is missing on a machine that has nothing")
	}
	for _, want := range []string{"runc: apt-get install runc", "kubelet: make node", "containerd: make node"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

func TestLogs(t *testing.T) {
	n := &Node{Dir: t.TempDir()}
	for name, text := range map[string]string{
		"0.log": "2026-01-01T00:00:00.000000000Z stdout F one\n2026-01-01T00:00:00.000000000Z stderr F two two\n",
		"1.log": "2026-01-01T00:00:01.000000000Z stdout F three\n",
	} {
		if err := write(n.file("log", "pods", "a_b_uid", "c", name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := n.Logs("a", "b", "c")
	if err != nil || got != "one\ntwo two\nthree\n" {
		t.Errorf("got %q, %v", got, err)
	}
}
