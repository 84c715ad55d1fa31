package terraform

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// shape is what a resource, or a block in one, may hold.
type shape struct {
	Attributes map[string]bool   // name -> required
	Blocks     map[string]*shape // name -> what it holds
	Required   bool
	Computed   []string // what can be read only
}

// schema is a provider's, of the resources that we use.
type schema struct {
	Provider, Version string
	Resource, Data    map[string]*shape
}

func schemas(t *testing.T) (all []schema) {
	t.Helper()
	for _, name := range []string{"aws", "google", "google-beta"} {
		text, err := os.ReadFile(filepath.Join("schema", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var s schema
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// module is a folder of .tf files, as text.
type module map[string]string

func read(t *testing.T, dir string) module {
	t.Helper()
	m := module{}
	files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%s has %d files, %v", dir, len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m[f] = string(text)
	}
	return m
}

// checker looks for what Terraform would refuse, and what readers would miss.
type checker struct {
	schemas  []schema
	blocks   []*hclsyntax.Block
	declared map[string]*shape // "var.x", "local.x", "aws_vpc.main", "data.aws_x.y"
	used     map[string]bool
	wrong    []string
}

func check(m module, all []schema) []string {
	c := &checker{schemas: all, declared: map[string]*shape{}, used: map[string]bool{}}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		f, diags := hclsyntax.ParseConfig([]byte(m[name]), name, hcl.InitialPos)
		if diags.HasErrors() {
			return []string{diags.Error()}
		}
		c.blocks = append(c.blocks, f.Body.(*hclsyntax.Body).Blocks...)
	}
	for _, b := range c.blocks {
		c.declare(b)
	}
	for _, b := range c.blocks {
		c.block(b)
	}
	for name := range c.declared {
		if strings.HasPrefix(name, "var.") && !c.used[name] {
			c.wrong = append(c.wrong, name+" is not used")
		}
	}
	slices.Sort(c.wrong)
	return c.wrong
}

func (c *checker) say(at hcl.Range, format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf("%s:%d: ", at.Filename, at.Start.Line)+fmt.Sprintf(format, args...))
}

// declare notes what other blocks may refer to.
func (c *checker) declare(b *hclsyntax.Block) {
	switch b.Type {
	case "variable":
		c.declared["var."+b.Labels[0]] = nil
		for _, want := range []string{"description", "type"} {
			if b.Body.Attributes[want] == nil {
				c.say(b.DefRange(), "variable %s has no %s", b.Labels[0], want)
			}
		}
	case "output":
		if b.Body.Attributes["description"] == nil {
			c.say(b.DefRange(), "output %s has no description", b.Labels[0])
		}
	case "locals":
		for name := range b.Body.Attributes {
			c.declared["local."+name] = nil
		}
	case "resource", "data":
		s := c.find(b)
		if s == nil {
			c.say(b.DefRange(), "%s %s is in no schema", b.Type, b.Labels[0])
			s = &shape{}
		}
		name := b.Labels[0] + "." + b.Labels[1]
		if b.Type == "data" {
			name = "data." + name
		}
		c.declared[name] = s
	}
}

// find returns what a resource may hold.
func (c *checker) find(b *hclsyntax.Block) *shape {
	for _, s := range c.schemas {
		of := s.Resource
		if b.Type == "data" {
			of = s.Data
		}
		if found := of[b.Labels[0]]; found != nil {
			return found
		}
	}
	return nil
}

// meta are what every resource may have.
var meta = []string{"count", "for_each", "depends_on", "provider"}

func (c *checker) block(b *hclsyntax.Block) {
	if b.Type == "resource" || b.Type == "data" {
		if s := c.find(b); s != nil {
			c.holds(b.Body, s, true)
		}
	}
	_ = hclsyntax.VisitAll(b.Body, func(n hclsyntax.Node) hcl.Diagnostics {
		if e, ok := n.(*hclsyntax.ScopeTraversalExpr); ok {
			c.reference(e)
		}
		return nil
	})
}

// holds compares a body with what it may hold.
func (c *checker) holds(body *hclsyntax.Body, s *shape, top bool) {
	here := map[string]bool{}
	for name, a := range body.Attributes {
		_, known := s.Attributes[name]
		here[name] = true
		switch {
		case known || top && slices.Contains(meta, name):
		case slices.Contains(s.Computed, name):
			c.say(a.SrcRange, "%s can be read, not set", name)
		default:
			c.say(a.SrcRange, "there is no attribute %s", name)
		}
	}
	for _, b := range body.Blocks {
		name, inner := b.Type, b.Body
		if name == "dynamic" {
			name = b.Labels[0]
			for _, content := range b.Body.Blocks {
				inner = content.Body
			}
		}
		here[name] = true
		_, asAttribute := s.Attributes[name]
		switch next := s.Blocks[name]; {
		case next != nil:
			c.holds(inner, next, false)
		case asAttribute || top && name == "lifecycle":
		default:
			c.say(b.DefRange(), "there is no block %s", name)
		}
	}
	c.lacks(body, s, here)
}

func (c *checker) lacks(body *hclsyntax.Body, s *shape, here map[string]bool) {
	for name, required := range s.Attributes {
		if required && !here[name] {
			c.say(body.SrcRange, "%s is missing", name)
		}
	}
	for name, b := range s.Blocks {
		if b.Required && !here[name] {
			c.say(body.SrcRange, "block %s is missing", name)
		}
	}
}

// reference makes sure that an expression names what is declared, and an attribute that
// it has.
func (c *checker) reference(e *hclsyntax.ScopeTraversalExpr) {
	var parts []string
	for _, step := range e.Traversal {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			parts = append(parts, s.Name)
		case hcl.TraverseAttr:
			parts = append(parts, s.Name)
		}
	}
	n := 2
	switch root := parts[0]; {
	case root == "data":
		n = 3
	case root == "var", root == "local", strings.HasPrefix(root, "aws_"), strings.HasPrefix(root, "google_"):
	default: // each, count, path, and names of for and dynamic
		return
	}
	if len(parts) < n {
		return
	}
	name := strings.Join(parts[:n], ".")
	c.used[name] = true
	s, ok := c.declared[name]
	if !ok {
		c.say(e.SrcRange, "%s is not declared", name)
		return
	}
	if s != nil && len(parts) > n && !s.readable(parts[n]) {
		c.say(e.SrcRange, "%s has no attribute %s", name, parts[n])
	}
}

