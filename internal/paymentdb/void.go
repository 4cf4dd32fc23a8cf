package paymentdb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/failpoint"
	"hosho/internal/payment"
	"hosho/internal/pg"
)

// Void sees to it that no money is held under the keys and returns a result for each request, in their order: what is
// decided under its key now, ErrKeyReused, or why what was stored before could not be voided. An error means that
// nothing was changed, unless it is pg.ErrCommitUnknown.
//
// It is one statement that commits by itself, and a transaction after it where a key was known.
func (s *Store) Void(ctx context.Context, requests []payment.Request, meant ...string) ([]Result, error) {
	k, err := newKeyed(requests)
	var known stored
	if err == nil {
		known, err = s.insertTombstones(ctx, k, meant)
	}
	if err != nil {
		return nil, fmt.Errorf("void %d payments: %w", len(requests), err)
	}
	failpoint.Here(failpoint.VoidInside)
	err = s.voidStored(ctx, known, k, meant)
	if err != nil && len(k.without(known)) == len(k.first) {
		return nil, fmt.Errorf("void %d payments: %w", len(requests), err)
	}
	failpoint.Here(failpoint.VoidCommitted)
	return k.results(known, err), nil
}

// insertTombstones decides the keys that nothing was decided under, so that a charge which arrives later finds them
// taken (rule 3 of doc/rules.md; ON CONFLICT DO NOTHING, as in insertCharges), and returns those.
func (s *Store) insertTombstones(ctx context.Context, k *keyed, meant []string) (stored, error) {
	a := k.arrays()
	tombstone := payment.Apply(payment.None, payment.Void)
	return s.decide(ctx, k, meant, func(int) payment.Decision { return tombstone }, `
		WITH `+here+`, decided AS (
			INSERT INTO payments (id, customer_id, amount_minor, currency, status)
			SELECT id, customer_id, amount_minor, currency, $7 AS status
			FROM here, unnest($3::uuid[], $4::text[], $5::bigint[], $6::text[])
				AS a (id, customer_id, amount_minor, currency)
			WHERE meant
			ORDER BY id
			ON CONFLICT (id) DO NOTHING
			RETURNING id
		)
		SELECT identity, statement_timestamp(), (SELECT array_agg(id) FROM decided), NULL::uuid[] FROM here`,
		a.ids, a.customers, a.amounts, a.currencies, tombstone.Status)
}

// voidStored voids what was stored before, and adds all of it to stored when that has committed.
func (s *Store) voidStored(ctx context.Context, known stored, k *keyed, meant []string) error {
	others := k.without(known)
	if len(others) == 0 {
		return nil
	}
	var now stored
	var changed []changed
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		if now, err = s.lock(ctx, tx, k, others, meant); err != nil {
			return err
		}
		changed, err = change(ctx, tx, changes(now, k))
		return err
	})
	if err != nil {
		return err
	}
	for _, at := range changed {
		first := k.first[at.id.Bytes]
		now[first].Status, now[first].UpdatedAt = at.status, at.updatedAt.Time
		k.fresh[first] = true
	}
	known.add(now)
	return k.complete(known)
}

// lock reads payments and keeps them as they are until the transaction ends, by ascending key. It is a statement after
// the INSERT for the reason that withStored gives. NO KEY is the lock that the UPDATE takes.
func (s *Store) lock(ctx context.Context, tx pgx.Tx, k *keyed, keys []key, meant []string) (stored, error) {
	rows, err := tx.Query(ctx, `
		WITH `+here+`, locked AS (
			SELECT `+columns+`
			FROM payments
			WHERE id = ANY($3) AND (SELECT meant FROM here)
			ORDER BY id
			FOR NO KEY UPDATE
		)
		SELECT identity, `+columns+` FROM here LEFT JOIN locked ON true`,
		identities(meant), s.lockWait, uuids(keys))
	return k.collect(rows, err, meant)
}

// transition is a stored payment and what a void makes of it.
type transition struct {
	key
	from     payment.Status
	decision payment.Decision
}

// changes asks of each request that matches its payment what a void does to it, and returns those that change, once
// each. A request that does not match changes nothing, wherever in the batch it stands.
func changes(known stored, k *keyed) (out []transition) {
	asked := make([]bool, len(known))
	for i, by := range k.by {
		p := &known[by]
		if asked[by] || !known.known(by) || !p.Matches(k.requests[i]) {
			continue
		}
		asked[by] = true
		if d := payment.Apply(p.Status, payment.Void); d.Status != p.Status {
			out = append(out, transition{k.keys[i], p.Status, d})
		}
	}
	return out
}

// changed is what a transition made of a payment.
type changed struct {
	id        pgtype.UUID
	status    payment.Status
	updatedAt pgtype.Timestamptz
}

func scanChanged(r pgx.CollectableRow) (c changed, err error) {
	err = r.Scan(&c.id, &c.status, &c.updatedAt)
	return c, err
}

// change writes the transitions and their ledger entries.
//
// WHERE names the status to be left: a row that is no longer in it is not updated, and the row count fails the
// transaction. It cannot happen while lock holds the rows; the money rests on it all the same. = ANY(ARRAY[key]) says
// what = would, but that no plan can turn the lookup around and read all payments.
func change(ctx context.Context, tx pgx.Tx, transitions []transition) ([]changed, error) {
	if len(transitions) == 0 {
		return nil, nil
	}
	ids := make([]key, len(transitions))
	from := make([]payment.Status, len(transitions))
	to := make([]payment.Status, len(transitions))
	entries := make([]payment.Entry, len(transitions))
	for i, t := range transitions {
		ids[i], from[i], to[i], entries[i] = t.key, t.from, t.decision.Status, t.decision.Entry
	}
	rows, err := tx.Query(ctx, `
		WITH asked AS (
			SELECT key, from_status, to_status, entry
			FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
				AS a (key, from_status, to_status, entry)
		), changed AS (
			UPDATE payments
			SET status = to_status, updated_at = statement_timestamp()
			FROM asked
			WHERE id = ANY(ARRAY[key]) AND status = from_status
			RETURNING `+columns+`
		), booked AS (
			INSERT INTO ledger (payment_id, kind, amount_minor, currency)
			SELECT id, entry, amount_minor, currency
			FROM changed JOIN asked ON id = key
			WHERE entry <> ''
		)
		SELECT id, status, updated_at FROM changed`,
		uuids(ids), from, to, entries)
	if err != nil {
		return nil, err
	}
	out, err := pgx.CollectRows(rows, scanChanged)
	if err == nil && len(out) != len(transitions) {
		err = fmt.Errorf("changed %d payments, want %d", len(out), len(transitions))
	}
	return out, err
}
