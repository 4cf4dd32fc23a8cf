package orderdb_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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

// BenchmarkSettle settles a relay's batch of charges that were taken. It tells what that costs the server, too.
func BenchmarkSettle(b *testing.B) {
	for _, batch := range []int{1, 10, 100, 500} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			db := pgtest.Orders(b)
			pool := single(b, db)
			s := orderdb.New(pool, command.Encode)
			var cpu time.Duration
			for b.Loop() {
				b.StopTimer()
				findings := takenCharges(b, db, batch)
				before := cpuOf(b, pool)
				b.StartTimer()
				if done := apply(b, s, findings...); len(done.Changes) != batch {
					b.Fatalf("settled %d orders, want %d", len(done.Changes), batch)
				}
				b.StopTimer()
				cpu += cpuOf(b, pool) - before
				b.StartTimer()
			}
			b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "orders/s")
			b.ReportMetric(float64(cpu.Microseconds())/float64(batch*b.N), "server-us/order")
		})
	}
}

// single is a pool with one connection, whose server process can be asked for.
func single(b *testing.B, db *pgtest.Database) *pgxpool.Pool {
	b.Helper()
	config := db.Pool.Config()
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

// cpuOf returns the time that the server process of a pool of one has had.
func cpuOf(b *testing.B, pool *pgxpool.Pool) time.Duration {
	b.Helper()
	conn, err := pool.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Release()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", conn.Conn().PgConn().PID()))
	if err != nil {
		b.Skip("the server is not on this host, or this is no Linux: ", err)
	}
	var ns int64
	if _, err := fmt.Sscan(string(text), &ns); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ns)
}

// takenCharges places n orders and claims their charges.
func takenCharges(b testing.TB, db *pgtest.Database, n int) []orderdb.Finding {
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
		findings = append(findings, decided(order.PaymentCharged, m))
	}
	return findings
}
