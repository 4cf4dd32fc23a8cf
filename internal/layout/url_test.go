package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// readers are the functions of pgx that read a database's URL.
var readers = []string{
	"pgx.Connect", "pgx.ParseConfig", "pgconn.Connect", "pgconn.ParseConfig", "pgxpool.New", "pgxpool.ParseConfig",
}

// mayReadURLs are pg.Parse, which is the one way to read a URL that a person gives, and what makes servers of its own.
func mayReadURLs(f file) bool {
	for _, folder := range []string{"internal/pgembed/", "internal/pgtest/", "internal/lab/"} {
		if strings.HasPrefix(f.path, folder) {
			return true
		}
	}
	return f.isTest() || f.path == "internal/pg/url.go"
}

// readersIn returns the readers that a Go file calls.
func readersIn(t *testing.T, name string, source any) (found []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if selected, ok := n.(*ast.SelectorExpr); ok {
			if of, ok := selected.X.(*ast.Ident); ok && slices.Contains(readers, of.Name+"."+selected.Sel.Name) {
				found = append(found, of.Name+"."+selected.Sel.Name)
			}
		}
		return true
	})
	return found
}

func TestURLsAreReadInOnePlace(t *testing.T) {
	root := filepath.Join("..", "..")
	inside := 0
	for _, f := range sources(t, root) {
		found := readersIn(t, filepath.Join(root, f.path), nil)
		if f.path == "internal/pg/url.go" {
			inside += len(found)
		}
		if len(found) > 0 && !mayReadURLs(f) {
			t.Errorf("%s: got %v, want pg.Open, pg.Listen or pg.Parse: what one command takes, all take", f.path, found)
		}
	}
	if inside == 0 {
		t.Error("found none in internal/pg/url.go: does the test look for the right ones?")
	}
}
