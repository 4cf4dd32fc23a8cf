package paymentdb

import (
	"context"
	"fmt"

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
	for i := range charges {
		requests[i] = charges[i].Request
	}
	failpoint.Here(failpoint.ChargeBefore)
	k, err := newKeyed(requests)
	var known stored
	if err == nil {
		known, err = s.insertCharges(ctx, k, charges, meant)
	}
	if err != nil {
		return nil, fmt.Errorf("charge %d payments: %w", len(charges), err)
	}
	failpoint.Here(failpoint.ChargeInside)
	unread := s.withStored(ctx, known, k, meant)
	failpoint.Here(failpoint.ChargeCommitted)
	return k.results(known, unread), nil
}

// chargeOutcomes is what becomes of a charge that is the first of its key, by its command. Their numbers begin at 1, as
// arrays of SQL do. Money moves by the first alone, by which the statement tells it.
var chargeOutcomes = [...]payment.Decision{
	payment.Apply(payment.None, payment.ChargeApproved),
	payment.Apply(payment.None, payment.ChargeDeclined),
	payment.Apply(payment.None, payment.ChargeExpired),
}

// insertCharges decides the keys that nothing was decided under, and returns those.
//
// The PRIMARY KEY is the whole idempotency (rules 4 and 6 of doc/rules.md): whoever inserts decides, and the others
// wait until that has committed. Most batches are of new keys alone, and are inserted as such. One that is not has done
// nothing, and goes again past the keys that are known.
func (s *Store) insertCharges(
	ctx context.Context, k *keyed, charges []payment.Authorisation, meant []string,
) (stored, error) {
	commands := make([]int16, len(charges))
	for i := range charges {
		commands[i] = int16(charges[i].Command())
	}
	outcome := func(first int) payment.Decision { return chargeOutcomes[commands[first]-1] }
	args := chargeArgs(k, charges, commands)
	if !s.repeats.Expected() {
		known, err := s.decide(ctx, k, meant, outcome, insertNew, args...)
		if pg.Duplicates(err) != "payments_pkey" {
			return known, err
		}
	}
	known, err := s.decide(ctx, k, meant, outcome, insertUnknown, args...)
	if err == nil {
		s.repeats.Saw(len(k.without(known)) > 0)
	}
	return known, err
}

// chargeArgs are the arguments of insertNew and of insertUnknown that follow those of here.
func chargeArgs(k *keyed, charges []payment.Authorisation, commands []int16) []any {
	a := k.arrays()
	decided := make([]int16, 0, len(a.ids))
	notAfter := make(pg.Times, 0, len(a.ids))
	for i := range charges {
		if c := &charges[i]; k.decides(i) {
			decided = append(decided, commands[i])
			notAfter = append(notAfter, c.NotAfter)
		}
	}
	var statuses []payment.Status
	var reasons []payment.DeclineReason
	for _, d := range chargeOutcomes {
		statuses, reasons = append(statuses, d.Status), append(reasons, d.Reason)
	}
	return []any{
		a.ids, a.customers, a.amounts, a.currencies, decided, notAfter, int16(payment.ChargeExpired),
		statuses, reasons, chargeOutcomes[0].Entry,
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
// ORDER BY is the order of locks. The clock is read in here, once: whether it was too late is asked at one moment, and
// only there, so that the status, its reason and the ledger entry cannot disagree. Nothing is read back but keys: what
// the columns say of when it was decided is the statement's moment, as their defaults have it.
//
// unnest in the list of a SELECT gives the rows in the order of the arrays, and needs no copy of them.
func chargeStatement(known string) string {
	return `
		WITH ` + here + `, asked AS (
			SELECT unnest($3::uuid[]) AS id, unnest($4::text[]) AS customer_id, unnest($5::bigint[]) AS amount_minor,
				unnest($6::text[]) AS currency, unnest($7::smallint[]) AS command,
				unnest($8::timestamptz[]) AS not_after, clock
			FROM here
			WHERE meant
		), judged AS (
			SELECT id, customer_id, amount_minor, currency,
				CASE WHEN clock > not_after THEN $9 ELSE command END AS command
			FROM asked
		), decided AS (
			INSERT INTO payments (id, customer_id, amount_minor, currency, status, decline_reason)
			SELECT id, customer_id, amount_minor, currency, ($10::text[])[command], nullif(($11::text[])[command], '')
			FROM judged
			ORDER BY id
			` + known + `
			RETURNING id, amount_minor, currency, status, decline_reason
		), booked AS (
			INSERT INTO ledger (payment_id, kind, amount_minor, currency)
			SELECT id, $12, amount_minor, currency
			FROM decided
			WHERE status = ($10::text[])[1]
		)
		SELECT identity, statement_timestamp(), (SELECT array_agg(id) FROM decided),
			(SELECT array_agg(id) FROM decided WHERE decline_reason = ($11::text[])[$9])
		FROM here`
}

// withStored adds to what was just decided what was already stored under the other keys, or returns why it could not.
//
// It is a statement of its own, after the first has committed, and so has a snapshot of its own: the row that made the
// INSERT do nothing may have been committed after the INSERT's snapshot was taken, and would be invisible to a
// statement that did both. Rows are never deleted, so a key that could not be inserted is there to be read.
func (s *Store) withStored(ctx context.Context, known stored, k *keyed, meant []string) error {
	others := k.without(known)
	if len(others) == 0 {
		return nil
	}
	found, err := s.read(ctx, k, others, meant)
	if err != nil {
		return err
	}
	known.add(found)
	return k.complete(known)
}

// complete makes sure that every request has its payment.
func (k *keyed) complete(known stored) error {
	if missing := k.without(known); len(missing) > 0 {
		return fmt.Errorf("payment %s could be neither inserted nor read", k.requests[k.first[missing[0]]].ID)
	}
	return nil
}
