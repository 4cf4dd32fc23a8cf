package paymentdb

import (
	"context"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/failpoint"
	"hosho/internal/payment"
	"hosho/internal/pg"
)

// Charge decides charges by the card network's verdicts and returns a result for each, in their order: what is decided
// under its key, by whomever, ErrKeyReused, or why what was stored before could not be read. A verdict counts only
// where the key was unknown. Where a key comes twice, the first decides. An error means that none was decided, unless
// it is pg.ErrCommitUnknown.
//
// It is one statement that commits by itself. Where a key was known it may be another one, which the first gave way to,
// and reading after it.
func (s *Store) Charge(ctx context.Context, charges []payment.Authorisation, meant ...string) ([]Result, error) {
	requests := make([]payment.Request, len(charges))
	for i, c := range charges {
		requests[i] = c.Request
	}
	failpoint.Here(failpoint.ChargeBefore)
	k, err := newKeyed(requests)
	var stored map[key]payment.Payment
	if err == nil {
		stored, err = s.insertCharges(ctx, k, charges, meant)
	}
	if err != nil {
		return nil, fmt.Errorf("charge %d payments: %w", len(charges), err)
	}
	failpoint.Here(failpoint.ChargeInside)
	unread := s.withStored(ctx, stored, k, meant)
	failpoint.Here(failpoint.ChargeCommitted)
	return k.results(stored, unread), nil
}

// chargeOutcomes is what becomes of a charge that is the first of its key, by its command. Their numbers begin at 1, as
// arrays of SQL do.
var chargeOutcomes = [...]payment.Decision{
	payment.Apply(payment.None, payment.ChargeApproved),
	payment.Apply(payment.None, payment.ChargeDeclined),
	payment.Apply(payment.None, payment.ChargeExpired),
}

// chargeStatus tells what was decided by the reason to decline it.
func chargeStatus(reason payment.DeclineReason) payment.Status {
	for _, d := range chargeOutcomes {
		if d.Reason == reason {
			return d.Status
		}
	}
	return payment.None // which the contract makes UNSPECIFIED: nothing is decided by it
}

// insertCharges decides the keys that nothing was decided under, and returns those.
//
// The PRIMARY KEY is the whole idempotency (rules 4 and 6 of doc/rules.md): whoever inserts decides, and the others
// wait until that has committed. Most batches are of new keys alone, and are inserted as such. One that is not has done
// nothing, and goes again past the keys that are known.
func (s *Store) insertCharges(
	ctx context.Context, k *keyed, charges []payment.Authorisation, meant []string,
) (map[key]payment.Payment, error) {
	args := chargeArgs(k, charges)
	if !s.repeats.Expected() {
		stored, err := s.decide(ctx, k, meant, chargeStatus, insertNew, args...)
		if pg.Duplicates(err) != "payments_pkey" {
			return stored, err
		}
	}
	stored, err := s.decide(ctx, k, meant, chargeStatus, insertUnknown, args...)
	if err == nil {
		s.repeats.Saw(len(stored) < len(k.first))
	}
	return stored, err
}

// chargeArgs are the arguments of insertNew and of insertUnknown that follow those of here.
func chargeArgs(k *keyed, charges []payment.Authorisation) []any {
	a := k.arrays()
	commands := make([]int16, 0, len(a.ids))
	notAfter := make(pgtype.FlatArray[pgtype.Timestamptz], 0, len(a.ids))
	for i, c := range charges {
		if k.decides(i) {
			commands = append(commands, int16(c.Command()))
			notAfter = append(notAfter, pgtype.Timestamptz{Time: c.NotAfter, Valid: !c.NotAfter.IsZero()})
		}
	}
	var statuses []payment.Status
	var reasons []payment.DeclineReason
	var entries []payment.Entry
	for _, d := range chargeOutcomes {
		statuses, reasons, entries = append(statuses, d.Status), append(reasons, d.Reason), append(entries, d.Entry)
	}
	return []any{
		a.ids, a.customers, a.amounts, a.currencies, commands, notAfter, int16(payment.ChargeExpired),
		statuses, reasons, entries,
	}
}

// insertNew is for keys of which none is known, and fails by payments_pkey otherwise; insertUnknown leaves out those
// that are, for which each row costs the server 4 us more.
var (
	insertNew     = chargeStatement(``)
	insertUnknown = chargeStatement(`ON CONFLICT (id) DO NOTHING`)
)

// chargeStatement is the statement, with what is to become of a known key.
//
// ORDER BY is the order of locks. The clock is read in asked, which is MATERIALIZED and so computed once: the status,
// its reason and the ledger entry cannot disagree about whether it was too late.
func chargeStatement(known string) string {
	return `
		WITH ` + here + `, asked AS MATERIALIZED (
			SELECT id, customer_id, amount_minor, currency,
				CASE WHEN clock_timestamp() > not_after THEN $9 ELSE command END AS command
			FROM here, unnest($3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::smallint[], $8::timestamptz[])
				AS a (id, customer_id, amount_minor, currency, command, not_after)
			WHERE meant
		), decided AS (
			INSERT INTO payments (id, customer_id, amount_minor, currency, status, decline_reason)
			SELECT id, customer_id, amount_minor, currency, ($10::text[])[command], nullif(($11::text[])[command], '')
			FROM asked
			ORDER BY id
			` + known + `
			RETURNING ` + columns + `
		), booked AS (
			INSERT INTO ledger (payment_id, kind, amount_minor, currency)
			SELECT id, entry, amount_minor, currency
			FROM decided JOIN unnest($10::text[], $11::text[], $12::text[]) AS o (status, reason, entry)
				ON decided.status = o.status AND coalesce(decline_reason, '') = reason
			WHERE entry <> ''
		)
		SELECT ` + decidedColumns + ` FROM here LEFT JOIN decided ON true`
}

// withStored adds to what was just decided what was already stored under the other keys, or returns why it could not.
//
// It is a statement of its own, after the first has committed, and so has a snapshot of its own: the row that made the
// INSERT do nothing may have been committed after the INSERT's snapshot was taken, and would be invisible to a
// statement that did both. Rows are never deleted, so a key that could not be inserted is there to be read.
func (s *Store) withStored(ctx context.Context, stored map[key]payment.Payment, k *keyed, meant []string) error {
	others := k.without(stored)
	if len(others) == 0 {
		return nil
	}
	found, err := s.read(ctx, others, meant)
	if err != nil {
		return err
	}
	maps.Copy(stored, found)
	return k.complete(stored)
}

// complete makes sure that every request has its payment.
func (k *keyed) complete(stored map[key]payment.Payment) error {
	if missing := k.without(stored); len(missing) > 0 {
		return fmt.Errorf("payment %s could be neither inserted nor read", k.requests[k.first[missing[0]]].ID)
	}
	return nil
}
