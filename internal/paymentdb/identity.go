package paymentdb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/payment"
	"hosho/internal/pg"
)

// ErrWrongDatabase says that a command means another payments database than this one. Nothing was looked up or written.
var ErrWrongDatabase = errors.New("this is another payments database than the one that is meant")

// Identity is which payments database this is, and what its clock says.
type Identity struct {
	ID    string // a UUID as PostgreSQL writes it
	Clock time.Time
}

const identityQuery = `SELECT id::text AS id, clock_timestamp() AS clock FROM database_identity`

// Identity asks the database who it is.
func (s *Store) Identity(ctx context.Context) (Identity, error) {
	rows, err := pg.Query(ctx, s.reads, identityQuery)
	if err != nil {
		return Identity{}, fmt.Errorf("ask the payments database who it is: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Identity])
	if err != nil {
		return Identity{}, fmt.Errorf("ask the payments database who it is: %w", err)
	}
	return found, nil
}

// collectFrom returns the payments that a statement returns, or ErrWrongDatabase where this is not the database that is
// meant, if one is. It asks for the identity along with the statement, at the cost of no round trip: the answer is of
// the very session that the statement runs in, whatever the URL, a pooler or a failover makes of the next one. The
// caller's transaction must not commit what the statement did to the wrong one.
func collectFrom(
	ctx context.Context, tx pgx.Tx, meant []string, sql string, args ...any,
) (payments []payment.Payment, err error) {
	batch := &pgx.Batch{}
	batch.Queue(identityQuery)
	batch.Queue(sql, args...)
	results := tx.SendBatch(ctx, batch)
	defer func() {
		if closed := results.Close(); err == nil {
			err = closed
		}
	}()
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	is, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Identity])
	if err != nil {
		return nil, fmt.Errorf("ask the payments database who it is: %w", err)
	}
	for _, m := range meant {
		if m != "" && !strings.EqualFold(m, is.ID) {
			return nil, fmt.Errorf("%w: got %s, want %.64q", ErrWrongDatabase, is.ID, m)
		}
	}
	return collect(results.Query())
}
