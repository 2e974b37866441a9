// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"maps"
	"slices"
	"strings"
	"text/template/parse"
)

// The Engine's own functions. No template can call them: a name that is not in the list of functions is refused before these
// are put into the tree.
const (
	tickName    = "__tick"
	enterName   = "__enter"
	leaveName   = "__leave"
	rangeName   = "__range"
	printName   = "__print"
	operandName = "__operand"
	methodName  = "__method"
)

// rewriter puts the Engine's functions into trees. It changes when a template ends, never what it renders:
//
//	{{range P}}B{{end}}     {{range P | __range}}{{__tick}}B{{end}}
//	{{define "d"}}B{{end}}  {{define "d"}}{{__enter}}B{{__leave}}{{end}}
//	{{P}}                   {{P | __print}}
//	{{P | eq .a 1}}         {{P | __operand | eq (__operand .a) 1}}
//	{{P | $t.Format .l}}    {{P | __method | $t.Format (__method .l)}}
type rewriter struct {
	engine *Engine
	text   string
	called map[string]bool // functions
	fields map[string]bool // keys, fields and methods

	weight      int64 // work of the nodes seen, for one run of them
	certain     int64 // what calls in it cost on each run, whatever the data
	conditional int   // inside how many conditions
	breaks      bool  // the loop may end early
}

// rewrite changes all trees, or stops at a function that is not known.
func (r *rewriter) rewrite(e *Engine, text string, trees map[string]*parse.Tree) {
	r.engine, r.text = e, text
	r.called, r.fields = map[string]bool{}, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(trees)) { // in order, so that the same text has the same message
		root := trees[name].Root
		r.weight = 0
		r.list(root)
		root.Nodes = slices.Concat(
			[]parse.Node{r.call(root.Pos, enterName, literal(root.Pos, r.weight))},
			root.Nodes,
			[]parse.Node{r.call(root.Pos, leaveName)},
		)
	}
}

func (r *rewriter) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		r.node(n)
	}
}

func (r *rewriter) node(n parse.Node) {
	r.weight += nodeWork
	switch n := n.(type) {
	case *parse.ActionNode:
		r.pipe(n.Pipe)
		if len(n.Pipe.Decl) == 0 {
			n.Pipe.Cmds = append(n.Pipe.Cmds, command(n.Pos, printName))
		}
	case *parse.IfNode:
		r.branch(&n.BranchNode)
	case *parse.WithNode:
		r.branch(&n.BranchNode)
	case *parse.RangeNode:
		r.loop(n)
	case *parse.TemplateNode:
		r.pipe(n.Pipe)
	case *parse.BreakNode:
		r.breaks = true
	}
}

func (r *rewriter) branch(n *parse.BranchNode) {
	r.pipe(n.Pipe)
	r.conditional++
	r.list(n.List)
	r.list(n.ElseList)
	r.conditional--
}

// loop gives the body its own weight, and the range the least that one iteration will cost.
func (r *rewriter) loop(n *parse.RangeNode) {
	r.pipe(n.Pipe)
	outer := *r
	r.weight, r.certain, r.conditional, r.breaks = nodeWork, 0, 0, false
	r.list(n.List)
	certain := r.weight + r.certain
	if r.breaks {
		certain = 0
	}
	tick := r.call(n.Pos, tickName, literal(n.Pos, r.weight))
	n.List.Nodes = slices.Insert(n.List.Nodes, 0, parse.Node(tick))
	n.Pipe.Cmds = append(n.Pipe.Cmds, command(n.Pos, rangeName, literal(n.Pos, certain)))

	r.weight, r.certain, r.conditional, r.breaks = outer.weight, outer.certain, outer.conditional, outer.breaks
	r.conditional++
	r.list(n.ElseList)
	r.conditional--
}

// pipe rewrites the commands, and pays for what is handed from one to the next where the next is not a function of ours.
func (r *rewriter) pipe(p *parse.PipeNode) {
	if p == nil {
		return
	}
	var out []*parse.CommandNode
	for i, c := range p.Cmds {
		meter := r.command(c, p.Cmds[:i])
		if i > 0 && meter != "" {
			out = append(out, command(c.Pos, meter))
		}
		out = append(out, c)
	}
	p.Cmds = out
}

// command rewrites c, and returns the function that pays for its arguments, or "".
func (r *rewriter) command(c *parse.CommandNode, before []*parse.CommandNode) (meter string) {
	r.weight += nodeWork
	switch first := c.Args[0].(type) {
	case *parse.IdentifierNode:
		if comparing[first.Ident] {
			meter = operandName
		}
		if r.conditional == 0 {
			r.certain += callWork + certainWork(first.Ident, c, before)
		}
		if first.Ident == "and" || first.Ident == "or" { // the second argument may not be looked at
			r.conditional++
			defer func() { r.conditional-- }()
		}
	case *parse.FieldNode, *parse.ChainNode:
		meter = methodName
	case *parse.VariableNode:
		if len(first.Ident) > 1 {
			meter = methodName
		}
	}
	for i, a := range c.Args {
		r.operand(a)
		if i > 0 && meter != "" && dynamic(a) {
			c.Args[i] = &parse.PipeNode{
				NodeType: parse.NodePipe, Pos: a.Position(),
				Cmds: []*parse.CommandNode{command(a.Position(), meter, a)},
			}
		}
	}
	return meter
}

func (r *rewriter) operand(n parse.Node) {
	r.weight += nodeWork
	switch n := n.(type) {
	case *parse.IdentifierNode:
		if _, ok := rules[n.Ident]; !ok && !builtins[n.Ident] {
			line := 1 + strings.Count(r.text[:min(int(n.Pos), len(r.text))], "\n")
			_ = r.engine.stop(&problem{kind: unknownFunction, name: n.Ident, line: line})
		}
		r.called[n.Ident] = true
	case *parse.FieldNode:
		r.see(n.Ident)
	case *parse.VariableNode:
		r.see(n.Ident[1:])
	case *parse.ChainNode:
		r.see(n.Field)
		r.operand(n.Node)
	case *parse.PipeNode:
		r.pipe(n)
	case *parse.StringNode:
		r.weight += int64(len(n.Text))
	}
}

func (r *rewriter) see(names []string) {
	for _, n := range names {
		r.fields[n] = true
	}
}

// dynamic tells whether the size of n is not in the text. What is in the text keeps its form: a constant takes the type of
// the parameter that it is given to.
func dynamic(n parse.Node) bool {
	switch n.Type() {
	case parse.NodeBool, parse.NodeNumber, parse.NodeNil, parse.NodeString:
		return false
	}
	return true
}

func (r *rewriter) call(pos parse.Pos, name string, args ...parse.Node) *parse.ActionNode {
	return &parse.ActionNode{
		NodeType: parse.NodeAction, Pos: pos,
		Pipe: &parse.PipeNode{NodeType: parse.NodePipe, Pos: pos, Cmds: []*parse.CommandNode{command(pos, name, args...)}},
	}
}

func command(pos parse.Pos, name string, args ...parse.Node) *parse.CommandNode {
	fn := parse.NewIdentifier(name).SetPos(pos)
	return &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos, Args: append([]parse.Node{fn}, args...)}
}

func literal(pos parse.Pos, n int64) *parse.NumberNode {
	return &parse.NumberNode{NodeType: parse.NodeNumber, Pos: pos, IsInt: true, Int64: n, Text: "0"}
}
