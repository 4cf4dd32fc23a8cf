package orderdb_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// The tests' servers do not wait for the disk: what is measured is the code and the statements.

func BenchmarkPlace(b *testing.B) {
	b.Run("one after another", func(b *testing.B) {
		s := orderdb.New(pgtest.Orders(b).Pool, command.Encode)
		for b.Loop() {
			place(b, s, newOrder())
		}
	})
	b.Run("many at once", func(b *testing.B) {
		s := orderdb.New(pgtest.Orders(b).Pool, command.Encode)
		b.SetParallelism(8)
		b.RunParallel(func(running *testing.PB) {
			for running.Next() {
				if _, _, err := s.Place(b.Context(), newOrder()); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkPlaceAll places orders with request ids together, on one connection.
func BenchmarkPlaceAll(b *testing.B) {
	for _, n := range []int{1, 10, 100, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := orderdb.New(pgtest.Orders(b).Pool, command.Encode)
			news := make([]orderdb.NewOrder, n)
			for b.Loop() {
				for i := range news {
					news[i] = newOrder()
					news[i].RequestID = news[i].ID
				}
				for _, p := range placeAll(b, s, news...) {
					if p.Err != nil || !p.Fresh {
						b.Fatal(p.Err)
					}
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "orders/s")
		})
	}
}

// BenchmarkSettle settles a relay's batch of charges that were taken.
func BenchmarkSettle(b *testing.B) {
	const batch = 500
	db := pgtest.Orders(b)
	s := orderdb.New(db.Pool, command.Encode)
	for b.Loop() {
		b.StopTimer()
		findings := takenCharges(b, db, batch)
		b.StartTimer()
		if done := apply(b, s, findings...); len(done.Changes) != batch {
			b.Fatalf("settled %d orders, want %d", len(done.Changes), batch)
		}
	}
	b.ReportMetric(batch*float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}

// takenCharges places n orders and claims their charges.
func takenCharges(b *testing.B, db *pgtest.Database, n int) []orderdb.Finding {
	b.Helper()
	ids, commands := make([]string, n), make([]outbox.New, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7()).String()
		commands[i] = outbox.New{Key: ids[i], Kind: string(order.Charge), Payload: []byte("as it was sent")}
	}
	err := pg.InTx(b.Context(), db.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(b.Context(), `
			INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at)
			SELECT unnest($1::uuid[]), 'alice', '[{}]', 900, 'JPY', clock_timestamp() + interval '15 minutes'`, ids)
		if err != nil {
			return err
		}
		return orderdb.Outbox.Append(b.Context(), tx, commands...)
	})
	if err != nil {
		b.Fatal(err)
	}
	var findings []orderdb.Finding
	for _, m := range claimAll(b, db.Pool, time.Hour, n, 0) {
		findings = append(findings, found(order.PaymentCharged, m))
	}
	return findings
}
