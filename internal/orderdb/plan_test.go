package orderdb_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

// plan is a node of a plan as it was executed.
type plan struct {
	Node     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Cond     string  `json:"Index Cond"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Crossed  float64 `json:"Rows Removed by Join Filter"`
	Plans    []plan
}

// read returns how many rows of a table a plan has looked at, and whether it went through the table from its beginning.
func (p plan) read(table string) (rows float64, scans bool) {
	if p.Relation == table {
		rows, scans = (p.Rows+p.Removed)*p.Loops, p.Node == "Seq Scan"
	}
	for _, child := range p.Plans {
		more, scan := child.read(table)
		rows, scans = rows+more, scans || scan
	}
	return rows, scans
}

// ranges returns how often a plan has read the rows of a table from one key on up to another.
func (p plan) ranges(table string) (n float64) {
	if p.Relation == table && strings.Contains(p.Cond, ">=") && strings.Contains(p.Cond, "<=") {
		n = p.Loops
	}
	for _, child := range p.Plans {
		n += child.ranges(table)
	}
	return n
}

// planned is a Store, and the plans by which its statements were executed since they were asked for last: the server
// tells them.
func planned(t *testing.T, db *pgtest.Database) (*orderdb.Store, func() []plan) {
	t.Helper()
	pool, plans := pgtest.Explained[plan](t, db)
	return orderdb.New(pool, command.Encode), plans
}

// shop fills the tables with 20,000 orders of 20 customers, of which a few are PENDING and CANCELLING, one is CANCELLED
// and the others are COMPLETED. Before, there were a hundred of customer-7 alone: that is what the statistics say.
func shop(t *testing.T, db *pgtest.Database) {
	t.Helper()
	const insert = `
		INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at, status, cancel_reason)
		SELECT (lpad(to_hex(n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid, customer, '[{}]', 1, 'JPY',
			clock_timestamp(), status, CASE WHEN status LIKE 'CANCEL%' THEN 'CUSTOMER' END
		FROM (
			SELECT n, 'customer-' || CASE WHEN n <= 100 THEN 7 ELSE n % 20 END AS customer,
				CASE WHEN n = 5 THEN 'CANCELLED' WHEN n % 5000 = 1 THEN 'PENDING' WHEN n % 5000 = 2 THEN 'CANCELLING'
					ELSE 'COMPLETED' END AS status
			FROM generate_series($1::int, $2) AS n
		) AS o`
	execute(t, db, `
		ALTER TABLE orders SET (autovacuum_enabled = false);
		ALTER TABLE outbox SET (autovacuum_enabled = false);
		ALTER TABLE orders DISABLE TRIGGER orders_born_pending`)
	fill := func(from, to int) {
		t.Helper()
		if _, err := db.Pool.Exec(t.Context(), insert, from, to); err != nil {
			t.Fatal(err)
		}
	}
	fill(1, 100)
	execute(t, db, `ANALYZE orders; ANALYZE outbox`)
	fill(101, 20_000)
	// There has been an outage of the payment service: 15,000 orders that are long COMPLETED left a command behind.
	execute(t, db, `
		INSERT INTO outbox (key, kind, payload)
		SELECT id, CASE WHEN status = 'CANCELLING' THEN 'VOID' ELSE 'CHARGE' END, ''
		FROM orders
		WHERE status IN ('PENDING', 'CANCELLING')
			OR status = 'COMPLETED' AND id > '00000000-1388-7000-8000-000000000000'`)
}

// forgotten makes the planner know nothing of the tables.
const forgotten = `
	DELETE FROM pg_statistic WHERE starelid IN ('orders'::regclass, 'outbox'::regclass);
	UPDATE pg_class SET reltuples = -1, relpages = 0
	WHERE oid IN ('orders'::regclass, 'outbox'::regclass, 'orders_pkey'::regclass, 'orders_by_customer'::regclass)`

// Whatever the statistics say: no page is found by a way through the whole table, and no call looks at more than 10,000
// rows, and the one by which it knows that there are more.
func TestNoPageReadsTheWholeTable(t *testing.T) {
	t.Parallel()
	slow.Test(t, "makes 20,000 orders")
	db := pgtest.Orders(t)
	shop(t, db)
	middle := fmt.Sprintf("%08x-%04x-7000-8000-%012x", 18_000>>16, 18_000&0xffff, 18_000)
	for _, statistics := range []struct{ name, prepare string }{
		{"of another time", `SELECT 1`}, {"none", forgotten}, {"right", `ANALYZE orders; ANALYZE outbox`},
	} {
		execute(t, db, statistics.prepare)
		s, plans := planned(t, db)
		for _, customer := range []string{"", "customer-7", "customer-8"} {
			for _, status := range []order.Status{"", order.Pending, order.Cancelled} {
				for _, after := range []string{"", middle} {
					f, most := orderdb.Filter{CustomerID: customer, Status: status}, 10_001.
					if status == "" {
						most = 52 // the page, one more to know whether another follows, and one that was read ahead
					}
					if _, _, err := s.List(t.Context(), f, after, 50); err != nil {
						t.Fatal(err)
					}
					wantBounded(t, most, plans(), "statistics %s, %+v after %q", statistics.name, f, after)
				}
			}
		}
		seen := []orderdb.Seen{{ID: middle}}
		if err := s.Watched(t.Context(), seen, func(orderdb.News) {}); err != nil {
			t.Fatal(err)
		}
		if err := s.Progress(t.Context(), seen, func(orderdb.News) {}); err != nil {
			t.Fatal(err)
		}
		wantBounded(t, 2, plans(), "statistics %s, a watched order", statistics.name)
		if _, _, err := s.Stuck(t.Context(), time.Hour, 0, 50); err != nil {
			t.Fatal(err)
		}
		wantBounded(t, 10_001, plans(), "statistics %s, what needs a person", statistics.name)
		for _, kind := range []order.Command{"", order.Charge} {
			if _, _, err := s.Commands(t.Context(), kind, 0, 50); err != nil {
				t.Fatal(err)
			}
			wantBounded(t, 60, plans(), "statistics %s, the first page of kind %q", statistics.name, kind)
		}
	}
}

func wantBounded(t *testing.T, most float64, plans []plan, format string, args ...any) {
	t.Helper()
	what := fmt.Sprintf(format, args...)
	if len(plans) == 0 {
		t.Errorf("%s: got no plan", what)
	}
	for _, table := range []string{"orders", "outbox"} {
		rows := 0.0
		for _, p := range plans {
			more, scans := p.read(table)
			if rows += more; scans {
				t.Errorf("%s: got a way through all of %s: %+v", what, table, p)
			}
		}
		if rows > most {
			t.Errorf("%s: got %.0f rows of %s looked at, want %.0f at most", what, rows, table, most)
		}
	}
}

// There has been an outage, and more than 10,000 commands wait that need nobody. A call that would look at all of them
// for the one that does returns none, and where the next one goes on.
func TestAHealthyBacklogIsLookedAtInParts(t *testing.T) {
	t.Parallel()
	slow.Test(t, "makes 10,000 orders")
	db := pgtest.Orders(t)
	healthyBacklog(t, db)
	parked := placed(t, db, order.Pending)
	damage(t, db, `UPDATE outbox SET parked_at = clock_timestamp() WHERE key = $1`, parked.ID)
	s, plans := planned(t, db)
	none, rest, err := s.Stuck(t.Context(), time.Hour, 0, 50)
	if err != nil || len(none) != 0 || rest == 0 {
		t.Fatalf("got %d commands and the rest after %d, error %v; want none and where to go on", len(none), rest, err)
	}
	wantBounded(t, 10_001, plans(), "the first call")
	one, rest, err := s.Stuck(t.Context(), time.Hour, rest, 50)
	if err != nil || len(one) != 1 || one[0].OrderID != parked.ID || rest != 0 {
		t.Errorf("got %v and the rest after %d, error %v; want the one that is parked and no more", one, rest, err)
	}
}

// The one VOID behind 10,000 CHARGEs is found by two calls. They look at no order but its own.
func TestAVoidBehindAHugeBacklogOfChargesIsLookedForInParts(t *testing.T) {
	t.Parallel()
	slow.Test(t, "makes 10,000 orders")
	db := pgtest.Orders(t)
	healthyBacklog(t, db)
	o := placed(t, db, order.Cancelling)
	damage(t, db, `DELETE FROM outbox WHERE kind = 'CHARGE' AND key = $1`, o.ID)
	s, plans := planned(t, db)
	none, rest, err := s.Commands(t.Context(), order.Void, 0, 50)
	if err != nil || len(none) != 0 || rest == 0 {
		t.Fatalf("got %d commands and the rest after %d, error %v; want none and where to go on", len(none), rest, err)
	}
	first := plans()
	wantBounded(t, 10_001, first, "the first call")
	if orders, _ := first[0].read("orders"); orders > 1 {
		t.Errorf("got %.0f orders looked up for the commands that are passed over, want 1 at most", orders)
	}
	one, rest, err := s.Commands(t.Context(), order.Void, rest, 50)
	if err != nil || len(one) != 1 || one[0].OrderID != o.ID || rest != 0 {
		t.Errorf("got %v and the rest after %d, error %v; want the VOID and no more", one, rest, err)
	}
}

// healthyBacklog is 10,000 orders that wait for nobody but the payment service.
func healthyBacklog(t *testing.T, db *pgtest.Database) {
	t.Helper()
	execute(t, db, `
		INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at)
		SELECT gen_random_uuid(), 'alice', '[{}]', 1, 'JPY', clock_timestamp() + interval '1 hour'
		FROM generate_series(1, 10000);
		INSERT INTO outbox (key, kind, payload) SELECT id, 'CHARGE', '' FROM orders`)
}

// crossed returns how many pairs of rows were looked at in vain by the joins of a plan.
func (p plan) crossed() float64 {
	sum := p.Crossed * p.Loops
	for _, child := range p.Plans {
		sum += child.crossed()
	}
	return sum
}

// knownEmpty is a database whose statistics say that its tables are empty, whatever comes into them.
func knownEmpty(t *testing.T) *pgtest.Database {
	t.Helper()
	db := pgtest.Orders(t)
	execute(t, db, `
		ALTER TABLE orders SET (autovacuum_enabled = false);
		ALTER TABLE outbox SET (autovacuum_enabled = false);
		ANALYZE orders; ANALYZE outbox`)
	return db
}

// Statements are planned once for a connection, when its tables were empty and had been analyzed, say. They are right
// for tables that are full, and for batches: none goes through a table, or through a batch for each row of it.
func TestAPlanForEmptyTablesIsRightForFullOnes(t *testing.T) {
	t.Parallel()
	db := knownEmpty(t)
	const batch = 200
	s, plans := planned(t, db)
	place := func(s *orderdb.Store, n int) (messages []outbox.Message) {
		news := make([]orderdb.NewOrder, n)
		for i := range news {
			news[i] = newOrder()
			messages = append(messages, outbox.Message{Key: news[i].ID})
		}
		placed, err := s.PlaceAll(t.Context(), news)
		if err != nil || len(placed) != n {
			t.Fatalf("got %d orders, error %v; want %d", len(placed), err, n)
		}
		return messages
	}
	use := func(n int, check func(what string)) {
		messages := place(s, n)
		check("placing")
		if _, err := s.Purposes(t.Context(), messages); err != nil {
			t.Fatal(err)
		}
		check("asking what commands are for")
		if _, err := s.Doubtful(t.Context(), make([]orderdb.Note, n)); err != nil {
			t.Fatal(err)
		}
		check("holding commands against their orders")
		if _, _, err := s.Cancel(t.Context(), messages[0].Key, ""); err != nil {
			t.Fatal(err)
		}
		check("cancelling")
	}
	use(1, func(string) {})
	for range 20 {
		place(orderdb.New(db.Pool, command.Encode), batch)
	}
	plans()
	use(batch, func(what string) {
		crossed := 0.0
		executed := plans()
		for _, p := range executed {
			crossed += p.crossed()
		}
		if wantBounded(t, 2*batch, executed, "%s", what); crossed > 2*batch {
			t.Errorf("%s: got %.0f pairs of rows that did not belong together, want few", what, crossed)
		}
	})
}
