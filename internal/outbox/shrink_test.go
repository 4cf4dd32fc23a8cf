package outbox

import (
	"testing"

	"hosho/internal/pgtest"
)

// A large backlog is drained, and one message at its end is delivered last. A vacuum finds a single dead row, which
// would not be worth its while, and all the empty pages before it would stay.
func TestAnEmptyOutboxIsSmallAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	exec(t, db, `ALTER TABLE outbox SET (autovacuum_enabled = false)`) // the test says when
	exec(t, db, `
		INSERT INTO outbox (key, kind, payload)
		SELECT gen_random_uuid(), 'HELLO', 'good morning' FROM generate_series(1, 20000)`)
	exec(t, db, `DELETE FROM outbox WHERE id < (SELECT max(id) FROM outbox)`)
	exec(t, db, `VACUUM outbox`)
	exec(t, db, `DELETE FROM outbox`)
	exec(t, db, `VACUUM outbox`)
	if got := number(t, db, `SELECT pg_relation_size('outbox')`); got != 0 {
		t.Errorf("got %d bytes, want an empty outbox to take none", got)
	}
}
