package paymentdb

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/payment"
	"hosho/internal/pg"
)

// decided is a row of a statement that decides: what of a payment is not in its request. The statement returns it for
// here LEFT JOIN decided, so that where nothing was decided it is one row without a key.
type decided struct {
	identity  pgtype.UUID
	id        pgtype.UUID
	reason    *payment.DeclineReason
	createdAt pgtype.Timestamptz
	updatedAt pgtype.Timestamptz
}

const decidedColumns = `identity, id, decline_reason, created_at, updated_at`

func scanDecided(r pgx.CollectableRow) (d decided, err error) {
	err = r.Scan(&d.identity, &d.id, &d.reason, &d.createdAt, &d.updatedAt)
	return d, err
}

func (d decided) of() pgtype.UUID { return d.identity }

// payment is what was written for a request.
func (d decided) payment(r payment.Request, decision func(payment.DeclineReason) payment.Status) payment.Payment {
	p := payment.Payment{
		ID: r.ID, CustomerID: r.CustomerID, AmountMinor: r.AmountMinor, Currency: r.Currency,
		CreatedAt: d.createdAt.Time, UpdatedAt: d.updatedAt.Time,
	}
	if d.reason != nil {
		p.DeclineReason = *d.reason
	}
	p.Status = decision(p.DeclineReason)
	return p
}

// decide runs a statement that decides the keys that nothing was decided under, and returns those. decision tells the
// status of what was declined for a reason, or for none.
func (s *Store) decide(
	ctx context.Context, k *keyed, meant []string, decision func(payment.DeclineReason) payment.Status,
	sql string, args ...any,
) (map[key]payment.Payment, error) {
	args = append([]any{identities(meant), s.lockWait}, args...)
	rows, err := pg.Write(ctx, s.pool, scanDecided, sql, args...)
	if err == nil {
		err = checkRows(rows, meant)
	}
	if err != nil {
		return nil, err
	}
	stored := make(map[key]payment.Payment, len(rows))
	for _, d := range rows {
		if d.id.Valid {
			stored[d.id.Bytes] = d.payment(k.requests[k.first[d.id.Bytes]], decision)
		}
	}
	return stored, nil
}

// found is a row of payments, as a statement returns it for here LEFT JOIN payments: where there is none all but the
// identity is nil.
type found struct {
	Identity      pgtype.UUID
	ID            pgtype.UUID
	CustomerID    *string
	AmountMinor   *int64
	Currency      *string
	Status        *payment.Status
	DeclineReason *payment.DeclineReason
	CreatedAt     *time.Time
	UpdatedAt     *time.Time
}

func (f found) of() pgtype.UUID { return f.Identity }

// read returns what is stored under the keys.
func (s *Store) read(ctx context.Context, keys []key, meant []string) (map[key]payment.Payment, error) {
	rows, err := pg.Query(ctx, s.pool, `
		WITH `+here+`
		SELECT identity, `+columns+` FROM here LEFT JOIN payments ON meant AND id = ANY($3)`,
		identities(meant), "", uuids(keys))
	return collect(rows, err, meant)
}

func collect(rows pgx.Rows, err error, meant []string) (map[key]payment.Payment, error) {
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[found])
	if err == nil {
		err = checkRows(all, meant)
	}
	if err != nil {
		return nil, err
	}
	stored := make(map[key]payment.Payment, len(all))
	for _, f := range all {
		if f.ID.Valid {
			stored[f.ID.Bytes] = row{
				f.ID.String(), *f.CustomerID, *f.AmountMinor, *f.Currency, *f.Status, f.DeclineReason,
				*f.CreatedAt, *f.UpdatedAt,
			}.payment()
		}
	}
	return stored, nil
}
