package orderdb

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/order"
	"hosho/internal/pg"
)

// goesWell is what a charge that was taken does to an order that waits for it. settlePaid writes just that.
var goesWell = order.Transition{To: order.State{Status: order.Completed}, Fate: order.DropAll}

// mayBePaid reports whether a finding, where its order is PENDING and it tells of that order's payment, only makes it
// COMPLETED: package order says so, its delivery was clean, and nobody has to be told but those who watch.
func mayBePaid(f *Finding) bool {
	t, err := order.Apply(order.State{Status: order.Pending}, f.Event)
	return err == nil && t == goesWell && f.Event.Fact() && f.Delivery.clean(f.Retry)
}

// paid is findings by which orders may be COMPLETED with one statement, parted into what that takes.
type paid struct {
	places     []int // where that of an order stands among all findings
	ids        pg.UUIDs
	customers  pg.Texts
	amounts    pg.Int64s
	currencies pg.Texts
	traced     []attempt // the deliveries that are recorded all the same
}

// mayBePaidOf picks those findings, and leaves the others, and all of an order about which there is more than one.
func mayBePaidOf(findings []Finding) (p paid) {
	n := len(findings)
	p = paid{
		make([]int, 0, n), make([][16]byte, 0, n), make([]string, 0, n), make([]int64, 0, n), make([]string, 0, n), nil,
	}
	about := make(map[string]int, n)
	for i := range findings {
		about[findings[i].Retry.Message.Key]++
	}
	for i := range findings {
		f := &findings[i]
		id, err := uuid.Parse(f.Retry.Message.Key)
		if err != nil || about[f.Retry.Message.Key] > 1 || !mayBePaid(f) {
			continue
		}
		p.places, p.ids = append(p.places, i), append(p.ids, id)
		p.customers = append(p.customers, f.Told.CustomerID)
		p.amounts, p.currencies = append(p.amounts, f.Told.AmountMinor), append(p.currencies, f.Told.Currency)
		if f.Delivery.Traced {
			p.traced = append(p.traced, attempt{Delivery: f.Delivery, message: f.Retry.Message, code: f.Retry.Code})
		}
	}
	return p
}

// payloads name the orders to those who watch them.
func (p *paid) payloads(findings []Finding) []string {
	ids := make([]string, len(p.places))
	for i, place := range p.places {
		ids[i] = findings[place].Retry.Message.Key
	}
	return pg.Payloads(ids)
}

// placesOf returns where those of some orders stand.
func (p *paid) placesOf(ids [][16]byte) (places []int) {
	some := make(map[[16]byte]struct{}, len(ids))
	for _, id := range ids {
		some[id] = struct{}{}
	}
	for i, place := range p.places {
		if _, found := some[p.ids[i]]; found {
			places = append(places, place)
		}
	}
	return places
}

