package rules_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hosho/internal/rules"
)

// root is the repository's, from this folder.
var root = filepath.Join("..", "..")

// A name that is written out again is a name that may come to mean something else.
func TestNamesAreWrittenHereAlone(t *testing.T) {
	t.Parallel()
	for _, file := range goFiles(t, ".") {
		if strings.HasPrefix(file, "internal/rules/") || strings.HasPrefix(file, "gen/") {
			continue
		}
		source, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range written(t, file, source) {
			t.Errorf("%s: %q stands in a literal: name it as package rules does", file, name)
		}
	}
}

func TestAWrittenNameIsFound(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`"I15"`:                         "I15",
		`"BROKEN I3, as it must be"`:    "I3",
		"`I25`":                         "I25",
		`"a violation of D1"`:           "D1",
		`"early"`:                       "early",
		`"definite"`:                    "definite",
		`"it came early, definitely"`:   "",
		`"I26, AI3, I1x, id1, WI-FI 1"`: "",
		`rules.I15 // I15`:              "",
	} {
		found := written(t, "a.go", []byte("package a\nvar x = "+source+"\n"))
		if got := strings.Join(found, " "); got != want {
			t.Errorf("%s: found %q, want %q", source, got, want)
		}
	}
}

// inText are the names that no sentence holds by chance, and whole those that are words.
var (
	inText = regexp.MustCompile(`\b(I[1-9]|I1[0-9]|I2[0-5]|D1)\b`)
	whole  = []rules.ID{rules.Early, rules.Definite}
)

// written returns the names of invariants that stand in the literals of a file.
func written(t *testing.T, name string, source []byte) (names []string) {
	t.Helper()
	for node := range ast.Preorder(parse(t, name, source)) {
		literal, ok := node.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			continue
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, inText.FindAllString(text, -1)...)
		if slices.Contains(whole, rules.ID(text)) {
			names = append(names, text)
		}
	}
	return names
}

func TestEveryNumberedNameIsLookedFor(t *testing.T) {
	t.Parallel()
	for _, i := range rules.Invariants {
		found := inText.FindString(string(i.ID)) == string(i.ID)
		if numbered := strings.ContainsAny(string(i.ID), "0123456789"); found != numbered {
			t.Errorf("%s: found %t, want it found if it has a number", i.ID, found)
		}
	}
}

// Who checks an invariant names it: the catalogue says of these checkers what their source says.
func TestTheCatalogueKnowsWhoChecksWhat(t *testing.T) {
	t.Parallel()
	checkers := []rules.Checker{rules.Databases, rules.Clients, rules.Experiment, rules.Production, rules.Model}
	for _, checker := range checkers {
		var want []string
		for _, i := range rules.CheckedBy(checker) {
			want = append(want, string(i.ID))
		}
		slices.Sort(want)
		if got := named(t, string(checker)); !slices.Equal(got, want) {
			t.Errorf("%s names %v; the catalogue says that it checks %v", checker, got, want)
		}
	}
}

// named returns the invariants that the Go files of a folder name, sorted. Where a package checks nothing itself, its
// tests do.
func named(t *testing.T, dir string) []string {
	t.Helper()
	production, tests := map[string]bool{}, map[string]bool{}
	for _, file := range goFiles(t, dir) {
		found := production
		if strings.HasSuffix(file, "_test.go") {
			found = tests
		}
		source, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for node := range ast.Preorder(parse(t, file, source)) {
			selector, ok := node.(*ast.SelectorExpr)
			if !ok {
				continue
			}
			if pkg, ok := selector.X.(*ast.Ident); ok && pkg.Name == "rules" {
				if id, known := byConstant[selector.Sel.Name]; known {
					found[string(id)] = true
				}
			}
		}
	}
	if len(production) == 0 {
		production = tests
	}
	return slices.Sorted(maps.Keys(production))
}

// byConstant is the invariants by the names of their constants.
var byConstant = func() map[string]rules.ID {
	all := map[string]rules.ID{}
	for _, i := range rules.Invariants {
		all[strings.ToUpper(string(i.ID[:1]))+string(i.ID[1:])] = i.ID
	}
	return all
}()

func parse(t *testing.T, name string, source []byte) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// goFiles returns the Go files below a folder, from the repository's root, with slashes.
func goFiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := path.Base(name); d.IsDir() && base != "." && (base[0] == '.' || base == "testdata") {
			return fs.SkipDir
		}
		if path.Ext(name) == ".go" {
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
