package paymentdb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
)

// ErrWrongDatabase says that a command means another payments database than this one. Nothing was looked up or written.
var ErrWrongDatabase = errors.New("this is another payments database than the one that is meant")

// Identity is which payments database this is, what its clock says, and whom it trusts. Identities are UUIDs as
// PostgreSQL writes them.
type Identity struct {
	ID     string
	Clock  time.Time
	Orders *string // the orders database that is trusted; nil: none is yet
}

const identityQuery = `
	SELECT id::text AS id, clock_timestamp() AS clock, (SELECT id::text FROM orders_database) AS orders
	FROM database_identity`

// Identity asks the database who it is.
func (s *Store) Identity(ctx context.Context) (Identity, error) { return identityOver(ctx, s.reads) }

func identityOver(ctx context.Context, pool *pgxpool.Pool) (Identity, error) {
	rows, err := pg.Query(ctx, pool, identityQuery)
	if err != nil {
		return Identity{}, fmt.Errorf("ask the payments database who it is: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Identity])
	if err != nil {
		return Identity{}, fmt.Errorf("ask the payments database who it is: %w", err)
	}
	return found, nil
}

// here is the part of a statement that asks which database this is, along with it and at the cost of no round trip: the
// answer is of the very session that the statement runs in, whatever the URL, a pooler or a failover makes of the next
// one. What is written and read is joined with it: where another database is meant there is nothing to join with. A
// statement that commits by itself could not be taken back.
//
// There is one row. LIMIT tells the planner, which has never seen statistics of so small a table and would think of a
// thousand times the work.
//
// It also says how long a lock is waited for, and reads the clock, before the first is taken. Its parameters come
// first: the identities that are meant, and how long that is, ” for as long as ever.
const here = `here AS MATERIALIZED (
			SELECT id AS identity, id = ALL($1::uuid[]) AS meant,
				CASE WHEN $2 <> '' THEN set_config('lock_timeout', $2, true) END AS lock_timeout,
				clock_timestamp() AS clock
			FROM database_identity
			LIMIT 1
		)`

// identities are those that are meant, as a statement compares them. What is no identity is NULL, which none equals.
func identities(meant []string) pgtype.FlatArray[pgtype.UUID] {
	ids := make(pgtype.FlatArray[pgtype.UUID], 0, 1)
	for _, m := range meant {
		if m != "" {
			id, err := keyOf(m)
			ids = append(ids, pgtype.UUID{Bytes: id, Valid: err == nil})
		}
	}
	return ids
}

// check returns ErrWrongDatabase where the identity that a statement returned is not the one that is meant, if one is.
func check(identity pgtype.UUID, meant []string) error {
	for _, m := range meant {
		if m != "" && !strings.EqualFold(m, identity.String()) {
			return fmt.Errorf("%w: got %s, want %.64q", ErrWrongDatabase, identity, m)
		}
	}
	return nil
}

// identified is a row that a statement returns beside its here.
type identified interface{ of() pgtype.UUID }

// checkRows checks the database that rows came from. There is one row at least.
func checkRows[T identified](rows []T, meant []string) error {
	if len(rows) == 0 {
		return errors.New("the payments database has no identity")
	}
	return check(rows[0].of(), meant)
}
