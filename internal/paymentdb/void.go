package paymentdb

import (
	"context"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"

	"hosho/internal/failpoint"
	"hosho/internal/payment"
	"hosho/internal/pg"
)

// Void sees to it that no money is held under the keys and returns a result for each request, in their order: what is
// decided under its key now, or ErrKeyReused. An error means that nothing was changed, unless it is
// pg.ErrCommitUnknown.
func (s *Store) Void(ctx context.Context, requests []payment.Request, meant ...string) ([]Result, error) {
	first := firstOfEachKey(requests, func(r payment.Request) string { return r.ID })
	var stored map[string]payment.Payment
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		tombstones, err := insertTombstones(ctx, tx, first, meant)
		if err != nil {
			return err
		}
		stored = byKey(tombstones)
		failpoint.Here(failpoint.VoidInside)
		return voidStored(ctx, tx, stored, requests)
	})
	if err != nil {
		return nil, fmt.Errorf("void %d payments: %w", len(requests), err)
	}
	failpoint.Here(failpoint.VoidCommitted)
	return results(requests, stored), nil
}

// insertTombstones decides the keys that nothing was decided under, so that a charge which arrives later finds them
// taken (rule 3 of doc/rules.md; ON CONFLICT DO NOTHING, as in insertCharges), and returns those.
func insertTombstones(
	ctx context.Context, tx pgx.Tx, requests []payment.Request, meant []string,
) ([]payment.Payment, error) {
	a := newArrays(len(requests))
	for _, r := range requests {
		a.add(r, payment.Apply(payment.None, payment.Void))
	}
	return collectFrom(ctx, tx, meant, `
		INSERT INTO payments (id, customer_id, amount_minor, currency, status)
		SELECT id, customer_id, amount_minor, currency, status
		FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[])
			AS a (id, customer_id, amount_minor, currency, status)
		ORDER BY id
		ON CONFLICT (id) DO NOTHING
		RETURNING `+columns,
		a.ids, a.customers, a.amounts, a.currencies, a.statuses)
}

// voidStored voids what was stored before, and adds all of it to stored.
func voidStored(ctx context.Context, tx pgx.Tx, stored map[string]payment.Payment, requests []payment.Request) error {
	others := undecided(stored, requests)
	if len(others) == 0 {
		return nil
	}
	found, err := lock(ctx, tx, others)
	if err != nil {
		return err
	}
	maps.Copy(stored, found)
	if err := complete(stored, requests); err != nil {
		return err
	}
	changed, err := change(ctx, tx, changes(found, requests))
	if err != nil {
		return err
	}
	maps.Copy(stored, changed)
	return nil
}

// lock reads payments and keeps them as they are until the transaction ends, by ascending key. It is a statement after
// the INSERT for the reason that withStored gives. NO KEY is the lock that the UPDATE takes: it does not collide with
// the ledger's foreign key.
func lock(ctx context.Context, tx pgx.Tx, ids []string) (map[string]payment.Payment, error) {
	found, err := collect(tx.Query(ctx, `
		SELECT `+columns+`
		FROM payments
		WHERE id = ANY($1)
		ORDER BY id
		FOR NO KEY UPDATE`, ids))
	return byKey(found), err
}

// transition is a stored payment and what a void makes of it.
type transition struct {
	payment.Payment
	decision payment.Decision
}

// changes asks of each request that matches its payment what a void does to it, and returns those that change, once
// each. A request that does not match changes nothing, wherever in the batch it stands.
func changes(found map[string]payment.Payment, requests []payment.Request) []transition {
	var out []transition
	for _, r := range firstOfEachKey(matching(found, requests), func(r payment.Request) string { return r.ID }) {
		p := found[r.ID]
		if d := payment.Apply(p.Status, payment.Void); d.Status != p.Status {
			out = append(out, transition{p, d})
		}
	}
	return out
}

func matching(found map[string]payment.Payment, requests []payment.Request) []payment.Request {
	var out []payment.Request
	for _, r := range requests {
		if p, ok := found[r.ID]; ok && p.Matches(r) {
			out = append(out, r)
		}
	}
	return out
}

// change writes the transitions and their ledger entries, and returns the payments as they are then.
//
// WHERE names the status to be left: a row that is no longer in it is not updated, and the row count fails the
// transaction. It cannot happen while lock holds the rows; the money rests on it all the same.
func change(ctx context.Context, tx pgx.Tx, transitions []transition) (map[string]payment.Payment, error) {
	if len(transitions) == 0 {
		return nil, nil
	}
	ids := make([]string, len(transitions))
	from := make([]payment.Status, len(transitions))
	to := make([]payment.Status, len(transitions))
	entries := make([]payment.Entry, len(transitions))
	for i, t := range transitions {
		ids[i], from[i], to[i], entries[i] = t.ID, t.Status, t.decision.Status, t.decision.Entry
	}
	changed, err := collect(tx.Query(ctx, `
		WITH asked AS (
			SELECT key, from_status, to_status, entry
			FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
				AS a (key, from_status, to_status, entry)
		), changed AS (
			UPDATE payments
			SET status = to_status, updated_at = clock_timestamp()
			FROM asked
			WHERE id = key AND status = from_status
			RETURNING `+columns+`
		), booked AS (
			INSERT INTO ledger (payment_id, kind, amount_minor, currency)
			SELECT id, entry, amount_minor, currency
			FROM changed JOIN asked ON id = key
			WHERE entry <> ''
		)
		SELECT `+columns+` FROM changed`,
		ids, from, to, entries))
	if err != nil {
		return nil, err
	}
	if len(changed) != len(transitions) {
		return nil, fmt.Errorf("changed %d payments, want %d", len(changed), len(transitions))
	}
	return byKey(changed), nil
}
