package migrations_test

import (
	"io/fs"
	"os"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"hosho/internal/pgtest"
	"hosho/migrations"
)

// Decisions of before 00010 stay what they are, one an order. What was retried since is in nobody's way back.
func TestDecisionsOutliveTheMigrationOfTheAudit(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	before := fstest.MapFS{}
	files, err := fs.Glob(os.DirFS("orders"), "0000*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(os.DirFS("orders"), file)
		if err != nil {
			t.Fatal(err)
		}
		before[file] = &fstest.MapFile{Data: text}
	}
	if _, err := migrations.Apply(t.Context(), db.URL, before, nil); err != nil {
		t.Fatal(err)
	}
	settled := row{"order_id": newOrder(t, db), "action": "SETTLE", "operator": "ada", "reason": "the key is taken"}
	refused(t, settled.insert(t.Context(), db.Pool, "audit"), "")

	up(t, migrations.Orders, db)
	refused(t, settled.insert(t.Context(), db.Pool, "audit"), "audit_once")
	retried := settled.with(row{"action": "RETRY", "kind": "VOID"})
	refused(t, retried.insert(t.Context(), db.Pool, "audit"), "")
	refused(t, retried.with(row{"order_id": uuid.NewString()}).insert(t.Context(), db.Pool, "audit"), "")

	if err := migrations.Orders.Down(t.Context(), db.URL); err != nil {
		t.Errorf("on the way back, with a retry of an order that does not exist: %v", err)
	}
}
