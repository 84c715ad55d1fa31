package job

import (
	"flag"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/recipe.md")

const recipePage = "../docs/recipe.md"

// TestRecipePageListsEveryKey holds the tables of docs/recipe.md to the comments
// in spec.go: there is one text, where the key is declared.
func TestRecipePageListsEveryKey(t *testing.T) {
	page, err := os.ReadFile(recipePage)
	if err != nil {
		t.Fatal(err)
	}
	want := string(page)
	for name, table := range keyTables(t) {
		if want, err = replaceTable(want, name, table); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case want == string(page):
	case *update:
		if err := os.WriteFile(recipePage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what spec.go and keys.go say; run: go test ./job -run RecipePage -update", recipePage)
	}
}

// keyTables are the tables of the page, by the names of their places.
func keyTables(t *testing.T) map[string]string {
	file, err := goparser.ParseFile(token.NewFileSet(), "spec.go", nil, goparser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	keys := keysOf(reflect.TypeFor[Spec](), reflect.TypeFor[Dataset](), reflect.TypeFor[LoRA](), reflect.TypeFor[Bottleneck](), reflect.TypeFor[Prompt](), reflect.TypeFor[Prefix](), reflect.TypeFor[IA3](), reflect.TypeFor[Feature]())
	tables := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.TypeSpec); ok {
			tables[s.Name.Name] = keyTable(t, s.Type.(*ast.StructType), keys)
		}
		return true
	})
	alias := "| Axolotl | here |\n|---|---|\n"
	for _, name := range slices.Sorted(maps.Keys(aliases)) {
		alias += fmt.Sprintf("| `%s` | `%s` |\n", name, aliases[name])
	}
	tables["aliases"] = alias
	tables["free"] = "`" + strings.Join(free, "`, `") + "`\n"
	return tables
}

// keysOf maps the structs' field names to the keys of recipes.
func keysOf(types ...reflect.Type) map[string]string {
	keys := map[string]string{}
	for _, t := range types {
		for _, f := range reflect.VisibleFields(t) {
			keys[f.Name] = f.Tag.Get("yaml")
		}
	}
	return keys
}

var (
	word    = regexp.MustCompile(`\b[A-Z]\w*`)
	subject = regexp.MustCompile("^`\\w+` (is |are )?")
)

// keyTable is the table of one struct: a row a field, its comment in the
// recipe's words.
func keyTable(t *testing.T, s *ast.StructType, keys map[string]string) string {
	table := "| key | what it is | default |\n|---|---|---|\n"
	for _, f := range s.Fields.List {
		key := keys[f.Names[0].Name]
		doc := strings.Join(strings.Fields(f.Doc.Text()), " ")
		if key == "" || doc == "" {
			t.Errorf("spec.go: field %s has no key or no comment", f.Names[0].Name)
		}
		doc = word.ReplaceAllStringFunc(doc, func(w string) string {
			if k := keys[w]; k != "" {
				return "`" + k + "`"
			}
			return w
		})
		what, byDefault, _ := strings.Cut(doc, " Default: ")
		what = subject.ReplaceAllString(what, "") // the row has it
		table += fmt.Sprintf("| `%s` | %s | %s |\n", key, what, strings.TrimSuffix(byDefault, "."))
	}
	return table
}

// replaceTable puts a table between the two comments that mark its place.
func replaceTable(page, name, table string) (string, error) {
	begin, end := "<!-- "+name+" -->\n", "<!-- end -->"
	before, rest, found := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("%s: no place for the table %q: want %q and %q", recipePage, name, begin, end)
	}
	return before + begin + table + end + after, nil
}
