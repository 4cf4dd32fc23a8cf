package main

import (
	"slices"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/payment"
)

// row is a row of the outbox.
type row struct {
	Attempts, Claims, Answers int
	LastCode                  string
	Parked, Leased            bool
	ReadyIn                   float64 // seconds from now
	ReadyAfter                float64 // seconds after it was written
	Payload                   []byte
}

// row returns the row of an order's command, false when there is none.
func (s *system) row(id string, kind order.Command) (row, bool) {
	s.t.Helper()
	rows, err := s.db.Pool.Query(s.t.Context(), `
		SELECT attempts, claims, answers, coalesce(last_code, '') AS last_code, parked_at IS NOT NULL AS parked,
			lease_token IS NOT NULL AS leased,
			extract(epoch FROM greatest(ready_at, leased_until) - clock_timestamp())::float8 AS ready_in,
			extract(epoch FROM ready_at - created_at)::float8 AS ready_after, payload
		FROM outbox
		WHERE key = $1 AND kind = $2`, id, string(kind))
	if err != nil {
		s.t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		s.t.Fatal(err)
	}
	if len(found) == 0 {
		return row{}, false
	}
	return found[0], true
}

// awaitRow waits until the row of an order's command is as wanted, and returns it.
func (s *system) awaitRow(id string, kind order.Command, what string, wanted func(row) bool) row {
	s.t.Helper()
	var got row
	eventually(s.t, what, func() bool {
		r, ok := s.row(id, kind)
		got = r
		return ok && wanted(r)
	})
	return got
}

// count returns the one number that a query selects.
func (s *system) count(sql string, args ...any) (n int) {
	s.t.Helper()
	if err := s.db.Pool.QueryRow(s.t.Context(), sql, args...).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *system) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.db.Pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatal(err)
	}
}

// expire moves an order and its CHARGE past their deadline, which no program may.
func (s *system) expire(id string) {
	s.t.Helper()
	s.unguarded(`UPDATE orders SET deadline_at = clock_timestamp() - interval '1 second' WHERE id = $1`, id)
	s.exec(`
		UPDATE outbox
		SET expires_at = (SELECT deadline_at FROM orders WHERE id = $1)
		WHERE key = $1 AND kind = 'CHARGE'`, id)
}

// unguarded does what the triggers refuse.
func (s *system) unguarded(sql string, args ...any) {
	s.t.Helper()
	err := pgx.BeginFunc(s.t.Context(), s.db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(s.t.Context(), `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(s.t.Context(), sql, args...)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// suspect makes every command one that must be delivered alone.
func (s *system) suspect() {
	s.t.Helper()
	s.exec(`UPDATE outbox SET claims = 3, answers = 0`)
}

// hurry makes everything that waits for its next attempt due.
func (s *system) hurry() {
	s.t.Helper()
	s.exec(`
		UPDATE outbox
		SET ready_at = clock_timestamp()
		WHERE parked_at IS NULL AND lease_token IS NULL AND ready_at > clock_timestamp()`)
}

// drained waits until the outbox is empty, and checks that both sides agree about every order: I1, I2, I3 and I5.
func (s *system) drained() {
	s.t.Helper()
	eventually(s.t, "the outbox is empty", func() bool {
		s.hurry()
		return s.count(`SELECT count(*) FROM outbox`) == 0
	})
	rows, err := s.db.Pool.Query(s.t.Context(), `SELECT id::text, status FROM orders`)
	if err != nil {
		s.t.Fatal(err)
	}
	var id, is string
	_, err = pgx.ForEachRow(rows, []any{&id, &is}, func() error {
		paid, entries := s.bank.get(id)
		var want []payment.Entry
		switch {
		case is == "COMPLETED" && paid == payment.Charged:
			want = []payment.Entry{payment.ChargeEntry}
		case is == "CANCELLED" && paid == payment.Refunded:
			want = []payment.Entry{payment.ChargeEntry, payment.RefundEntry}
		case is == "CANCELLED" && (paid == payment.Declined || paid == payment.Voided):
		default:
			s.t.Errorf("order %s is %s, and its payment %q", id, is, paid)
		}
		if !slices.Equal(entries, want) {
			s.t.Errorf("order %s: got ledger entries %q, want %q", id, entries, want)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
