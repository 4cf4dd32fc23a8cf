package paymentdb

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/payment"
	"hosho/internal/pg"
)

// decided is the row of a statement that decides.
type decided struct {
	identity pgtype.UUID
	now      pgtype.Timestamptz            // when it was decided
	ids      pgtype.FlatArray[pgtype.UUID] // the keys of which it was
	expired  pgtype.FlatArray[pgtype.UUID] // those of them whose charge came too late
}

func scanDecided(r pgx.CollectableRow) (d decided, err error) {
	err = r.Scan(&d.identity, &d.now, &d.ids, &d.expired)
	return d, err
}

func (d decided) of() pgtype.UUID { return d.identity }

// decide runs a statement that decides the keys that nothing was decided under, and returns the payments of those.
// outcome tells what became of the request that is the first of its key.
func (s *Store) decide(
	ctx context.Context, k *keyed, meant []string, outcome func(first int) payment.Decision, sql string, args ...any,
) (stored, error) {
	args = append([]any{identities(meant), s.lockWait}, args...)
	rows, err := pg.Write(ctx, s.pool, scanDecided, sql, args...)
	if err == nil {
		err = checkRows(rows, meant)
	}
	if err != nil {
		return nil, err
	}
	d, known := rows[0], k.nothing()
	write := func(ids pgtype.FlatArray[pgtype.UUID], outcome func(int) payment.Decision) {
		for _, id := range ids {
			first := k.first[id.Bytes]
			known[first], k.fresh[first] = d.payment(&k.requests[first], outcome(first)), true
		}
	}
	write(d.ids, outcome)
	write(d.expired, func(int) payment.Decision { return payment.Apply(payment.None, payment.ChargeExpired) })
	return known, nil
}

// payment is what was written for a request.
func (d *decided) payment(r *payment.Request, outcome payment.Decision) payment.Payment {
	return payment.Payment{
		ID: r.ID, CustomerID: r.CustomerID, AmountMinor: r.AmountMinor, Currency: r.Currency,
		Status: outcome.Status, DeclineReason: outcome.Reason, CreatedAt: d.now.Time, UpdatedAt: d.now.Time,
	}
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

// read returns what is stored under keys of the requests.
func (s *Store) read(ctx context.Context, k *keyed, keys []key, meant []string) (stored, error) {
	rows, err := pg.Query(ctx, s.pool, `
		WITH `+here+`
		SELECT identity, `+columns+` FROM here LEFT JOIN payments ON meant AND id = ANY($3)`,
		identities(meant), "", uuids(keys))
	return k.collect(rows, err, meant)
}

func (k *keyed) collect(rows pgx.Rows, err error, meant []string) (stored, error) {
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
	known := k.nothing()
	for _, f := range all {
		if f.ID.Valid {
			known[k.first[f.ID.Bytes]] = row{
				f.ID.String(), *f.CustomerID, *f.AmountMinor, *f.Currency, *f.Status, f.DeclineReason,
				*f.CreatedAt, *f.UpdatedAt,
			}.payment()
		}
	}
	return known, nil
}
