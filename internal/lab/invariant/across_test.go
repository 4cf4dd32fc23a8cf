package invariant

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

// A million orders made each page of the check sort all that were left: the ids were put in the order of their texts.
func TestAPageIsReadFromTheKeyAndNotSorted(t *testing.T) {
	t.Parallel()
	slow.Test(t, "needs many rows")
	orders, payments := pgtest.Orders(t), pgtest.Payments(t)
	for table, db := range map[string]*pgtest.Database{"orders": orders, "payments": payments} {
		err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off`)
			if err != nil {
				return err
			}
			plan, err := explain(t.Context(), tx, nextPage(table))
			if strings.Contains(plan, "Sort") || !strings.Contains(plan, "Index Scan using "+table+"_pkey") {
				t.Errorf("%s: got the plan\n%s\nwant it read from the key", table, plan)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func explain(ctx context.Context, tx pgx.Tx, query string) (string, error) {
	// CollectRows returns the error.
	rows, _ := tx.Query(ctx, `EXPLAIN `+query, "00000000-0000-7000-8000-000000000001", window)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(lines, "\n"), err
}
