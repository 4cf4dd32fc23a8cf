package migrations_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hosho/internal/pgtest"
	"hosho/migrations"
)

// forbidden is what each group must not do. $ID is that of an order that is PENDING, or of a payment that is CHARGED.
var forbidden = map[string][]string{
	"hosho_orderd": {
		`UPDATE orders SET status = 'COMPLETED' WHERE id = '$ID'`,
		`UPDATE orders SET status = 'CANCELLED', cancel_reason = 'CUSTOMER' WHERE id = '$ID'`,
		`UPDATE orders SET amount_minor = 1`, `UPDATE orders SET items = '[]'`, `UPDATE orders SET deadline_at = now()`,
		`INSERT INTO orders (id, status) VALUES ('$ID', 'COMPLETED')`,
		`DELETE FROM outbox`, `UPDATE outbox SET ready_at = now()`, `UPDATE outbox SET payload = ''`,
		`SELECT payload FROM outbox`, `INSERT INTO outbox (key, kind, payload, attempts) VALUES ('$ID', 'VOID', '', 0)`,
		`INSERT INTO outbox_claims VALUES ('$ID', 'CHARGE', '1s', now())`, `DELETE FROM outbox_claims`,
		`SELECT FROM changes`, `SELECT FROM audit`, `INSERT INTO audit (order_id) VALUES ('$ID')`,
		`INSERT INTO attempts (order_id) VALUES ('$ID')`, `SELECT FROM payments_database`,
	},
	"hosho_relay": {
		`INSERT INTO orders (id) VALUES ('$ID')`, `SELECT request_id FROM orders`,
		`UPDATE orders SET completed_at = now()`,
		`UPDATE orders SET customer_id = 'eve'`, `UPDATE outbox SET kind = 'VOID'`, `UPDATE outbox SET key = '$ID'`,
		`UPDATE attempts SET code = 'OK'`, `UPDATE changes SET who = ''`, `UPDATE audit SET operator = ''`,
		`UPDATE payments_database_audit SET reason = ''`, `DELETE FROM payments_database`,
		`SELECT FROM payments_database_audit`,
	},
	"hosho_repair": {
		`UPDATE orders SET status = 'COMPLETED' WHERE id = '$ID'`,
		`UPDATE orders SET status = 'CANCELLING', cancel_reason = 'OPERATOR' WHERE id = '$ID'`,
		`INSERT INTO orders (id) VALUES ('$ID')`, `DELETE FROM outbox`, `UPDATE outbox SET payload = ''`,
		`UPDATE outbox SET parked_at = NULL`, `SELECT payload FROM outbox`,
		`INSERT INTO audit (order_id) VALUES ('$ID')`,
		`INSERT INTO changes (order_id) VALUES ('$ID')`, `SELECT request_id FROM orders`,
	},
	"hosho_orders_reader": {
		`INSERT INTO orders (id) VALUES ('$ID')`, `UPDATE orders SET status = 'CANCELLING'`,
		`SELECT FROM orders FOR UPDATE`,
		`INSERT INTO outbox (key) VALUES ('$ID')`, `UPDATE outbox SET ready_at = now()`, `DELETE FROM outbox`,
		`INSERT INTO audit (order_id) VALUES ('$ID')`, `INSERT INTO payments_database (id) VALUES ('$ID')`,
	},
	"hosho_paymentd": {
		`UPDATE payments SET amount_minor = 1`, `UPDATE payments SET customer_id = 'eve'`,
		`UPDATE ledger SET amount_minor = 1`, `INSERT INTO database_identity DEFAULT VALUES`,
		`UPDATE database_identity SET id = '$ID'`, `DELETE FROM database_identity`, `DELETE FROM orders_database`,
		`UPDATE orders_database_audit SET reason = ''`, `SELECT FROM orders_database_audit`,
	},
	"hosho_payments_reader": {
		`INSERT INTO payments (id) VALUES ('$ID')`, `UPDATE payments SET status = 'REFUNDED'`,
		`INSERT INTO ledger (payment_id) VALUES ('$ID')`, `SELECT FROM payments FOR UPDATE`,
		`INSERT INTO orders_database (id) VALUES ('$ID')`,
	},
}

// forEverybody is what nobody must do: what is never deleted, the schema, and what only its owner calls.
var forEverybody = []string{
	`CREATE TABLE mine ()`, `CREATE TEMPORARY TABLE mine ()`, `CREATE SCHEMA mine`, `SELECT grant_roles()`,
	`CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'`, `DROP FUNCTION grant_roles`,
	`ALTER TABLE goose_db_version ADD mine text`, `INSERT INTO goose_db_version (version_id) VALUES (1)`,
	`DELETE FROM goose_db_version`, `UPDATE schema_identity SET compatible_from = 1`,
}

// kept are the tables of which nobody deletes.
var kept = map[migrations.Set][]string{
	migrations.Orders:   {"orders", "changes", "attempts", "audit", "payments_database_audit"},
	migrations.Payments: {"payments", "ledger", "orders_database_audit"},
}

func TestEachRoleIsRefusedWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	for _, set := range sets {
		db := server.Create(t, string(set))
		makeGroups(t, db, groups[set]...)
		up(t, set, db)
		id := map[migrations.Set]func() string{
			migrations.Orders:   func() string { return newOrder(t, db) },
			migrations.Payments: func() string { return newPayment(t, db, "CHARGED") },
		}[set]()
		before := objects(t, db)
		for _, group := range groups[set][1:] {
			login := "of_" + group
			exec(t, db, fmt.Sprintf(`CREATE ROLE %s LOGIN IN ROLE %s`, login, group))
			as := db.Login(t, login)
			statements := slices.Concat(forbidden[group], forEverybody)
			if len(forbidden[group]) == 0 {
				t.Errorf("nothing is said about %s", group)
			}
			for _, table := range kept[set] {
				statements = append(statements, `DELETE FROM `+table, `TRUNCATE `+table, `DROP TABLE `+table)
			}
			for _, statement := range statements {
				_, err := as.Pool.Exec(t.Context(), strings.ReplaceAll(statement, "$ID", id))
				if !denied(err) {
					t.Errorf("%s: %s: got %v, want insufficient_privilege", group, statement, err)
				}
			}
		}
		if after := objects(t, db); !slices.Equal(before, after) {
			t.Errorf("got objects %v, want %v", after, before)
		}
	}
}

// Who is in none of the groups does not even get in.
func TestALoginWithoutAGroupDoesNotConnect(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	for i, set := range sets {
		db := server.Create(t, string(set))
		stranger := fmt.Sprintf("stranger_%d", i)
		exec(t, db, `CREATE ROLE `+stranger+` LOGIN`)
		up(t, set, db)
		connects := func() bool {
			return may(t, db, `has_database_privilege($1, current_database(), 'CONNECT')`, stranger)
		}
		if !connects() {
			t.Error("without groups: a login does not connect, want it as with any database")
		}
		makeGroups(t, db, groups[set][1])
		exec(t, db, `SELECT grant_roles()`)
		if connects() {
			t.Error("with groups: a login that is in none connects")
		}
	}
}
