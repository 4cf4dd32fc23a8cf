package migrations

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/stdlib"
)

// connector makes connections whose transactions wait for no lock longer than lockTimeout. Each transaction says so by
// itself: in transaction mode a pooler would give the session on, and what was set in it as well.
type connector struct {
	driver.Connector

	may func(context.Context) error // is asked before each transaction
}

// Connect is database/sql's hook.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &connection{made.(*stdlib.Conn), c.may}, nil
}

type connection struct {
	*stdlib.Conn

	may func(context.Context) error
}

// BeginTx is database/sql's hook.
func (c *connection) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if err := c.may(ctx); err != nil {
		return nil, err
	}
	tx, err := c.Conn.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	if _, err := c.Conn.Conn().Exec(ctx, `SET LOCAL lock_timeout = '`+lockTimeout+`'`); err != nil {
		return nil, errors.Join(fmt.Errorf("bound the wait for locks: %w", err), tx.Rollback())
	}
	return tx, nil
}

// open returns a database whose transactions begin while the lock is held.
func (l *locker) open() *sql.DB {
	return sql.OpenDB(connector{stdlib.GetConnector(*l.config), l.held})
}
