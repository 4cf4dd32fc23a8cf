package pgtest

import (
	"fmt"
	"testing"
)

// Counter returns a counter of the database's statistics, a column of pg_stat_database. The sessions of the pool are
// asked for their own first: they are kept back for seconds otherwise.
func (d *Database) Counter(t testing.TB, column string) (n int) {
	t.Helper()
	for _, conn := range d.Pool.AcquireAllIdle(t.Context()) {
		_, err := conn.Exec(t.Context(), `SELECT pg_stat_force_next_flush()`)
		conn.Release()
		if err != nil {
			t.Fatal(err)
		}
	}
	err := d.Pool.QueryRow(t.Context(), fmt.Sprintf(`SELECT %s FROM pg_stat_database
		WHERE datname = current_database()`, column)).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
