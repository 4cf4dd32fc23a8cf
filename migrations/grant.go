package migrations

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Grant gives the groups of roles that the server has what they may do in a database, as its migrations say, and
// returns which of them there are, and which are missing. Migrations that change it do so themselves: it is for roles
// that are made later. Where the database is not migrated so far, it does nothing, and there are none.
func (s Set) Grant(ctx context.Context, databaseURL string) (granted, missing []string, err error) {
	config, err := single(databaseURL)
	if err != nil {
		return nil, nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, nil, fmt.Errorf("grant the roles of %s: connect: %w", s, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return s.GrantIn(ctx, conn)
}

// GrantIn is Grant on a connection, or in a transaction.
func (s Set) GrantIn(ctx context.Context, db Database) (granted, missing []string, err error) {
	var there bool
	if err = one(ctx, db, `SELECT to_regprocedure('grant_roles()') IS NOT NULL`, &there); err == nil && there {
		err = one(ctx, db, `SELECT granted, missing FROM grant_roles()`, &granted, &missing)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("grant the roles of %s: %w", s, err)
	}
	return granted, missing, nil
}
