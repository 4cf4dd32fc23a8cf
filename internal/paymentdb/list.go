package paymentdb

import (
	"context"
	"fmt"

	"hosho/internal/payment"
	"hosho/internal/pg"
)

// Filter selects payments. The zero value selects all.
type Filter struct {
	CustomerID string         // "": anybody's
	Status     payment.Status // payment.None: any
}

// List returns up to limit payments by descending key, those below afterID when it is not "". A page costs the same
// however deep it lies, since it starts at a key of an index (keyset, no OFFSET).
func (s *Store) List(ctx context.Context, f Filter, afterID string, limit int) ([]payment.Payment, error) {
	page, err := collect(pg.Query(ctx, s.reads, `
		SELECT `+columns+`
		FROM payments
		WHERE ($1 = '' OR customer_id = $1)
			AND ($2 = '' OR status = $2)
			AND ($3 = '' OR id < nullif($3, '')::uuid)
		ORDER BY id DESC
		LIMIT $4`, f.CustomerID, f.Status, afterID, limit))
	if err != nil {
		return nil, fmt.Errorf("list payments: %w", err)
	}
	return page, nil
}
