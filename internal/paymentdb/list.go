package paymentdb

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hosho/internal/payment"
	"hosho/internal/pg"
)

// Filter selects payments. The zero value selects all.
type Filter struct {
	CustomerID string         // "": anybody's
	Status     payment.Status // payment.None: any
}

// mostLooked is how many payments one call of List looks at.
const mostLooked = 10_000

// newest is before the first payment.
const newest = "ffffffff-ffff-ffff-ffff-ffffffffffff"

// List returns up to limit payments by descending key, those below afterID when it is not "". A page costs the same
// however deep it lies, since it starts at a key of an index (keyset, no OFFSET).
//
// No index mentions status, and List looks at a bounded number of payments, everybody's or the customer's: it may
// return fewer than there are, or none. rest is the afterID by which the list goes on, "" when nothing follows. The
// payment at which it stopped looking is found, too, whatever its status.
//
// = ANY($5) says what = would, but that a customer is one value: the rows are in the order of the customer, too. So the
// planner cannot take the primary key for a customer, and read everybody's payments until it has met enough of theirs.
func (s *Store) List(
	ctx context.Context, f Filter, afterID string, limit int,
) (payments []payment.Payment, rest string, err error) {
	which, sequence, args := ``, `id DESC`, []any{cmp.Or(afterID, newest), mostLooked, f.Status, limit + 1}
	if f.CustomerID != "" {
		which, sequence = `customer_id = ANY($5) AND`, `customer_id, id DESC`
		args = append(args, []string{f.CustomerID})
	}
	rows, err := pg.QueryInOrder(ctx, s.reads, `
		SELECT `+columns+`, place, wanted
		FROM (
			SELECT `+columns+`, row_number() OVER (ORDER BY `+sequence+`) AS place, $3 IN ('', status) AS wanted
			FROM payments
			WHERE `+which+` id < $1
			ORDER BY `+sequence+`
			LIMIT $2
		) AS looked
		WHERE wanted OR place = $2
		ORDER BY `+sequence+`
		LIMIT $4`, args...)
	if err != nil {
		return nil, "", fmt.Errorf("list payments: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[struct {
		row
		Place  int
		Wanted bool
	}])
	if err != nil {
		return nil, "", fmt.Errorf("list payments: %w", err)
	}
	for _, r := range found {
		if len(payments) == limit {
			return payments, payments[limit-1].ID, nil
		}
		if r.Wanted {
			payments = append(payments, r.payment())
		}
		if r.Place == mostLooked {
			rest = r.ID
		}
	}
	return payments, rest, nil
}
