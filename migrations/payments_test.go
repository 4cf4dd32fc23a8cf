package migrations_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hosho/internal/pgtest"
	"hosho/migrations"
)

func TestPaymentsTables(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"payments": {
			"id uuid", "customer_id payments_customer_id", "amount_minor payments_amount", "currency payments_currency",
			"status payments_status", "decline_reason payments_decline_reason null",
			"created_at timestamp with time zone", "updated_at timestamp with time zone",
		},
		"ledger": {
			"payment_id uuid", "kind ledger_kind", "amount_minor ledger_amount", "currency ledger_currency",
			"at timestamp with time zone",
		},
		"schema_identity":   {"name text", "compatible_from bigint"},
		"database_identity": {"id uuid", "only_row boolean", "created_at timestamp with time zone"},
		"orders_database":   {"id uuid", "only_row boolean", "since timestamp with time zone"},
		"orders_database_audit": {
			"id bigint", "from_id uuid null", "to_id uuid", "operator text", "reason text",
			"at timestamp with time zone",
		},
	}
	if diff := cmp.Diff(want, columns(t, pgtest.Payments(t))); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
}

// paymentStatuses lists for each status the ones that may follow.
var paymentStatuses = map[string][]string{
	"CHARGED":  {"REFUNDED"},
	"DECLINED": {},
	"VOIDED":   {},
	"REFUNDED": {},
}

// Every status followed by every other, written with a plain UPDATE as no program of ours does.
func TestPaymentTransitions(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	for from := range paymentStatuses {
		for to := range paymentStatuses {
			t.Run(from+" to "+to, func(t *testing.T) {
				err := setPaymentStatus(t, db, newPayment(t, db, from), to)
				refused(t, err, ifNot(allowed(paymentStatuses, from, to), "payments_legal_transition"))
			})
		}
	}
}

func setPaymentStatus(t *testing.T, db *pgtest.Database, id, status string) error {
	t.Helper()
	_, err := db.Pool.Exec(t.Context(), `UPDATE payments SET status = $2 WHERE id = $1`, id, status)
	return err
}

func TestPaymentIsBornDecided(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	for status := range paymentStatuses {
		err := aPayment(status).insert(t.Context(), db.Pool, "payments")
		refused(t, err, ifNot(status != "REFUNDED", "payments_born_decided"))
	}
}

func TestPaymentFactsDoNotChange(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	id := newPayment(t, db, "CHARGED")
	tests := []struct{ set, constraint string }{
		{`updated_at = clock_timestamp()`, ""},
		{`id = gen_random_uuid()`, "payments_facts_fixed"},
		{`customer_id = 'other'`, "payments_facts_fixed"},
		{`amount_minor = amount_minor - 1`, "payments_facts_fixed"},
		{`currency = 'USD'`, "payments_facts_fixed"},
		{`created_at = created_at - interval '1 day'`, "payments_facts_fixed"},
		{`decline_reason = 'EXPIRED'`, "payments_facts_fixed"},
		// Not even on the occasion of a legal transition.
		{`status = 'REFUNDED', amount_minor = 1`, "payments_facts_fixed"},
		{`status = 'REFUNDED'`, ""},
		{`status = NULL`, "NOT NULL"},
	}
	for _, tt := range tests {
		t.Run(tt.set, func(t *testing.T) {
			_, err := db.Pool.Exec(t.Context(), `UPDATE payments SET `+tt.set+` WHERE id = $1`, id)
			if tt.constraint == "NOT NULL" {
				notNull(t, err)
				return
			}
			refused(t, err, tt.constraint)
		})
	}
}

func TestPaymentConstraints(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	known := newPayment(t, db, "VOIDED")
	tests := []struct {
		change     row
		constraint string
	}{
		{row{}, ""},
		{row{"id": known}, "payments_pkey"},
		{row{"customer_id": "newline\n"}, "payments_customer_id_form"},
		{row{"amount_minor": 0}, "payments_amount_range"},
		{row{"amount_minor": 99_999_999_999}, ""},
		{row{"amount_minor": 100_000_000_000}, "payments_amount_range"},
		{row{"currency": "yen"}, "payments_currency_form"},
		{row{"status": "PENDING"}, "payments_status_known"},
		{row{"status": "DECLINED"}, "payments_declined_for_a_reason"},
		{row{"status": "DECLINED", "decline_reason": "EXPIRED"}, ""},
		{row{"status": "DECLINED", "decline_reason": "WHIM"}, "payments_decline_reason_known"},
		{row{"status": "CHARGED", "decline_reason": "EXPIRED"}, "payments_declined_for_a_reason"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.change), func(t *testing.T) {
			refused(t, aPayment("CHARGED").with(tt.change).insert(t.Context(), db.Pool, "payments"), tt.constraint)
		})
	}
}

