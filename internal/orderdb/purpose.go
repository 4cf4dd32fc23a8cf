package orderdb

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/pg"
)

// Note is what a command says of the order that it is there for: a charge, of one that is PENDING until its deadline,
// or a void, of one that is CANCELLING.
type Note struct {
	OrderID     [16]byte
	Status      order.Status
	CustomerID  string
	AmountMinor int64
	Currency    string
	DeadlineAt  time.Time // zero: it has none
}

// Facts are what an order says of itself, read along with its charge.
type Facts struct {
	waits      pgtype.Bool // it is PENDING, and its deadline has not passed
	customerID pgtype.Text
	amount     pgtype.Int8
	currency   pgtype.Text
	deadlineAt pgtype.Timestamptz
}

var factsAlong = outbox.Along{
	Query: `
		SELECT o.status = 'PENDING' AND o.deadline_at > clock_timestamp(), o.customer_id, o.amount_minor, o.currency,
			o.deadline_at
		FROM orders AS o
		WHERE o.id = m.key
		OFFSET 0`,
	Into: func() (columns []any, along any) {
		f := &Facts{}
		return []any{&f.waits, &f.customerID, &f.amount, &f.currency, &f.deadlineAt}, f
	},
}

// BearOut reports whether an order is what its charge says. It is Doubtful of one note, the other way round.
func (f *Facts) BearOut(n *Note) bool {
	return f.waits.Valid && f.waits.Bool && n.Status == order.Pending && f.customerID.String == n.CustomerID &&
		f.amount.Int64 == n.AmountMinor && f.currency.String == n.Currency && f.deadlineAt.Time.Equal(n.DeadlineAt)
}

// Doubtful returns the places of those notes that are not borne out by their orders as they are at one moment, or whose
// deadline has passed by the database's clock. It is for what nearly every command is, and reads no order where that is
// so: Purposes says what is to be said about the others. It locks nothing.
func (s *Store) Doubtful(ctx context.Context, notes []Note) ([]int, error) {
	var (
		ids        = make(pg.UUIDs, len(notes))
		statuses   = make(pg.Texts, len(notes))
		customers  = make(pg.Texts, len(notes))
		amounts    = make(pg.Int64s, len(notes))
		currencies = make(pg.Texts, len(notes))
		deadlines  = make(pg.Times, len(notes))
	)
	for i := range notes {
		n := &notes[i]
		ids[i], statuses[i], customers[i] = n.OrderID, string(n.Status), n.CustomerID
		amounts[i], currencies[i], deadlines[i] = n.AmountMinor, n.Currency, n.DeadlineAt
	}
	// OFFSET 0 keeps the lookup of the order a lookup, whatever the statistics say, and IS NOT DISTINCT FROM keeps it
	// one by the order's id: no index answers that. FROM unnest would write all rows down before it returns the first.
	rows, err := pg.Query(ctx, s.pool, `
		SELECT n.place
		FROM (
			SELECT unnest($1::uuid[]) AS id, unnest($2::text[]) AS status, unnest($3::text[]) AS customer_id,
				unnest($4::bigint[]) AS amount_minor, unnest($5::text[]) AS currency,
				unnest($6::timestamptz[]) AS deadline_at, generate_subscripts($1::uuid[], 1) AS place
		) AS n
		LEFT JOIN LATERAL (
			SELECT true AS borne_out
			FROM orders AS o
			WHERE o.id = n.id
				AND (o.status, o.customer_id, o.amount_minor, o.currency)
					IS NOT DISTINCT FROM (n.status, n.customer_id, n.amount_minor, n.currency)
				AND (n.deadline_at IS NULL OR o.deadline_at = n.deadline_at AND o.deadline_at > clock_timestamp())
			OFFSET 0
		) AS o ON true
		WHERE o.borne_out IS NULL`, ids, statuses, customers, amounts, currencies, deadlines)
	if err != nil {
		return nil, fmt.Errorf("hold %d commands against their orders: %w", len(notes), err)
	}
	places, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("hold %d commands against their orders: %w", len(notes), err)
	}
	for i := range places {
		places[i]-- // SQL counts from 1
	}
	return places, nil
}

// Purpose is what a command in hand is there for, as the orders database has it.
type Purpose struct {
	Order *order.Order // nil: there is none; otherwise without its items and the times of its changes
	Late  bool         // its deadline has passed, by the database's clock
}

// Purposes reads, at one moment, what commands are there for, in their order. It locks nothing: what it returns is the
// past already, and only good for keeping back what must not be sent. The items stay where they are, so that no order
// whose items are damaged keeps the others.
func (s *Store) Purposes(ctx context.Context, commands []outbox.Message) ([]Purpose, error) {
	keys := make([]string, len(commands))
	for i, c := range commands {
		keys[i] = c.Key
	}
	// OFFSET 0 keeps the lookup of the order a lookup, whatever the statistics say.
	rows, err := pg.Query(ctx, s.reads, `
		SELECT o.id::text, o.customer_id, o.amount_minor, o.currency, o.status, o.deadline_at,
			coalesce(o.deadline_at <= clock_timestamp(), false) AS late
		FROM unnest($1::uuid[]) WITH ORDINALITY AS c (key, place)
		LEFT JOIN LATERAL (
			SELECT id, customer_id, amount_minor, currency, status, deadline_at
			FROM orders
			WHERE orders.id = c.key
			OFFSET 0
		) AS o ON true
		ORDER BY c.place`, keys)
	if err != nil {
		return nil, fmt.Errorf("read what %d commands are for: %w", len(commands), err)
	}
	purposes, err := pgx.CollectRows(rows, scanPurpose)
	if err != nil {
		return nil, fmt.Errorf("read what %d commands are for: %w", len(commands), err)
	}
	return purposes, nil
}

func scanPurpose(r pgx.CollectableRow) (p Purpose, err error) {
	var (
		id, customer, currency *string
		status                 *order.Status
		amount                 *int64
		deadline               *time.Time
	)
	err = r.Scan(&id, &customer, &amount, &currency, &status, &deadline, &p.Late)
	if err == nil && id != nil {
		p.Order = &order.Order{
			ID: *id, CustomerID: *customer, AmountMinor: *amount, Currency: *currency, Status: *status,
			DeadlineAt: *deadline,
		}
	}
	return p, err
}

// SetAside parks commands that there is no order for. Nothing is changed but the outbox, and no order is locked: there
// is none.
func (s *Store) SetAside(ctx context.Context, commands []outbox.Message, code string) error {
	parked := make([]outbox.Retry, len(commands))
	for i, c := range commands {
		parked[i] = outbox.Retry{Message: c, Code: code}
	}
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error { return Outbox.Park(ctx, tx, parked) })
	if err != nil {
		return fmt.Errorf("set %d commands aside: %w", len(commands), err)
	}
	return nil
}
