// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// made is a folder that build filled for the two platforms that are shipped.
func made(t *testing.T, source string) (string, v1.Hash) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image")
	o, err := parse([]string{"-source", source, "-o", out, "-version", "v9.8.7", "-tag", "lockstep:dev"})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return out, digest
}

// TestImage looks at all that one build leaves.
func TestImage(t *testing.T) {
	out, digest := made(t, "../..")
	t.Run("Reproducible", func(t *testing.T) { reproducible(t, digest) })
	index, err := layout.ImageIndexFromPath(filepath.Join(out, "oci"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("the layout is not as OCI has it: %v", err)
	}
	if got, err := index.Digest(); err != nil || got != digest {
		t.Errorf("digest %s, %v; %s was printed", got, err, digest)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var architectures []string
	for _, m := range manifest.Manifests {
		architectures = append(architectures, m.Platform.Architecture)
		img, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(m.Platform.Architecture, func(t *testing.T) {
			config(t, img, m.Platform.Architecture)
			contents(t, img, m.Platform.Architecture)
			stem := filepath.Join(out, "lockstep-linux-"+m.Platform.Architecture)
			archived(t, stem+".tar", m.Digest)
			sbom(t, stem)
		})
	}
	if want := []string{"amd64", "arm64"}; !slices.Equal(architectures, want) {
		t.Errorf("platforms %v, want %v", architectures, want)
	}
}

// reproducible builds again, from a copy in another folder.
func reproducible(t *testing.T, want v1.Hash) {
	source := t.TempDir()
	for _, dir := range []string{"api", "backend", "backends", "cmd", "deploy", "internal"} {
		if err := os.CopyFS(filepath.Join(source, dir), os.DirFS(filepath.Join("../..", dir))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(source, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, got := made(t, source); got != want {
		t.Errorf("the same sources gave %s and %s", want, got)
	}
}

// config is what a kubelet reads.
func config(t *testing.T, img v1.Image, architecture string) {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c.Config.User != "65532:65532" {
		t.Errorf("user %q: runAsNonRoot needs a number that is not 0", c.Config.User)
	}
	if !slices.Equal(c.Config.Entrypoint, []string{"/lockstep"}) || len(c.Config.Env) != 0 {
		t.Errorf("entrypoint %v, environment %v", c.Config.Entrypoint, c.Config.Env)
	}
	if c.OS != "linux" || c.Architecture != architecture || c.Config.Labels["org.opencontainers.image.version"] != "v9.8.7" {
		t.Errorf("%s/%s, labels %v", c.OS, c.Architecture, c.Config.Labels)
	}
	if !c.Created.IsZero() {
		t.Errorf("created %s: the image says when it was built", c.Created)
	}
}

// contents are the files: a static binary, CAs, and nothing that more than its
// owner, root, may write or that runs as somebody else.
func contents(t *testing.T, img v1.Image, architecture string) {
	t.Helper()
	files := map[string][]byte{}
	r := tar.NewReader(mutate.Extract(img))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode&0o7022 != 0 || h.Uid != 0 || h.Gid != 0 || !h.ModTime.IsZero() && h.ModTime.Unix() != 0 {
			t.Errorf("%s: mode %o, %d:%d, %s", h.Name, h.Mode, h.Uid, h.Gid, h.ModTime)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	binary, err := elf.NewFile(bytes.NewReader(files["lockstep"]))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[architecture]; binary.Machine != want {
		t.Errorf("the binary is for %s", binary.Machine)
	}
	for _, p := range binary.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary is not static: it has a %s", p.Type)
		}
	}
	if !bytes.Contains(files["lockstep"], []byte("v9.8.7")) {
		t.Error("the binary does not know its version")
	}
	here, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(files["lockstep"], []byte(here)) {
		t.Errorf("the binary has a path of this machine: %s", here)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(files["etc/ssl/certs/ca-certificates.crt"]) {
		t.Fatal("no CAs")
	}
	if n := strings.Count(string(files["etc/ssl/certs/ca-certificates.crt"]), "BEGIN CERTIFICATE"); n < 100 {
		t.Errorf("%d CAs only", n)
	}
}

// archived is what ctr images import and docker load take.
func archived(t *testing.T, file string, want v1.Hash) {
	t.Helper()
	tag, err := name.NewTag("lockstep:dev")
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(file, &tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	got, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got.Config.User == "" {
		t.Errorf("the archive of %s has another configuration: %+v", want, got.Config)
	}
}

// sbom names every module that is in the binary.
func sbom(t *testing.T, stem string) {
	t.Helper()
	text, err := os.ReadFile(stem + ".cdx.json")
	if err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, c := range *bom.Components {
		listed[c.Name] = c.Version
	}
	info, err := buildinfo.ReadFile(stem)
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range info.Deps {
		if listed[dep.Path] != dep.Version {
			t.Errorf("%s is %s in the binary and %q in the SBOM", dep.Path, dep.Version, listed[dep.Path])
		}
	}
	for _, name := range []string{"std", "golang.org/x/crypto/x509roots/fallback", "k8s.io/client-go"} {
		if listed[name] == "" {
			t.Errorf("the SBOM does not have %s", name)
		}
	}
	if bom.Metadata.Component.Version != "v9.8.7" || bom.Metadata.Timestamp != "" || bom.SerialNumber != "" {
		t.Errorf("SBOM of %+v at %q, %q", bom.Metadata.Component, bom.Metadata.Timestamp, bom.SerialNumber)
	}
}