func TestLedgerTakesOneChargeAndThenOneRefund(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	id := newPayment(t, db, "CHARGED")
	entry := row{"payment_id": id, "kind": "CHARGE", "amount_minor": 500, "currency": "JPY"}
	steps := []struct {
		change     row
		constraint string
	}{
		{row{"kind": "REFUND"}, "ledger_refund_needs_charge"},
		{row{"kind": "TIP"}, "ledger_kind_known"},
		{row{"amount_minor": -500}, "ledger_amount_range"},
		{row{"currency": "yen"}, "ledger_currency_form"},
		{row{"payment_id": uuid.NewString()}, "ledger_payment"},
		{row{}, ""},
		{row{}, "ledger_pkey"},
		{row{"amount_minor": 1}, "ledger_pkey"},
		{row{"kind": "REFUND", "amount_minor": 499}, "ledger_refund_needs_charge"},
		{row{"kind": "REFUND", "currency": "USD"}, "ledger_refund_needs_charge"},
		{row{"kind": "REFUND", "payment_id": newPayment(t, db, "CHARGED")}, "ledger_refund_needs_charge"},
		{row{"kind": "REFUND"}, ""},
		{row{"kind": "REFUND"}, "ledger_pkey"},
	}
	for _, step := range steps {
		t.Run(fmt.Sprint(step.change), func(t *testing.T) {
			refused(t, entry.with(step.change).insert(t.Context(), db.Pool, "ledger"), step.constraint)
		})
	}
}

func TestLedgerIsAppendOnly(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	id := newPayment(t, db, "CHARGED")
	entry := row{"payment_id": id, "kind": "CHARGE", "amount_minor": 500, "currency": "JPY"}
	refused(t, entry.insert(t.Context(), db.Pool, "ledger"), "")
	for sql, constraint := range map[string]string{
		`UPDATE ledger SET amount_minor = 1`:    "ledger_append_only",
		`UPDATE ledger SET at = at WHERE false`: "ledger_append_only",
		`DELETE FROM ledger`:                    "ledger_append_only",
		`TRUNCATE ledger`:                       "ledger_append_only",
		`TRUNCATE payments, ledger`:             "payments_kept",
	} {
		t.Run(sql, func(t *testing.T) {
			_, err := db.Pool.Exec(t.Context(), sql)
			refused(t, err, constraint)
		})
	}
	if got, want := column[int64](t, db, `SELECT amount_minor FROM ledger`), []int64{500}; !slices.Equal(got, want) {
		t.Errorf("got amounts %v in the ledger, want %v", got, want)
	}
}

func aPayment(status string) row {
	payment := row{
		"id":           uuid.NewString(),
		"customer_id":  "customer-1",
		"amount_minor": 500,
		"currency":     "JPY",
		"status":       status,
	}
	if status == "DECLINED" {
		payment["decline_reason"] = "INSUFFICIENT_FUNDS"
	}
	return payment
}

// newPayment reaches each status as paymentd does: only REFUNDED is not a first one.
func newPayment(t *testing.T, db *pgtest.Database, status string) (id string) {
	t.Helper()
	born := status
	if status == "REFUNDED" {
		born = "CHARGED"
	}
	payment := aPayment(born)
	if err := payment.insert(t.Context(), db.Pool, "payments"); err != nil {
		t.Fatal(err)
	}
	id = payment["id"].(string)
	if born != status {
		if err := setPaymentStatus(t, db, id, status); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

// Each database that is migrated is another one, has one identity, and keeps it.
func TestAPaymentsDatabaseHasOneIdentity(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	const identity = `SELECT id::text FROM database_identity`
	is := column[string](t, db, identity)
	if len(is) != 1 || uuid.Validate(is[0]) != nil {
		t.Fatalf("got identities %v, want one UUID", is)
	}
	for statement, constraint := range map[string]string{
		`UPDATE database_identity SET id = gen_random_uuid()`:     "database_identity_fixed",
		`DELETE FROM database_identity`:                           "database_identity_fixed",
		`TRUNCATE database_identity`:                              "database_identity_fixed",
		`INSERT INTO database_identity DEFAULT VALUES`:            "database_identity_pkey",
		`INSERT INTO database_identity (only_row) VALUES (false)`: "database_identity_one_row",
	} {
		_, err := db.Pool.Exec(t.Context(), statement)
		refused(t, err, constraint)
	}
	other := pgtest.Empty(t)
	up(t, migrations.Payments, other)
	if also := column[string](t, other, identity); len(also) != 1 || also[0] == is[0] {
		t.Errorf("got identity %v of another database, want one, and not %s", also, is[0])
	}
	copied := pgtest.Payments(t) // a copy of the same template, file by file
	if same := column[string](t, copied, identity); len(same) != 1 || same[0] != is[0] {
		t.Errorf("got identity %v of a physical copy, want %s", same, is[0])
	}
}
