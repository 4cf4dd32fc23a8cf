package reconcile

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// sameSystem returns an error when the payments database is not the one that the orders trust. Held against another
// environment's, every order would be a finding, each with a call that gives somebody's money back.
func sameSystem(ctx context.Context, orders, payments *pgxpool.Pool) error {
	var trusted *string
	err := orders.QueryRow(ctx, `SELECT (SELECT id::text FROM payments_database)`).Scan(&trusted)
	if err != nil {
		return fmt.Errorf("read which payments database the orders trust: %w", err)
	}
	var is string
	if err := payments.QueryRow(ctx, `SELECT id::text FROM database_identity`).Scan(&is); err != nil {
		return fmt.Errorf("ask the payments database who it is: %w", err)
	}
	if trusted == nil || *trusted == is {
		return nil
	}
	return fmt.Errorf("the two databases are not of one system: got payments database %s, and the orders trust %s: "+
		"mend PAYMENTS_DATABASE_URL, or see \"wrong payments database\" in doc/operations.md", is, *trusted)
}