// settlePaid applies what nearly every finding is, that the charge of a PENDING order was taken, in one round trip. It
// returns the indexes of the findings that it has applied, and whether those who watch their orders are told: all other
// findings are judged one by one. It decides nothing that judge and leave would not: the order's own row, locked, is
// what was told, and is PENDING still. An order that somebody has locked or changed, or whose payment is another's, is
// passed over.
func (s *Store) settlePaid(ctx context.Context, findings []Finding) (places []int, told bool, err error) {
	p := mayBePaidOf(findings)
	if len(p.ids) == 0 {
		return nil, false, nil
	}
	payloads := p.payloads(findings)
	var settled settledPaid
	err = heard(func(tell bool) (err error) {
		if !tell {
			payloads = nil
		}
		settled, err = s.writePaid(ctx, &p, payloads)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("settle %d paid orders: %w", len(p.ids), err)
	}
	s.metrics.paid(settled.took)
	if settled.all {
		return p.places, settled.told, nil
	}
	return p.placesOf(settled.ids), settled.told, nil
}

// writePaid settles orders that were placed together all at once, if all of them can be, and each by itself otherwise.
func (s *Store) writePaid(ctx context.Context, p *paid, payloads []string) (settled settledPaid, err error) {
	columns := []any{p.ids, p.customers, p.amounts, p.currencies, payloads}
	if between, near := nearSpan(p.ids); near && len(p.ids) >= nearAtLeast {
		settled, err = p.settleBy(ctx, s.pool, settlingNear, append(columns, between.first, between.last))
		if err != nil || settled.all {
			return settled, err
		}
	}
	return p.settleBy(ctx, s.pool, settlingPaid, columns)
}

// settleBy settles with a statement and, before it, records the deliveries that are traced: in its transaction, which
// costs less than one of their own. That of an order which is passed over is recorded, too. It was made.
func (p *paid) settleBy(
	ctx context.Context, pool *pgxpool.Pool, sql string, args []any,
) (settled settledPaid, err error) {
	err = pg.Pipeline(ctx, pool, func(b *pgx.Batch) {
		if len(p.traced) > 0 {
			b.Queue(recording, attemptColumns(p.traced)...)
		}
		b.Queue(sql, args...).QueryRow(func(row pgx.Row) error {
			return row.Scan(&settled.all, &settled.ids, &settled.told, &settled.took)
		})
	})
	if err != nil {
		return settledPaid{}, err // and what is scanned is not looked at: it may still be on its way
	}
	return settled, nil
}

// settledPaid is what settlingPaid and settlingNear return.
type settledPaid struct {
	all bool
	ids [][16]byte // unless it is all

	told bool      // whoever watches the orders is
	took []float64 // seconds from when each of them was accepted, in no order
}

// settlingPaid locks the orders first, by id, and changes the outbox after them, as everybody does. The compare-and-set
// is the UPDATE's, and what it returns decides which commands leave.
//
// Each row is looked up by its key, whatever the statistics say and whether or not the parameters are seen when it is
// planned: the subqueries cannot be pulled up, and how many elements an array has is not known. The arrays are parted
// where columns are named, since FROM unnest would write all rows down before it returns the first.
//
// Orders that were placed together have settlingNear.
var settlingPaid = `
	WITH settled AS (
		UPDATE orders
		SET status = 'COMPLETED', updated_at = clock_timestamp()
		WHERE id = ANY(ARRAY(
				SELECT locked.id
				FROM (
					SELECT unnest($1::uuid[]) AS id, unnest($2::text[]) AS customer_id,
						unnest($3::bigint[]) AS amount_minor, unnest($4::text[]) AS currency
					ORDER BY id
				) AS told
				CROSS JOIN LATERAL (
					SELECT o.id
					FROM orders AS o
					WHERE o.id = told.id
						AND o.status = 'PENDING'
						AND (o.customer_id, o.amount_minor, o.currency)
							IS NOT DISTINCT FROM (told.customer_id, told.amount_minor, told.currency)
					FOR UPDATE SKIP LOCKED
				) AS locked))
			AND status = 'PENDING'
		RETURNING id, ` + sinceAccepted + ` AS took
	), gone AS (
		` + Outbox.RemovalOf(`(SELECT id AS key FROM settled) AS k`) + `
	)` + tellingSettled

// tellingSettled returns what was settled. Those who watch are told by the transaction itself. What it names and has
// not settled is looked at in vain.
const tellingSettled = `
	SELECT count(*) = cardinality($1::uuid[]),
		CASE WHEN count(*) < cardinality($1::uuid[]) THEN array_agg(id) END,
		(SELECT count(pg_notify('` + Channel + `', payload)) > 0 FROM unnest($5::text[]) AS p (payload)),
		array_agg(took)
	FROM settled`

// sinceAccepted is how many seconds after it was accepted an order was settled, by what its row says.
const sinceAccepted = `date_part('epoch', updated_at) - date_part('epoch', created_at)`

// changesOfPaid tells what settlePaid did.
func changesOfPaid(findings []Finding, settled []int, told bool) []Change {
	changes := make([]Change, len(settled))
	for i, at := range settled {
		f := findings[at]
		changes[i] = Change{
			OrderID: f.Retry.Message.Key, From: order.Pending, To: goesWell.To.Status,
			AmountMinor: f.Told.AmountMinor, Currency: f.Told.Currency, // which the statement held against the order's
			Event: f.Event, Code: f.Retry.Code, Told: told,
			Trace: f.Retry.Message.Traceparent,
		}
	}
	return changes
}
