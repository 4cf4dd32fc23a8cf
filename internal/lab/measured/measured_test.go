package measured_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/lab/measured"
	"hosho/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// fake is a daemon that tells what a test has it tell.
type fake struct {
	measured.Daemon

	mu   sync.Mutex
	says string
}

func newFake(t *testing.T, name string) *fake {
	t.Helper()
	f := &fake{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		_, _ = fmt.Fprintln(w, f.says) // whoever reads it notices
	}))
	t.Cleanup(server.Close)
	f.Daemon = measured.Daemon{Name: name, Address: strings.TrimPrefix(server.URL, "http://")}
	return f
}

// tell has it tell lines, since a process of it was started.
func (f *fake) tell(started int, lines ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.says = fmt.Sprintf("process_start_time_seconds %d\n%s", started, strings.Join(lines, "\n"))
}

// A daemon that counts too much, too little, or in the wrong place is found, and one that was started anew is not.
func TestCountsThatAreNotWhatCameIntoTheTablesAreFound(t *testing.T) {
	t.Parallel()
	orders, payments := pgtest.Orders(t).Pool, pgtest.Payments(t).Pool
	first, second, decides := newFake(t, "orderd"), newFake(t, "orderd-2"), newFake(t, "paymentd")
	s := measured.System{
		Orders: orders, Payments: payments, Daemons: []measured.Daemon{first.Daemon, second.Daemon, decides.Daemon},
	}
	first.tell(1, `hosho_orders_created_total{result="new"} 40`, `hosho_orders_created_total{result="refused"} 3`)
	second.tell(1, `hosho_orders_created_total{result="new"} 7`)
	decides.tell(1)
	exec(t, orders, order)
	before := read(t, s)
	wantDifferences(t, before.Counts(before))

	exec(t, orders, order)
	exec(t, orders, order)
	exec(t, payments, charge, "JPY")
	first.tell(1, `hosho_orders_created_total{result="new"} 41`, `hosho_orders_created_total{result="refused"} 9`)
	second.tell(2, `hosho_orders_created_total{result="new"} 1`)
	decides.tell(1, `hosho_payments_decided_total{kind="CHARGE",status="CHARGED",reason="none"} 1`,
		`hosho_ledger_minor_total{entry="CHARGE",currency="JPY"} 500`)
	after := read(t, s)
	wantDifferences(t, after.Counts(before))
	if got := after.Since(before, "hosho_orders_created_total", `result="new"`); got != 2 {
		t.Errorf("got %v new orders, want 2", got)
	}

	second.tell(2, `hosho_orders_created_total{result="new"} 2`)
	decides.tell(1, `hosho_payments_decided_total{kind="VOID",status="VOIDED",reason="none"} 1`)
	wantDifferences(t, read(t, s).Counts(before),
		`hosho_ledger_minor_total{currency="JPY",entry="CHARGE"}: got 0, and the tables say 500`,
		`hosho_orders_created_total{result="new"}: got 3, and the tables say 2`,
		`hosho_payments_decided_total{kind="CHARGE",reason="none",status="CHARGED"}: got 0, and the tables say 1`,
		`hosho_payments_decided_total{kind="VOID",reason="none",status="VOIDED"}: got 1, and the tables say 0`)
}

// Currencies that have no figure of their own are compared together.
func TestCurrenciesWithoutAFigureAreComparedTogether(t *testing.T) {
	t.Parallel()
	orders, payments, decides := pgtest.Orders(t).Pool, pgtest.Payments(t).Pool, newFake(t, "paymentd")
	s := measured.System{Orders: orders, Payments: payments, Daemons: []measured.Daemon{decides.Daemon}}
	decides.tell(1)
	before := read(t, s)
	for _, currency := range []string{"JPY", "USD", "EUR"} {
		exec(t, payments, charge, currency)
	}
	decided := `hosho_payments_decided_total{kind="CHARGE",status="CHARGED",reason="none"} 3`
	decides.tell(1, decided, `hosho_ledger_minor_total{entry="CHARGE",currency="JPY"} 500`,
		`hosho_ledger_minor_total{entry="CHARGE",currency="other"} 1000`)
	wantDifferences(t, read(t, s).Counts(before))
	decides.tell(1, decided, `hosho_ledger_minor_total{entry="CHARGE",currency="other"} 1001`)
	wantDifferences(t, read(t, s).Counts(before),
		`hosho_ledger_minor_total{entry="CHARGE"}: got 1001, and the tables say 1500`)
}

// Each daemon is held to what is there, in the figures that it has.
func TestGaugesThatAreNotWhatIsThereAreFound(t *testing.T) {
	t.Parallel()
	orders, relay, orderd := pgtest.Orders(t).Pool, newFake(t, "relay-1"), newFake(t, "orderd")
	s := measured.System{
		Orders: orders, Payments: pgtest.Payments(t).Pool, Daemons: []measured.Daemon{relay.Daemon, orderd.Daemon},
	}
	exec(t, orders, `INSERT INTO outbox (key, kind, payload) VALUES (gen_random_uuid(), 'VOID', '')`)
	orderd.tell(1)
	relay.tell(1, `hosho_outbox_commands{kind="CHARGE",state="due"} 0`,
		`hosho_outbox_commands{kind="VOID",state="due"} 1`)
	wantDifferences(t, read(t, s).Gauges())
	relay.tell(1, `hosho_outbox_commands{kind="CHARGE",state="parked"} 2`,
		`hosho_outbox_commands{kind="VOID",state="due"} 0`, `hosho_deliveries_in_flight{kind="VOID"} 1`)
	wantDifferences(t, read(t, s).Gauges(),
		`relay-1: hosho_deliveries_in_flight{kind="VOID"}: got 1, and the tables say 0`,
		`relay-1: hosho_outbox_commands{kind="CHARGE",state="parked"}: got 2, and the tables say 0`,
		`relay-1: hosho_outbox_commands{kind="VOID",state="due"}: got 0, and the tables say 1`)
}

const (
	order = `
		INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at)
		VALUES (gen_random_uuid(), 'alice', '[{}]', 500, 'JPY', clock_timestamp())`
	charge = `
		WITH paid AS (
			INSERT INTO payments (id, customer_id, amount_minor, currency, status)
			VALUES (gen_random_uuid(), 'alice', 500, $1, 'CHARGED')
			RETURNING id, amount_minor, currency
		)
		INSERT INTO ledger (payment_id, kind, amount_minor, currency)
		SELECT id, 'CHARGE', amount_minor, currency FROM paid`
)

func exec(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s measured.System) measured.Reading {
	t.Helper()
	r, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantDifferences(t *testing.T, differences []measured.Difference, want ...string) {
	t.Helper()
	var got []string
	for _, d := range differences {
		got = append(got, d.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
