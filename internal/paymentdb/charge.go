package paymentdb

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/failpoint"
	"hosho/internal/payment"
	"hosho/internal/pg"
)

// Charge decides charges by the card network's verdicts and returns a result for each, in their order: what is decided
// under its key, by whomever, or ErrKeyReused. A verdict counts only where the key was unknown. Where a key comes
// twice, the first decides. An error means that none was decided, unless it is pg.ErrCommitUnknown.
func (s *Store) Charge(ctx context.Context, charges []payment.Authorisation, meant ...string) ([]Result, error) {
	requests := make([]payment.Request, len(charges))
	for i, c := range charges {
		requests[i] = c.Request
	}
	first := firstOfEachKey(charges, func(c payment.Authorisation) string { return c.ID })
	var stored map[string]payment.Payment
	failpoint.Here(failpoint.ChargeBefore)
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		decided, err := insertCharges(ctx, tx, first, meant)
		if err != nil {
			return err
		}
		failpoint.Here(failpoint.ChargeInside)
		stored, err = withStored(ctx, tx, decided, requests)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("charge %d payments: %w", len(charges), err)
	}
	failpoint.Here(failpoint.ChargeCommitted)
	return results(requests, stored), nil
}

// insertCharges decides the keys that nothing was decided under, and returns those.
//
// PRIMARY KEY and ON CONFLICT DO NOTHING are the whole idempotency (rules 4 and 6 of doc/rules.md): whoever inserts
// decides, and the others wait until that has committed. ORDER BY is the order of locks. The clock is read in clocked,
// which is MATERIALIZED and so computed once: the status, its reason and the ledger entry cannot disagree about whether
// it was too late.
func insertCharges(
	ctx context.Context, tx pgx.Tx, charges []payment.Authorisation, meant []string,
) ([]payment.Payment, error) {
	a := newArrays(len(charges))
	notAfter := make([]*time.Time, len(charges))
	for i, c := range charges {
		a.add(c.Request, payment.Apply(payment.None, c.Command()))
		if !c.NotAfter.IsZero() {
			notAfter[i] = &charges[i].NotAfter
		}
	}
	late := payment.Apply(payment.None, payment.ChargeExpired)
	return collectFrom(ctx, tx, meant, `
		WITH clocked AS MATERIALIZED (
			SELECT id, customer_id, amount_minor, currency, status, reason, entry, clock_timestamp() > not_after AS late
			FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[],
					$5::text[], $6::text[], $7::text[], $8::timestamptz[])
				AS a (id, customer_id, amount_minor, currency, status, reason, entry, not_after)
		), asked AS (
			SELECT id, customer_id, amount_minor, currency,
				CASE WHEN late THEN $9 ELSE status END AS status,
				CASE WHEN late THEN $10 ELSE reason END AS reason,
				CASE WHEN late THEN $11 ELSE entry END AS entry
			FROM clocked
		), decided AS (
			INSERT INTO payments (id, customer_id, amount_minor, currency, status, decline_reason)
			SELECT id, customer_id, amount_minor, currency, status, nullif(reason, '')
			FROM asked
			ORDER BY id
			ON CONFLICT (id) DO NOTHING
			RETURNING `+columns+`
		), booked AS (
			INSERT INTO ledger (payment_id, kind, amount_minor, currency)
			SELECT decided.id, asked.entry, decided.amount_minor, decided.currency
			FROM decided JOIN asked USING (id)
			WHERE asked.entry <> ''
		)
		SELECT `+columns+` FROM decided`,
		a.ids, a.customers, a.amounts, a.currencies, a.statuses, a.reasons, a.entries, notAfter,
		late.Status, late.Reason, late.Entry)
}

// withStored adds to what was just decided what was already stored under the other keys.
//
// It is a statement of its own, and so in READ COMMITTED has a snapshot of its own: the row that made the INSERT do
// nothing may have been committed after the INSERT's snapshot was taken, and would be invisible to a statement that did
// both.
func withStored(
	ctx context.Context, tx pgx.Tx, decided []payment.Payment, requests []payment.Request,
) (map[string]payment.Payment, error) {
	stored := byKey(decided)
	others := undecided(stored, requests)
	if len(others) == 0 {
		return stored, nil
	}
	found, err := collect(tx.Query(ctx, readQuery, others))
	if err != nil {
		return nil, err
	}
	maps.Copy(stored, byKey(found))
	return stored, complete(stored, requests)
}

// undecided returns the keys of the requests that are not among the payments.
func undecided(stored map[string]payment.Payment, requests []payment.Request) []string {
	var ids []string
	for _, r := range requests {
		if _, ok := stored[r.ID]; !ok {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// complete makes sure that every request has its payment. Rows are never deleted, so a key that could not be inserted
// is there to be read.
func complete(stored map[string]payment.Payment, requests []payment.Request) error {
	if missing := undecided(stored, requests); len(missing) > 0 {
		return fmt.Errorf("payment %s could be neither inserted nor read", missing[0])
	}
	return nil
}
