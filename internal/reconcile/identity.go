package reconcile

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
)

// sameSystem returns the identity of the payments database, or an error when it is not the one that the orders trust.
// Held against another environment's, every order would be a finding, each with a call that gives somebody's money
// back.
func sameSystem(ctx context.Context, orders, payments *pgxpool.Pool) (is string, err error) {
	trusted, err := identity(ctx, orders, `SELECT (SELECT id::text FROM payments_database)`)
	if err != nil {
		return "", fmt.Errorf("read which payments database the orders trust: %w", err)
	}
	found, err := identity(ctx, payments, `SELECT id::text FROM database_identity`)
	if err != nil {
		return "", fmt.Errorf("ask the payments database who it is: %w", err)
	}
	if trusted == nil || *trusted == *found {
		return *found, nil
	}
	return "", fmt.Errorf("the two databases are not of one system: got payments database %s, and the orders trust "+
		"%s: mend PAYMENTS_DATABASE_URL, or see \"wrong payments database\" in doc/operations.md", *found, *trusted)
}

// identity reads one, nil where NULL is in its place.
func identity(ctx context.Context, pool *pgxpool.Pool, sql string) (*string, error) {
	rows, err := pg.Query(ctx, pool, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowTo[*string])
}
