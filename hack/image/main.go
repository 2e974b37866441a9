// SPDX-License-Identifier: Apache-2.0

// Command image makes the image of Lockstep without Docker and without a base
// image: the static binary, the certificates of the public CAs, and a user who
// is not root. Two runs on the same sources give the same digest.
//
// It knows nothing of registries: what it makes are files. Where to look next:
// binary.go for how the binary is compiled, rootfs.go for what is in the image,
// sbom.go for what is said of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// options are what the image is made of.
type options struct {
	source    string // folder of Lockstep's module
	out       string
	version   string
	platforms []v1.Platform
	tag       name.Tag // in the archives, for who loads them into a container runtime
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	digest, err := build(ctx, o)
	if err != nil {
		return err
	}
	fmt.Printf("%s: lockstep %s, %s\n", o.out, o.version, digest)
	return nil
}

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	source := flags.String("source", "../..", "`folder` of Lockstep's module")
	out := flags.String("o", "../../bin/image", "`folder` to write to; what is in it is replaced")
	version := flags.String("version", "dev", "what the binary and the image say of themselves")
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "what to build for, separated by commas")
	tag := flags.String("tag", "", "`name:tag` in the archives (default lockstep:VERSION)")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	o := options{source: *source, out: *out, version: *version}
	for _, text := range strings.Split(*platforms, ",") {
		p, err := v1.ParsePlatform(text)
		if err != nil || p.Architecture == "" {
			return options{}, fmt.Errorf("-platforms: %q is not a platform such as linux/amd64", text)
		}
		o.platforms = append(o.platforms, *p)
	}
	if *tag == "" {
		*tag = "lockstep:" + *version
	}
	var err error
	o.tag, err = name.NewTag(*tag)
	if err != nil {
		return options{}, fmt.Errorf("-tag: %w", err)
	}
	return o, nil
}

// build makes the image of every platform, and returns the digest of the whole:
// an OCI layout in o.out/oci, and for each platform an archive and an SBOM.
func build(ctx context.Context, o options) (v1.Hash, error) {
	if err := os.RemoveAll(o.out); err != nil {
		return v1.Hash{}, err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return v1.Hash{}, err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, platform := range o.platforms {
		stem := filepath.Join(o.out, fmt.Sprintf("lockstep-%s-%s", platform.OS, platform.Architecture))
		binary, err := compile(ctx, o, platform, stem)
		if err != nil {
			return v1.Hash{}, err
		}
		if err := writeSBOM(binary, o.version, stem+".cdx.json"); err != nil {
			return v1.Hash{}, err
		}
		img, err := image(binary, o.version, platform)
		if err != nil {
			return v1.Hash{}, err
		}
		if err := tarball.WriteToFile(stem+".tar", o.tag, img); err != nil {
			return v1.Hash{}, fmt.Errorf("write the archive: %w", err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	if _, err := layout.Write(filepath.Join(o.out, "oci"), index); err != nil {
		return v1.Hash{}, fmt.Errorf("write the layout: %w", err)
	}
	return index.Digest()
}
