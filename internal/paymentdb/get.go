package paymentdb

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/payment"
	"hosho/internal/pg"
)

// Get returns a payment as it is now and the money that moved under its key, the oldest first, or ErrNotFound. It is
// one statement, so that a payment is never seen without its entries.
func (s *Store) Get(ctx context.Context, id string) (payment.Payment, []payment.Booking, error) {
	rows, err := pg.Query(ctx, s.reads, `
		SELECT `+columns+`, entry, moved_minor, moved_currency, at
		FROM payments
		LEFT JOIN (
			SELECT payment_id, kind AS entry, amount_minor AS moved_minor, currency AS moved_currency, at
			FROM ledger
		) AS moved ON payment_id = id
		WHERE id = $1
		ORDER BY at, entry`, id)
	if err != nil {
		return payment.Payment{}, nil, fmt.Errorf("get payment %s: %w", id, err)
	}
	moves, err := pgx.CollectRows(rows, pgx.RowToStructByName[move])
	if err == nil && len(moves) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return payment.Payment{}, nil, fmt.Errorf("get payment %s: %w", id, err)
	}
	var ledger []payment.Booking
	for _, m := range moves {
		if m.Entry != nil {
			ledger = append(ledger, payment.Booking{
				Entry: *m.Entry, AmountMinor: *m.MovedMinor, Currency: *m.MovedCurrency, At: *m.At,
			})
		}
	}
	return moves[0].payment(), ledger, nil
}

// move is a payment and one of its entries; nil when no money moved.
type move struct {
	row

	Entry         *payment.Entry
	MovedMinor    *int64
	MovedCurrency *string
	At            *time.Time
}
