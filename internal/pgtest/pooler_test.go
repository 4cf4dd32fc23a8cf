package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
)

// Two connections to a pooler in transaction mode are in turn the same session of the server.
func TestAPoolerLendsOneSessionToMany(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	pooled := pgtest.Pooler(t, db.URL+"&default_query_exec_mode=exec", map[string]string{"default_pool_size": "1"})
	sessions := map[uint32]bool{}
	for range 2 {
		conn, err := pgx.Connect(t.Context(), pooled)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		if got, want := name(t, conn), name(t, db.Pool); got != want {
			t.Errorf("the pooler leads to %s, want %s", got, want)
		}
		var pid uint32
		if err := conn.QueryRow(t.Context(), `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
			t.Fatal(err)
		}
		sessions[pid] = true
	}
	if len(sessions) != 1 {
		t.Errorf("got sessions %v, want one", sessions)
	}
}
