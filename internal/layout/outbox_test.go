package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The outbox table is closed: only internal/outbox names it in a statement, or one of the columns that no other table
// has. A statement that needs another table as well is made of what that package exports. The laboratory looks into the
// table on purpose, with statements of its own, and so do tests.
var (
	namesTable = regexp.MustCompile(`(?i)\b(FROM|INTO|UPDATE|JOIN|TABLE|ONLY|USING)\s+"?outbox\b|\boutbox"?\.[a-z]`)
	itsColumn  = regexp.MustCompile(`\b(lease_token|ready_at|parked_at|last_code|expires_at)\b`)
)

func mayNameOutbox(name string) bool {
	for _, folder := range []string{"internal/outbox/", "internal/lab/", "gen/"} {
		if strings.HasPrefix(name, folder) {
			return true
		}
	}
	return strings.HasSuffix(name, "_test.go")
}

// outboxIn returns the strings of a Go file that name the table or its columns.
func outboxIn(t *testing.T, name string, source any) (found []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		if namesTable.MatchString(text) || itsColumn.MatchString(text) {
			found = append(found, text)
		}
		return true
	})
	return found
}

func TestTheOutboxTableIsClosed(t *testing.T) {
	root := filepath.Join("..", "..")
	looked, inside := 0, 0
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && !holdsPackages(root, name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		found := outboxIn(t, filepath.Join(root, name), nil)
		looked++
		if strings.HasPrefix(name, "internal/outbox/") {
			inside += len(found)
		}
		if mayNameOutbox(name) {
			return nil
		}
		for _, text := range found {
			t.Errorf("%s names the outbox table or a column of it, which is for internal/outbox (Table.View): %q",
				name, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if looked == 0 || inside == 0 {
		t.Errorf("looked at %d files and found %d strings in internal/outbox, want some of both", looked, inside)
	}
}

func TestStrangersToTheOutboxAreFound(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT count(*) FROM outbox":                           true,
		"select from\n\toutbox where true":                      true,
		`DELETE FROM "outbox"`:                                  true,
		"WHERE orders.id = outbox.key":                          true,
		"SELECT FROM orders LEFT JOIN outbox ON true":           true,
		" AND parked_at IS NULL":                                true,
		"ready_at":                                              true,
		"c.lease_token = $1":                                    true,
		"delete it from the outbox at once":                     false,
		"SELECT c.parked FROM (view) AS c WHERE c.code IS NULL": false,
		"outbox": false,
	} {
		quoted := strconv.Quote(text)
		for _, quoted := range []string{quoted, "`" + text + "`", `"SELECT " + ` + quoted + ` + ""`} {
			source := "package p\n\n// outbox.key and FROM outbox are no strings\nvar sql = " + quoted
			if got := len(outboxIn(t, "p.go", source)) > 0; got != want {
				t.Errorf("%s: found %v, want %v", quoted, got, want)
			}
		}
	}
}
