// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What a value costs to read from YAML and to write to it; both ways go through trees, and through JSON.
const (
	yamlInWork  = 512
	yamlOutWork = 1536
	maxExpanded = 8 << 10 // values that a document with aliases may have
	maxAliased  = 64 << 10
)

// yamlIn: a document. An alias stands for a whole value again, which may hold aliases.
func yamlIn(_ *Engine, in []reflect.Value) bill {
	doc := in[0].String()
	nodes := int64(1)
	for i := range len(doc) {
		next := byte('\n')
		if i+1 < len(doc) {
			next = doc[i+1]
		}
		blank := next == ' ' || next == '\n' || next == '\t' || next == '\r'
		switch doc[i] {
		case ',', '[', '{', '\n', '&':
			nodes++
		case '-', '?':
			if blank {
				nodes++
			}
		case ':':
			if blank || i > 0 && (doc[i-1] == '"' || doc[i-1] == '\'') {
				nodes++
			}
		}
	}
	perByte := int64(16)
	if strings.Contains(doc, "!") { // a tag may make a value of a text
		perByte = 48
	}
	work := perByte*int64(len(doc)) + mul(nodes, yamlInWork)
	if strings.Contains(doc, "*") && strings.Contains(doc, "&") {
		if len(doc) > maxAliased {
			return bill{size: huge}
		}
		n, ok := expanded(doc)
		if !ok {
			return bill{size: huge}
		}
		work += mul(n, yamlInWork)
	}
	return bill{work: work}
}

// expanded counts the values of a document with each alias replaced. A document that cannot be read so is not trusted either.
func expanded(doc string) (int64, bool) {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(doc), &root); err != nil {
		return 0, false
	}
	n := int64(0)
	var walk func(*yaml.Node, int)
	walk = func(at *yaml.Node, depth int) {
		if n++; n > maxExpanded || depth > maxDepth || at == nil {
			return
		}
		if at.Alias != nil {
			walk(at.Alias, depth+1)
			return
		}
		n += int64(len(at.Value) / 64)
		for _, child := range at.Content {
			walk(child, depth+1)
		}
	}
	walk(&root, 0)
	return n, n <= maxExpanded
}

// yamlOut: any value.
func yamlOut(_ *Engine, in []reflect.Value) bill {
	x := measure(in...)
	return bill{work: 3*x.quoted() + mul(x.nodes, yamlOutWork), size: x.quoted() / 2}
}
