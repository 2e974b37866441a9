// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	packageurl "github.com/package-url/packageurl-go"
)

// specVersion is what scanners of the year before read.
const specVersion = cdx.SpecVersion1_6

// writeSBOM writes what a binary was made of, as it says itself, in CycloneDX's
// JSON. There is no time and no serial number in it: it is as reproducible as
// the image.
func writeSBOM(binary, version, target string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("what the binary was made of: %w", err)
	}
	bom := cdx.NewBOM()
	program := component(cdx.ComponentTypeApplication, info.Main.Path, version)
	bom.Metadata = &cdx.Metadata{Component: &program}
	components := []cdx.Component{component(cdx.ComponentTypeLibrary, "std", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, dep := range info.Deps {
		components = append(components, module(dep))
	}
	certificates, err := own("golang.org/x/crypto/x509roots/fallback")
	if err != nil {
		return err
	}
	components = append(components, component(cdx.ComponentTypeData, certificates.Path, certificates.Version))
	bom.Components = &components
	refs := make([]string, 0, len(components))
	for _, c := range components {
		refs = append(refs, c.BOMRef)
	}
	bom.Dependencies = &[]cdx.Dependency{{Ref: program.BOMRef, Dependencies: &refs}}

	var out bytes.Buffer
	encoder := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON)
	encoder.SetPretty(true)
	if err := encoder.EncodeVersion(bom, specVersion); err != nil {
		return fmt.Errorf("write the SBOM: %w", err)
	}
	return os.WriteFile(target, out.Bytes(), 0o644)
}

// module is a dependency as it was compiled: a replaced one is what replaced it.
func module(dep *debug.Module) cdx.Component {
	if dep.Replace != nil {
		dep = dep.Replace
	}
	return component(cdx.ComponentTypeLibrary, dep.Path, dep.Version)
}

func component(kind cdx.ComponentType, path, version string) cdx.Component {
	namespace, name := "", path
	if i := strings.LastIndex(path, "/"); i >= 0 {
		namespace, name = path[:i], path[i+1:]
	}
	purl := packageurl.NewPackageURL(packageurl.TypeGolang, namespace, name, version, nil, "").ToString()
	return cdx.Component{Type: kind, BOMRef: purl, Name: path, Version: version, PackageURL: purl}
}

// own is a module of this program, which says where the certificates are from.
func own(path string) (*debug.Module, error) {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, dep := range info.Deps {
			if dep.Path == path {
				return dep, nil
			}
		}
	}
	return nil, fmt.Errorf("this program does not say which version of %s it has", path)
}
