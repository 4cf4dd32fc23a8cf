package migrations_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"hosho/internal/pgtest"
	"hosho/migrations"
)

// denied reports whether the server refused a statement for want of a right.
func denied(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "42501"
}

// A member of hosho_orderd who is none of hosho_relay gives orders up, and moves them nowhere else. Everybody else may
// what the rules of orders allow, whichever of the two groups there are.
func TestOrderdMayOnlyGiveOrdersUp(t *testing.T) {
	t.Parallel()
	db := pgtest.Own(t).Create(t, "orders")
	up(t, migrations.Orders, db)
	of := map[string][]string{
		"outsider": {}, "orderd": {"hosho_orderd"}, "relay": {"hosho_relay"},
		"of_both": {"hosho_orderd", "hosho_relay"}, "postgres": {"hosho_orderd", "hosho_relay"},
	}
	for login := range of {
		if login != "postgres" {
			exec(t, db, fmt.Sprintf(`CREATE ROLE %s LOGIN; GRANT SELECT, UPDATE ON orders TO %[1]s`, login))
		}
	}
	for _, there := range [][]string{{}, {"hosho_orderd"}, {"hosho_orderd", "hosho_relay"}, {"hosho_relay"}} {
		exec(t, db, `DROP ROLE IF EXISTS hosho_orderd, hosho_relay`)
		makeGroups(t, db, there...)
		exists := strings.Join(there, " ")
		for login, groups := range of {
			in := ""
			for _, group := range groups {
				if strings.Contains(exists, group) {
					in += group
					exec(t, db, fmt.Sprintf(`GRANT %s TO %s`, group, login))
				}
			}
			as := db.Login(t, login)
			for from := range orderStatuses {
				for to := range orderStatuses {
					if from == to || !allowed(orderStatuses, from, to) {
						continue
					}
					id := newOrder(t, db)
					for _, step := range orderPath(from) {
						if err := setOrderStatus(t, db, id, step); err != nil {
							t.Fatal(err)
						}
					}
					err := setOrderStatus(t, as, id, to)
					want := in == "hosho_orderd" && login != "postgres" && to != "CANCELLING"
					if denied(err) != want || err != nil && !want {
						t.Errorf("with [%s], %s moves an order from %s to %s: got %v, want it refused: %v",
							exists, login, from, to, err, want)
					}
				}
			}
		}
	}
}

// What a function of ours means by a name does not depend on its caller: it has a search_path of its own, or says of
// each name where it is.
func TestFunctionsDoNotTakeTheirCallersNames(t *testing.T) {
	t.Parallel()
	qualified := map[string]string{"ledger_payment": "public.payments WHERE id OPERATOR(pg_catalog.=) payment_id"}
	for _, set := range sets {
		db := pgtest.Empty(t)
		up(t, set, db)
		for _, name := range column[string](t, db, `
			SELECT proname FROM pg_proc
			WHERE pronamespace = 'public'::regnamespace
				AND NOT coalesce(array_to_string(proconfig, ' ') ~ '^search_path=.*pg_temp$', false)`) {
			text := column[string](t, db, `SELECT prosrc FROM pg_proc WHERE proname = $1`, name)[0]
			if want := qualified[name]; want == "" || !strings.Contains(text, want) {
				t.Errorf("%s of %s has no search_path of its own", name, set)
			}
		}
	}
}

// Somebody has tables of his own before ours in his search_path. The ledger still finds the payments that there are.
func TestTheLedgerLooksAtThePaymentsThatThereAre(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	missing := aPayment("CHARGED")["id"]
	if _, err := tx.Exec(t.Context(), `CREATE TEMPORARY TABLE payments AS SELECT $1::uuid AS id`, missing); err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec(t.Context(), `
		INSERT INTO ledger (payment_id, kind, amount_minor, currency) VALUES ($1, 'CHARGE', 1, 'JPY')`, missing)
	refused(t, err, "ledger_payment")
}
