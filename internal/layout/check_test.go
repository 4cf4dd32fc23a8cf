package layout

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

type row struct {
	layer, name   string
	others, hosho []string
}

type rules struct {
	layers []string // from the top down
	rows   []row
}

func parse(t *testing.T, text string) rules {
	t.Helper()
	var r rules
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		switch {
		case len(cells) == 3 && strings.TrimSpace(cells[0]) == "" && len(r.rows) > 0: // the row goes on
			last := &r.rows[len(r.rows)-1]
			last.others = append(last.others, strings.Fields(cells[1])...)
			last.hosho = append(last.hosho, strings.Fields(cells[2])...)
		case cells[0] == "" || strings.HasPrefix(line, "package "):
		case len(cells) == 1:
			r.layers = append(r.layers, cells[0])
		case len(cells) == 3 && len(r.layers) > 0:
			r.rows = append(r.rows, row{
				layer:  r.layers[len(r.layers)-1],
				name:   strings.TrimSpace(cells[0]),
				others: strings.Fields(cells[1]),
				hosho:  strings.Fields(cells[2]),
			})
		default:
			t.Fatalf("the table's line %q: got %d cells, want 1 or 3 below a layer's name", line, len(cells))
		}
	}
	return r
}

// row returns the row of a package, by its name in the table.
func (r rules) row(name string) (row, bool) {
	i := slices.IndexFunc(r.rows, func(r row) bool { return covers([]string{r.name}, name) })
	if i < 0 {
		return row{}, false
	}
	return r.rows[i], true
}

// covered returns the rows of the packages that a permission names.
func (r rules) covered(permission string) []row {
	var rows []row
	for _, to := range r.rows {
		if covers([]string{permission}, to.name) || covers([]string{to.name}, permission) {
			rows = append(rows, to)
		}
	}
	return rows
}

// stale returns the permissions that no file uses.
func (r rules) stale(files []file) []string {
	used := map[string][]string{} // by package: what its files import, tests apart
	inTest := map[string][]string{}
	for _, f := range files {
		by := used
		if f.isTest() {
			by = inTest
		}
		self := short(path.Dir(f.path))
		by[self] = append(by[self], f.imports...)
	}
	var findings []string
	complain := func(who, permission string) {
		findings = append(findings, fmt.Sprintf("the table lets %s import %s, which it does not", who, permission))
	}
	for _, from := range r.rows {
		for _, module := range from.others {
			if !slices.ContainsFunc(importsOf(used, from.name), row{others: []string{module}}.allowsModule) {
				complain(from.name, module)
			}
		}
		for _, permission := range from.hosho {
			if !slices.ContainsFunc(importsOf(used, from.name), imports(permission)) {
				complain(from.name, permission)
			}
		}
		for _, permission := range strings.Fields(inTests[from.name]) {
			if !slices.ContainsFunc(importsOf(inTest, from.name), imports(permission)) {
				complain("the tests of "+from.name, permission)
			}
		}
	}
	return findings
}

// importsOf returns what the packages of a row import.
func importsOf(by map[string][]string, name string) []string {
	var all []string
	for self, imported := range by {
		if covers([]string{name}, self) {
			all = append(all, imported...)
		}
	}
	return all
}

// imports returns a test of whether an import is what a permission allows.
func imports(permission string) func(string) bool {
	return func(imported string) bool {
		ours, isOurs := strings.CutPrefix(imported, "hosho/")
		return isOurs && covers([]string{permission}, short(ours))
	}
}

// upward returns what the table allows and its layers forbid.
func (r rules) upward() []string {
	var findings []string
	for _, from := range r.rows {
		for _, name := range from.hosho {
			rows := r.covered(name)
			if len(rows) == 0 {
				findings = append(findings,
					fmt.Sprintf("the table lets %s import %s, which has no row", from.name, name))
			}
			for _, to := range rows {
				if slices.Index(r.layers, to.layer) < slices.Index(r.layers, from.layer) {
					findings = append(findings, fmt.Sprintf("the table lets %s (%s) import %s (%s), which is above it",
						from.name, from.layer, to.name, to.layer))
				}
			}
		}
	}
	return findings
}

// check returns what is wrong with the imports of a file.
func (r rules) check(f file) []string {
	self := short(path.Dir(f.path))
	rule, ok := r.row(self)
	if !ok {
		return []string{
			fmt.Sprintf("%s: the package %s has no row in the table: say there where it belongs", f.path, self),
		}
	}
	allowed := append([]string{self}, rule.hosho...)
	if f.isTest() {
		allowed = append(allowed, "pgtest", "slow", "authority", laboratory)
		allowed = append(allowed, strings.Fields(inTests[rule.name])...)
	}
	var findings []string
	for _, imported := range f.imports {
		ours, isOurs := strings.CutPrefix(imported, "hosho/")
		first, _, _ := strings.Cut(imported, "/")
		switch {
		case slices.Contains(codes, imported) && !mayNameCodes(f, rule):
			findings = append(findings, fmt.Sprintf("%s names gRPC codes: that is for a daemon's errors.go", f.path))
		case isOurs && covers([]string{laboratory}, short(ours)) && !mayImportLaboratory(f, rule):
			findings = append(findings, fmt.Sprintf("%s: %s imports the laboratory", f.path, self))
		case isOurs && !covers(allowed, short(ours)):
			findings = append(findings, fmt.Sprintf("%s: %s imports %s; of hosho it may import %v",
				f.path, self, short(ours), allowed[1:]))
		case !isOurs && strings.Contains(first, ".") && !f.isTest() && !rule.allowsModule(imported):
			findings = append(findings, fmt.Sprintf("%s: %s imports the module of %s; of others it may import %v",
				f.path, self, imported, rule.others))
		}
	}
	return findings
}

func (r row) allowsModule(imported string) bool {
	return slices.ContainsFunc(r.others, func(name string) bool {
		return name == "*" || imported == modules[name] || strings.HasPrefix(imported, modules[name]+"/")
	})
}

// short is a package's name in the table.
func short(dir string) string {
	return strings.TrimSuffix(strings.TrimPrefix(dir, "internal/"), "/v1")
}

// covers reports whether the names, which may end in /..., include a package.
func covers(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		prefix, all := strings.CutSuffix(n, "...")
		return n == name || all && strings.HasPrefix(name, prefix)
	})
}

type file struct {
	path    string // from the repository's root, with slashes
	imports []string
}

func (f file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// sources reads the imports of the module's Go files, whichever system and build tags they are for. It reads the files
// itself: of what `go list` reads, go test's cache would know nothing, and go on saying ok.
func sources(t *testing.T, root string) []file {
	t.Helper()
	var files []file
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && !holdsPackages(root, name) {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		f := file{path: name}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("found no Go files below %s", root)
	}
	return files
}

// holdsPackages reports whether the go command looks for the module's packages in a folder.
func holdsPackages(root, dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || base[0] == '.' || base[0] == '_' {
		return false
	}
	_, err := os.Stat(filepath.Join(root, dir, "go.mod")) // a module of its own
	return err != nil
}
