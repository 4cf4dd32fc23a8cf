package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/lab/stack"
)

// reading is what the meters show at one moment.
type reading struct {
	at         time.Time
	cpu        map[string]time.Duration // by process
	wal        int64                    // bytes, of both servers
	statements map[string]int64         // of the daemons, by database
	backlog    int64
	messages   int64 // that a broker has confirmed
}

// read reads all meters.
func (s *system) read(ctx context.Context) (r reading, err error) {
	r.wal, r.statements = 0, map[string]int64{}
	for database, pool := range s.databases() {
		var wal int64
		err := pool.QueryRow(ctx, `SELECT (pg_current_wal_lsn() - '0/0')::bigint`).Scan(&wal)
		if err != nil {
			return r, err
		}
		r.wal += wal
		if r.statements[database], err = s.statements(ctx, pool); err != nil {
			return r, err
		}
	}
	if r.backlog, err = s.depth(ctx); err != nil {
		return r, err
	}
	if r.messages, err = s.messages(ctx); err != nil {
		return r, err
	}
	r.at = time.Now()
	r.cpu, err = s.cpu()
	return r, err
}

func (s *system) databases() map[string]*pgxpool.Pool {
	return map[string]*pgxpool.Pool{stack.OrdersDatabase: s.orders, stack.PaymentsDatabase: s.payments}
}

// statements returns how many statements the daemons have had executed. What this program asks is not among them.
func (s *system) statements(ctx context.Context, pool *pgxpool.Pool) (n int64, err error) {
	if !s.counted {
		return 0, nil
	}
	err = pool.QueryRow(ctx, `
		SELECT coalesce(sum(calls), 0)::bigint
		FROM pg_stat_statements(false)
		WHERE userid IN (SELECT oid FROM pg_roles WHERE rolname = ANY ($1))
			AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
		stack.Logins()).Scan(&n)
	return n, err
}

// depth returns how many commands are in the outbox.
func (s *system) depth(ctx context.Context) (n int64, err error) {
	err = s.orders.QueryRow(ctx, `SELECT count(*) FROM outbox`).Scan(&n)
	return n, err
}

// cpu returns the CPU times of our own processes. Relays count together.
func (s *system) cpu() (map[string]time.Duration, error) {
	sums := map[string]time.Duration{}
	add := func(name string, took time.Duration, err error) error {
		sums[name] += took
		return err
	}
	of := func(name string, pid int) error {
		took, err := cpuOf(pid)
		return add(name, took, err)
	}
	ofServer := func(name string, pid int) error {
		took, err := cpuOfServer(pid)
		return add(name, took, err)
	}
	err := errors.Join(
		ofServer("pg-orders", s.Orders.Pid()), ofServer("pg-payments", s.Payments.Pid()),
		of("orderd", s.Orderd.Pid()), of("paymentd", s.Paymentd.Pid()), of("load", os.Getpid()),
	)
	if s.Broker != nil {
		err = errors.Join(err, ofServer("broker", s.Broker.Pid()))
	}
	for _, relay := range s.Relays {
		if isRunning(relay) {
			err = errors.Join(err, of("relay", relay.Pid()))
		}
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, nil // it is not known here
	}
	return sums, err
}

func isRunning(p *stack.Process) bool {
	select {
	case <-p.Exited():
		return false
	default:
		return true
	}
}

// each returns what each of n sagas cost, from one reading to another.
func (l *Load) each(from, to reading, n int64) {
	if n <= 0 {
		return
	}
	l.CPU = cpuOfEach(from, to, n)
	l.WALBytes = float64(to.wal-from.wal) / float64(n)
	l.Messages = float64(to.messages-from.messages) / float64(n)
	l.Statements = map[string]float64{}
	for database, count := range to.statements {
		l.Statements[database] = float64(count-from.statements[database]) / float64(n)
	}
}

// cpuOfEach returns the microseconds that each of n took of each process, and in total; nil where that is not known.
func cpuOfEach(from, to reading, n int64) map[string]float64 {
	if to.cpu == nil || n <= 0 {
		return nil
	}
	each := map[string]float64{}
	for name, took := range to.cpu {
		us := float64((took - from.cpu[name]).Microseconds()) / float64(n)
		each[name] = us
		each["total"] += us
	}
	return each
}

// versioned are the tables whose rows are counted.
const versioned = `
	SELECT relname, n_tup_ins + n_tup_upd + n_tup_del
	FROM pg_stat_user_tables
	WHERE relname IN ('orders', 'outbox', 'payments', 'ledger')`

// rowVersions returns how many rows were inserted, updated and deleted by now, by table. A session tells it at its end
// at the latest, and up to ten seconds late before that.
func (s *system) rowVersions(ctx context.Context) (map[string]int64, error) {
	found := map[string]int64{}
	for _, pool := range s.databases() {
		rows, _ := pool.Query(ctx, versioned) // ForEachRow returns the error
		var table string
		var n int64
		_, err := pgx.ForEachRow(rows, []any{&table, &n}, func() error {
			found[table] = n
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("count the versions of rows: %w", err)
		}
	}
	return found, nil
}
