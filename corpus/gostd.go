package corpus

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// readDeclarations is go:std: for every exported function, type and method
// outside cmd, internal, vendor and testdata a pair of its declaration and the
// first sentence of its comment.
func readDeclarations(ctx context.Context, root string, packages []string, progress Progress) ([]Example, Source, error) {
	source := Source{Type: TypePairs}
	var err error
	if source.Version, err = goVersion(root); err != nil {
		return nil, source, err
	}
	files, err := goFiles(ctx, root, "internal", "vendor", "testdata")
	if err != nil {
		return nil, source, err
	}
	held := newHeldOut(packages)
	r := reader{root: root, build: buildContext(source.Version), source: &source}
	var found []Example
	for i, pkg := range byPackage(files) {
		if err := ctx.Err(); err != nil {
			return nil, source, err
		}
		pairs, err := r.pkg(pkg)
		if err != nil {
			return nil, source, err
		}
		for _, x := range pairs {
			x.HeldOut = held.has(x.Group)
			found = append(found, x)
		}
		progress("reading "+GoStd, i, 0)
	}
	return r.distinct(found), source, held.unseen()
}

// buildContext chooses files the same way on every machine: those of
// linux/amd64 with cgo, for the version of Go that they belong to.
func buildContext(version string) *build.Context {
	c := &build.Context{GOOS: "linux", GOARCH: "amd64", Compiler: "gc", CgoEnabled: true}
	var last int
	fmt.Sscanf(version, "go1.%d", &last) // go1.27rc1 too; 0 for a version of another form
	for v := 1; v <= last; v++ {
		c.ReleaseTags = append(c.ReleaseTags, fmt.Sprintf("go1.%d", v))
	}
	return c
}

// byPackage groups sorted files by folder, folders in order.
func byPackage(files []string) [][]string {
	byDir := map[string][]string{}
	var dirs []string
	for _, f := range files {
		dir := path.Dir(f)
		if byDir[dir] == nil {
			dirs = append(dirs, dir)
		}
		byDir[dir] = append(byDir[dir], f)
	}
	slices.Sort(dirs)
	var out [][]string
	for _, dir := range dirs {
		out = append(out, byDir[dir])
	}
	return out
}

// reader reads packages and counts what it leaves out.
type reader struct {
	root   string
	build  *build.Context
	source *Source
}

// pkg returns the pairs of one package, given by its files.
func (r *reader) pkg(files []string) ([]Example, error) {
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, file := range files {
		f, err := r.parse(fset, file)
		if err != nil {
			return nil, err
		}
		if f != nil {
			parsed = append(parsed, f)
		}
	}
	if len(parsed) == 0 {
		return nil, nil
	}
	importPath := path.Dir(files[0])
	// The package's own names turn [Reader] in a comment into Reader.
	p, err := doc.NewFromFiles(fset, parsed, importPath, doc.PreserveAST)
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", importPath, err)
	}
	var pairs []Example
	for _, f := range parsed {
		for _, d := range declarations(f) {
			if x, ok := r.pair(p, d); ok {
				pos := fset.Position(d.pos)
				x.Group, x.From = importPath, importPath+"/"+filepath.Base(pos.Filename)+":"+strconv.Itoa(pos.Line)
				pairs = append(pairs, x)
			}
		}
	}
	if len(pairs) > 0 {
		r.source.Groups++
	}
	return pairs, nil
}

// parse returns a file of the package, or nil for one that is not part of it:
// a test, a program, or one for another system.
func (r *reader) parse(fset *token.FileSet, file string) (*ast.File, error) {
	name := filepath.Join(r.root, "src", filepath.FromSlash(file))
	if strings.HasSuffix(file, "_test.go") {
		return nil, nil
	}
	if ok, err := r.build.MatchFile(filepath.Dir(name), filepath.Base(name)); err != nil || !ok {
		return nil, err
	}
	f, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || f.Name.Name == "main" {
		return nil, err
	}
	return f, nil
}

// pair makes the pair of a declaration, unless it has nothing to teach.
func (r *reader) pair(p *doc.Package, d declaration) (Example, bool) {
	text := d.doc.Text()
	sentence := p.Synopsis(text)
	switch {
	case sentence == "":
		r.source.Undescribed++
		return Example{}, false
	case strings.HasPrefix(text, "Deprecated:") || strings.Contains(text, "\nDeprecated:"):
		r.source.Deprecated++
		return Example{}, false
	}
	return Example{Prompt: d.text + "\n//", Completion: " " + sentence}, true
}

// distinct sorts by file, as all of Carillon's data is sorted by path, and
// leaves exact duplicates out.
func (r *reader) distinct(found []Example) []Example {
	slices.SortStableFunc(found, func(a, b Example) int {
		fa, _, _ := strings.Cut(a.From, ":")
		fb, _, _ := strings.Cut(b.From, ":")
		return cmp.Compare(fa, fb)
	})
	type pair struct{ prompt, completion string }
	seen := map[pair]bool{}
	return slices.DeleteFunc(found, func(x Example) bool {
		p := pair{x.Prompt, x.Completion}
		if seen[p] {
			r.source.Duplicates++
			return true
		}
		seen[p] = true
		return false
	})
}

// declaration is an exported declaration, written without its body.
type declaration struct {
	text string
	doc  *ast.CommentGroup
	pos  token.Pos
}

// declarations returns a file's exported functions, methods of exported types,
// and types, in order.
func declarations(f *ast.File) []declaration {
	var out []declaration
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && exportedReceiver(d.Recv) {
				out = append(out, declaration{source(withoutBody(d)), d.Doc, d.Pos()})
			}
		case *ast.GenDecl:
			out = append(out, types(d)...)
		}
	}
	return out
}

func types(d *ast.GenDecl) []declaration {
	var out []declaration
	for _, s := range d.Specs {
		s, ok := s.(*ast.TypeSpec)
		if !ok || !s.Name.IsExported() {
			continue
		}
		comment := s.Doc
		if comment == nil && !d.Lparen.IsValid() {
			comment = d.Doc
		}
		one := &ast.GenDecl{Tok: token.TYPE, Specs: []ast.Spec{typeWithoutBody(s)}}
		out = append(out, declaration{source(one), comment, s.Pos()})
	}
	return out
}

// exportedReceiver reports whether a method belongs to an exported type; a
// function has no receiver and passes.
func exportedReceiver(recv *ast.FieldList) bool {
	if recv == nil || len(recv.List) == 0 {
		return true
	}
	for t := recv.List[0].Type; ; {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.ParenExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

func withoutBody(d *ast.FuncDecl) *ast.FuncDecl {
	c := *d
	c.Doc, c.Body = nil, nil
	return &c
}

// typeWithoutBody leaves the word struct or interface of a type that has
// fields or methods: they are its body.
func typeWithoutBody(s *ast.TypeSpec) *ast.TypeSpec {
	c := *s
	c.Doc, c.Comment = nil, nil
	switch s.Type.(type) {
	case *ast.StructType:
		c.Type = ast.NewIdent("struct")
	case *ast.InterfaceType:
		c.Type = ast.NewIdent("interface")
	}
	return &c
}

// source prints a declaration as gofmt does, on as few lines as it can: with no
// positions to keep to, it breaks none.
func source(node any) string {
	var b bytes.Buffer
	c := printer.Config{Mode: printer.UseSpaces | printer.TabIndent, Tabwidth: 8}
	c.Fprint(&b, token.NewFileSet(), node) // a buffer takes everything
	return b.String()
}
