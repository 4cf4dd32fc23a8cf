package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Only internal/pg sends statements over a pool: there they name their isolation, and what they commit is not
// cancelled. The laboratory has its own, on purpose, and so have tests.
var onPools = []string{"Exec", "Query", "QueryRow", "SendBatch", "Begin", "BeginTx", "CopyFrom"}

func mayUsePools(name string) bool {
	for _, folder := range []string{"internal/pg/", "internal/pgtest/", "internal/lab/"} {
		if strings.HasPrefix(name, folder) {
			return true
		}
	}
	return strings.HasSuffix(name, "_test.go")
}

// statementsIn returns the methods of pools that a Go file calls. A pool is what is called so, or by the name of its
// database.
func statementsIn(t *testing.T, name string, source any) (found []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.SelectorExpr)
		if !ok || !slices.Contains(onPools, call.Sel.Name) {
			return true
		}
		on := ""
		switch of := call.X.(type) {
		case *ast.Ident:
			on = of.Name
		case *ast.SelectorExpr:
			on = of.Sel.Name
		}
		if slices.Contains([]string{"pool", "orders", "payments"}, strings.ToLower(on)) {
			found = append(found, on+"."+call.Sel.Name)
		}
		return true
	})
	return found
}

func TestStatementsGoThroughOnePackage(t *testing.T) {
	root := filepath.Join("..", "..")
	looked := 0
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && !holdsPackages(root, name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || mayUsePools(name):
			return nil
		}
		looked++
		for _, call := range statementsIn(t, filepath.Join(root, name), nil) {
			t.Errorf("%s calls %s, want pg.InTx, pg.Write or pg.Exec for what writes, pg.Query for what reads",
				name, call)
		}
		return nil
	})
	if err != nil || looked == 0 {
		t.Errorf("looked at %d files, %v; want some", looked, err)
	}
}

func TestStatementsOnPoolsAreFound(t *testing.T) {
	for call, want := range map[string]int{
		"s.pool.Exec(ctx, sql)": 1, "pool.QueryRow(ctx, sql).Scan(&n)": 1, "x.Pool.Begin(ctx)": 1,
		"s.orders.Exec(ctx, sql)":   1,
		"pg.Exec(ctx, s.pool, sql)": 0, "tx.Exec(ctx, sql)": 0, "pool.Close()": 0, "pool.Config()": 0,
	} {
		if got := statementsIn(t, "p.go", "package p\n\nfunc f() { "+call+" }"); len(got) != want {
			t.Errorf("%s: found %v, want %d", call, got, want)
		}
	}
}
