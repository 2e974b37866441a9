// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A tree is what rules look at: the files of a module, with the slash-separated
// paths that they have in it.
type tree struct {
	fset  *token.FileSet
	files []file // Go files, but those in testdata
	texts []text // files of every kind
}

type file struct {
	path string
	ast  *ast.File
}

type text struct {
	path  string
	bytes []byte
}

func (f file) dir() string { return path.Dir(f.path) }

func (f file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

// imports maps each import path to its position.
func (f file) imports() map[string]token.Pos {
	out := map[string]token.Pos{}
	for _, spec := range f.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			out[p] = spec.Pos()
		}
	}
	return out
}

// at formats a complaint about a place in f.
func (t tree) at(f file, pos token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", f.path, t.fset.Position(pos).Line, fmt.Sprintf(format, args...))
}

// largest is the size above which a file is data, not text that people write.
const largest = 1 << 20

// load reads all of fsys but what Git and the build keep for themselves.
func load(fsys fs.FS) (tree, error) {
	t := tree{fset: token.NewFileSet()}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "node_modules"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return t.add(fsys, name)
	})
	return t, err
}

func (t *tree) add(fsys fs.FS, name string) error {
	info, err := fs.Stat(fsys, name)
	if err != nil || info.Size() > largest {
		return err
	}
	raw, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	if bytes.IndexByte(raw, 0) < 0 {
		t.texts = append(t.texts, text{path: name, bytes: raw})
	}
	if path.Ext(name) != ".go" || slices.Contains(strings.Split(name, "/"), "testdata") {
		return nil
	}
	parsed, err := parser.ParseFile(t.fset, name, raw, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.files = append(t.files, file{path: name, ast: parsed})
	return nil
}

// below reports whether dir is one of roots or inside one.
func below(dir string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return dir == root || strings.HasPrefix(dir, root+"/")
	})
}

// own returns the folder of a package of this module.
func own(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// standard reports whether a package is of the standard library: only there
// has the first element of a path no dot.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}