func (s *shape) readable(name string) bool {
	_, attribute := s.Attributes[name]
	_, block := s.Blocks[name]
	return attribute || block || slices.Contains(s.Computed, name) || name == "id"
}

func TestModulesFitTheirProviders(t *testing.T) {
	for _, dir := range []string{"aws", "gcp"} {
		for _, w := range check(read(t, dir), schemas(t)) {
			t.Error(w)
		}
	}
}

// Each rule catches what it is for: mistakes that are planted into the module for AWS.
func TestTheCheckFindsMistakes(t *testing.T) {
	all := schemas(t)
	for _, tt := range []struct{ old, with, want string }{
		{`cidr_block           = var.vpc_cidr`, `cidr_blok = var.vpc_cidr`, "no attribute cidr_blok"},
		{`  metadata_options {`, `  meta_options {`, "no block meta_options"},
		{`    http_tokens                 = "required"`, `    http_token = "required"`, "no attribute http_token"},
		{"  vpc_id = aws_vpc.main.id\n  route {", "  route {", "vpc_id is missing"},
		{`  bucket = var.bucket`, `  bucket = var.buckets`, "var.buckets is not declared"},
		{`aws_security_group.nodes.id`, `aws_security_group.node.id`, "aws_security_group.node is not declared"},
		{`aws_vpc.main.id`, `aws_vpc.main.identity`, "aws_vpc.main has no attribute identity"},
		{`  bucket = var.bucket`, `  arn = "x"`, "arn can be read, not set"},
		{`  description = "Region of everything."` + "\n", ``, "variable region has no description"},
		{`  instance_type        = var.coordinator_type`, `  instance_type        = "t3.small"`, "var.coordinator_type is not used"},
		{`resource "aws_eip"`, `resource "aws_epi"`, "aws_epi is in no schema"},
	} {
		m, planted := read(t, "aws"), false
		for name, text := range m {
			if strings.Contains(text, tt.old) {
				m[name], planted = strings.Replace(text, tt.old, tt.with, 1), true
				break
			}
		}
		wrong := strings.Join(check(m, all), "\n")
		if !planted || !strings.Contains(wrong, tt.want) {
			t.Errorf("%s instead of %s (planted: %t): found %q, want %q", tt.with, tt.old, planted, wrong, tt.want)
		}
	}
}
