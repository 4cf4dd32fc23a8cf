package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/daemon"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
	"hosho/internal/rpc"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// longWait bounds every wait. It is long, so that only a test that would fail runs into it.
const longWait = 30 * time.Second

// running is an orderd on a database of its own, in this process, and a client of it.
type running struct {
	db     *pgtest.Database
	logs   *logs
	conn   *grpc.ClientConn
	client orderv1.OrderServiceClient
	stop   func() // tells orderd to stop, and waits until it has
}

// start runs `orderd serve`, which has the rights that it needs and no other, and waits until it is ready.
func start(t testing.TB) *running {
	t.Helper()
	db := pgtest.Orders(t)
	r := serveOn(t, db, db.As(t, orderdb.OrderdNeeds()).URL)
	r.logs.await(t, "ready")
	return r
}

func serveOn(t testing.TB, db *pgtest.Database, url string, changes ...func(*serve)) *running {
	t.Helper()
	r := &running{db: db, logs: newLogs()}
	s := &serve{
		Database: daemon.Database{DatabaseURL: url}, Listen: daemon.Listen{Listen: "127.0.0.1:0"},
		Durability: daemon.Durability{AllowUnsafeDurability: true}, OrderDeadline: 15 * time.Minute,
		Wake: true,
	}
	for _, change := range changes {
		change(s)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx, slog.New(r.logs)) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-stopped:
			if err != nil {
				t.Errorf("orderd ended with %v, want nil", err)
			}
		case <-time.After(longWait):
			t.Errorf("orderd did not stop within %s", longWait)
		}
	})
	t.Cleanup(r.stop)
	conn, err := rpc.Dial(r.logs.await(t, "serving")["address"].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r.conn, r.client = conn, orderv1.NewOrderServiceClient(conn)
	return r
}

// create makes a valid order.
func (r *running) create(t *testing.T) *orderv1.Order {
	t.Helper()
	reply, err := r.client.CreateOrder(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetOrder()
}

// request is a valid order without a request_id.
func request() *orderv1.CreateOrderRequest {
	return &orderv1.CreateOrderRequest{
		CustomerId: "alice", CurrencyCode: "JPY", Items: []*orderv1.Item{{Name: "tea", Quantity: 2, UnitPrice: 450}},
	}
}

// settle changes an order's status in the way the relay does, and leaves the wake-up to its caller.
func (r *running) settle(t *testing.T, id, from, to string) {
	t.Helper()
	tag, err := r.db.Pool.Exec(t.Context(), `UPDATE orders SET status = $3 WHERE id = $1 AND status = $2`, id, from, to)
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("settle order %s: got %d rows, error %v; want 1", id, tag.RowsAffected(), err)
	}
}

// wake is the relay's wake-up after it has settled.
func (r *running) wake(t *testing.T) {
	t.Helper()
	if _, err := r.db.Pool.Exec(t.Context(), `SELECT pg_notify('orders', '')`); err != nil {
		t.Fatal(err)
	}
}

func (r *running) count(t *testing.T, sql string) (n int) {
	t.Helper()
	if err := r.db.Pool.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// wantError checks a status: its code, its one ErrorInfo, and the fields of its BadRequest, in order.
func wantError(t *testing.T, err error, code codes.Code, reason string, fields ...string) {
	t.Helper()
	var infos []*errdetails.ErrorInfo
	var got []string
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			infos = append(infos, detail)
		case *errdetails.BadRequest:
			for _, v := range detail.GetFieldViolations() {
				got = append(got, v.GetField())
			}
		}
	}
	if status.Code(err) != code {
		t.Errorf("got %v, want code %s", err, code)
	}
	if len(infos) != 1 || infos[0].GetReason() != reason || infos[0].GetDomain() != "hosho" {
		t.Errorf("%v: got ErrorInfo %v, want one with reason %s of hosho", err, infos, reason)
	}
	if !slices.Equal(got, fields) {
		t.Errorf("%v: got violations of %q, want %q", err, got, fields)
	}
}

// logs is a slog handler that keeps what is logged.
type logs struct {
	mu      sync.Mutex
	records []slog.Record
	changed chan struct{} // closed and made anew with each record
}

func newLogs() *logs { return &logs{changed: make(chan struct{})} }

func (l *logs) Enabled(context.Context, slog.Level) bool { return true }
func (l *logs) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logs) WithGroup(string) slog.Handler            { return l }

func (l *logs) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r)
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

// lines returns the attributes of the records with a message.
func (l *logs) lines(message string) (lines []map[string]slog.Value, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		if r.Message == message {
			line := map[string]slog.Value{}
			r.Attrs(func(a slog.Attr) bool {
				line[a.Key] = a.Value
				return true
			})
			lines = append(lines, line)
		}
	}
	return lines, l.changed
}

// await waits for the first record with a message.
func (l *logs) await(t testing.TB, message string) map[string]slog.Value {
	t.Helper()
	for timeout := time.After(longWait); ; {
		lines, changed := l.lines(message)
		if len(lines) > 0 {
			return lines[0]
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no line %q in the log within %s", message, longWait)
		}
	}
}

func receive[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(longWait):
		t.Fatalf("waited %s in vain: %s", longWait, what)
	}
	return v
}
