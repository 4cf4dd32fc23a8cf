package pgtest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
)

// roles numbers the roles of this test binary.
var roles atomic.Int64

// Role is a role that may do with a database what it was granted, and no more.
type Role struct {
	Name string
	URL  string
	Pool *pgxpool.Pool
}

// As makes a role that has exactly the rights that a program needs, and a pool of its sessions. It is gone when the
// test ends.
func (d *Database) As(t testing.TB, needs []pg.Need) Role {
	t.Helper()
	name := fmt.Sprintf("role_%d", roles.Add(1))
	statements := []string{`CREATE ROLE ` + name, `GRANT SELECT ON goose_db_version TO ` + name}
	for _, right := range Rights(needs) {
		statements = append(statements, `GRANT `+right+` TO `+name)
	}
	d.exec(t, strings.Join(statements, "; "))
	t.Cleanup(func() { d.exec(t, `DROP OWNED BY `+name+`; DROP ROLE `+name) })
	url := d.URL + "&role=" + name
	return Role{Name: name, URL: url, Pool: connect(t, url)}
}

// Rights are the rights that a program needs, one by one, as GRANT and REVOKE take them.
func Rights(needs []pg.Need) (rights []string) {
	for _, need := range needs {
		add := func(right string, columns []string) {
			for _, column := range columns {
				rights = append(rights, fmt.Sprintf("%s (%s) ON %s", right, column, need.Table))
			}
		}
		add("SELECT", need.Select)
		add("INSERT", need.Insert)
		add("UPDATE", need.Update)
		if need.Delete {
			rights = append(rights, "DELETE ON "+need.Table)
		}
	}
	return rights
}

func (d *Database) exec(t testing.TB, statements string) {
	t.Helper()
	ctx, cancel := cleanupContext(t)
	defer cancel()
	if _, err := d.Pool.Exec(ctx, statements); err != nil {
		t.Errorf("%s: %v", statements, err)
	}
}
