package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/daemon"
	"hosho/internal/paymentdb"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/rpc"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// system is a paymentd on loopback with a database of its own, and a client.
type system struct {
	paymentv1.PaymentServiceClient

	conn *grpc.ClientConn
	db   *pgtest.Database
	log  *logLines
	seen prometheus.Gatherer // its metrics
	stop context.CancelFunc
	done chan struct{} // closed when the server has stopped
}

// start starts a paymentd with the simulation of the demo, which has the rights that it needs and no other. The options
// change the server before it serves.
func start(t testing.TB, options ...func(*server)) *system {
	t.Helper()
	db := pgtest.Payments(t)
	return startOn(t, db, db.As(t, paymentdb.Needs()).Pool, options...)
}

func startOn(t testing.TB, db *pgtest.Database, pool *pgxpool.Pool, options ...func(*server)) *system {
	t.Helper()
	var network simulation
	if err := network.UnmarshalText([]byte("9999:internal,9998:reply-lost,9997:hang,9996:decline")); err != nil {
		t.Fatal(err)
	}
	log, registry := newLogLines(), prometheus.NewRegistry()
	all := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := newServer(&pg.Pools{Writes: pool, Reads: pool}, network, 0, registry, all)
	s.patience, s.sendTimeout = time.Hour, time.Hour // the tests' machine may be slow
	for _, option := range options {
		option(s)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		listen := daemon.Listen{Listen: "127.0.0.1:0"}
		if err := rpc.Serve(ctx, s.config(listen, nil, program.Database.Ready(pool, paymentdb.Needs()))); err != nil {
			t.Errorf("serve: %v", err)
		}
	}()
	address := log.await("serving")["address"].(string)
	log.await("ready")
	conn, err := rpc.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		stop()
		<-done
	})
	return &system{paymentv1.NewPaymentServiceClient(conn), conn, db, log, registry, stop, done}
}

// logLines keeps the log, line by line.
type logLines struct {
	changed *sync.Cond
	lines   []map[string]any
}

func newLogLines() *logLines { return &logLines{changed: sync.NewCond(&sync.Mutex{})} }

// Write takes one line: slog's handlers write each with one call.
func (l *logLines) Write(p []byte) (int, error) {
	line := map[string]any{}
	if err := json.Unmarshal(p, &line); err != nil {
		return 0, err
	}
	l.changed.L.Lock()
	defer l.changed.L.Unlock()
	l.lines = append(l.lines, line)
	l.changed.Broadcast()
	return len(p), nil
}

// await returns the first line with the message.
func (l *logLines) await(message string) map[string]any {
	l.changed.L.Lock()
	defer l.changed.L.Unlock()
	for {
		if i := slices.IndexFunc(l.lines, func(line map[string]any) bool { return line["msg"] == message }); i >= 0 {
			return l.lines[i]
		}
		l.changed.Wait()
	}
}

// named returns the lines with a message.
func (l *logLines) named(message string) []map[string]any {
	l.changed.L.Lock()
	defer l.changed.L.Unlock()
	return slices.DeleteFunc(slices.Clone(l.lines), func(line map[string]any) bool { return line["msg"] != message })
}

// about returns the lines that tell of a payment.
func (l *logLines) about(paymentID string) []map[string]any {
	l.changed.L.Lock()
	defer l.changed.L.Unlock()
	var about []map[string]any
	for _, line := range l.lines {
		if line["payment_id"] == paymentID {
			about = append(about, line)
		}
	}
	return about
}

// awaitAbout returns when there is a line that tells of a payment.
func (l *logLines) awaitAbout(paymentID string) {
	l.changed.L.Lock()
	defer l.changed.L.Unlock()
	for !slices.ContainsFunc(l.lines, func(line map[string]any) bool { return line["payment_id"] == paymentID }) {
		l.changed.Wait()
	}
}

func (l *logLines) contain(text string) bool {
	l.changed.L.Lock()
	defer l.changed.L.Unlock()
	all, err := json.Marshal(l.lines)
	return err == nil && strings.Contains(string(all), text)
}

// block inserts tombstones in a transaction that stays open: whoever decides the same key waits for release.
func (s *system) block(t *testing.T, charges ...*paymentv1.ChargePaymentRequest) (release func()) {
	t.Helper()
	tx, err := s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Rollback(context.WithoutCancel(t.Context())) })
	for _, c := range charges {
		_, err = tx.Exec(t.Context(), `INSERT INTO payments (id, customer_id, amount_minor, currency, status)
			VALUES ($1, $2, $3, $4, 'VOIDED')`,
			c.GetPaymentId(), c.GetCustomerId(), c.GetAmount().GetAmountMinor(), c.GetAmount().GetCurrencyCode())
		if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := tx.Commit(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// awaitBlocked returns the sessions that wait for a lock, as soon as there are n.
func (s *system) awaitBlocked(t *testing.T, n int) (pids []int32) {
	t.Helper()
	for len(pids) < n {
		rows, err := s.db.Pool.Query(t.Context(), `SELECT pid FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		if err != nil {
			t.Fatal(err)
		}
		if pids, err = pgx.CollectRows(rows, pgx.RowTo[int32]); err != nil {
			t.Fatal(err)
		}
	}
	return pids
}

func (s *system) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := s.db.Pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// count counts the rows of a table under a key.
func (s *system) count(t *testing.T, table, paymentID string) (n int) {
	t.Helper()
	column := map[string]string{"payments": "id", "ledger": "payment_id"}[table]
	sql := `SELECT count(*) FROM ` + table + ` WHERE ` + column + ` = $1`
	if err := s.db.Pool.QueryRow(t.Context(), sql, paymentID).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func yen(amount int64) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: amount}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func newCharge(amount int64) *paymentv1.ChargePaymentRequest {
	return &paymentv1.ChargePaymentRequest{PaymentId: newID(), CustomerId: "c-1", Amount: yen(amount)}
}

// voidOf undoes a charge.
func voidOf(c *paymentv1.ChargePaymentRequest) *paymentv1.VoidPaymentRequest {
	return &paymentv1.VoidPaymentRequest{
		PaymentId: c.GetPaymentId(), CustomerId: c.GetCustomerId(), Amount: c.GetAmount(),
	}
}

// wantError fails the test unless err has the code and the reason, and one reason only.
func wantError(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	if status.Code(err) != code || rpc.Reason(err) != reason {
		t.Errorf("got %v, reason %q, want %s, reason %q", err, rpc.Reason(err), code, reason)
	}
}
