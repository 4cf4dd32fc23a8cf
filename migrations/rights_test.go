package migrations_test

import (
	"context"
	"database/sql"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver
	"github.com/pressly/goose/v3"

	"hosho/internal/pgtest"
)

// Roles have rights to the outbox, by column or to all of it, when the standing claims come. Whoever could write
// commands may have them born with a claim, whoever could claim may make standing ones, and nobody gets more.
func TestWhoMayUseTheOutboxMayUseStandingClaims(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	conn, err := sql.Open("pgx", db.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p, err := goose.NewProvider(goose.DialectPostgres, conn, os.DirFS("orders"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 15); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ has, claims, columns string }{
		{`INSERT (key, kind, payload)`, "SELECT", "INSERT"},
		{`INSERT`, "SELECT", "INSERT"},
		{`UPDATE (lease_token, claims)`, "SELECT INSERT UPDATE DELETE", ""},
		{`UPDATE`, "SELECT INSERT UPDATE DELETE", ""},
		{`SELECT, DELETE`, "", ""},
		{`UPDATE (ready_at)`, "", ""},
	}
	roles := make([]string, len(tests))
	for i, test := range tests {
		roles[i] = "rights_" + strings.ReplaceAll(uuid.NewString(), "-", "")
		exec(t, db, `CREATE ROLE `+roles[i])
		t.Cleanup(func() {
			sql := `DROP OWNED BY ` + roles[i] + `; DROP ROLE ` + roles[i]
			if _, err := db.Pool.Exec(context.WithoutCancel(t.Context()), sql); err != nil {
				t.Error(err)
			}
		})
		exec(t, db, `GRANT `+test.has+` ON outbox TO `+roles[i])
	}
	if _, err := p.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, test := range tests {
		for _, right := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
			want := strings.Contains(test.claims, right)
			if got := may(t, db, `has_table_privilege($1, 'outbox_claims', $2)`, roles[i], right); got != want {
				t.Errorf("%s: got %s on outbox_claims %v, want %v", test.has, right, got, want)
			}
		}
		for _, column := range []string{"claims", "leased_until", "lease_token"} {
			want := test.columns == "INSERT"
			got := may(t, db, `has_column_privilege($1, 'outbox', '`+column+`', $2)`, roles[i], "INSERT")
			if got != want {
				t.Errorf("%s: got INSERT of %s %v, want %v", test.has, column, got, want)
			}
		}
	}
}

func may(t *testing.T, db *pgtest.Database, right string, args ...any) (yes bool) {
	t.Helper()
	if err := db.Pool.QueryRow(t.Context(), `SELECT `+right, args...).Scan(&yes); err != nil {
		t.Fatal(err)
	}
	return yes
}
