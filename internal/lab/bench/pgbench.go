package bench

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/pgembed"
	"hosho/internal/proc"
)

// The comparison: what PostgreSQL's own load generator manages of a bare order and its bare outbox row, one transaction
// each, and nothing else. It has a database of its own on the server of the orders.
const (
	comparison    = "pgbench"
	differenceMax = 0.15 // between before and after, of their mean
)

// pgbenchClients are how many connections it is tried with: the best of them counts.
var pgbenchClients = []int{32, 64}

const bareTables = `
	CREATE TABLE orders (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id text, request_id text, request_hash bytea,
		items jsonb, amount_minor bigint, currency text, status text DEFAULT 'PENDING',
		created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
		deadline_at timestamptz DEFAULT now());
	CREATE TABLE outbox (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id bigint, kind text DEFAULT 'CHARGE', payload bytea)`

const bareInsert = `WITH n AS (
	INSERT INTO orders (customer_id, request_id, request_hash, items, amount_minor, currency)
	VALUES ('%s', '%s', '\x%s', '%s', %d, '%s') RETURNING id
) INSERT INTO outbox (order_id, payload) SELECT id, '\x%s' FROM n;
`

// findPgbench returns the program of the PostgreSQL that the servers are of.
func findPgbench() (string, error) {
	bin, err := pgembed.Find()
	if err != nil {
		return "", err
	}
	program, err := exec.LookPath(filepath.Join(bin, "pgbench"))
	if err != nil {
		return "", fmt.Errorf("pgbench, beside which sagas are measured, is not in %s (%w): it comes with PostgreSQL, "+
			"in some distributions as postgresql-contrib", bin, err)
	}
	return program, nil
}

func (s *system) script() string { return filepath.Join(s.Dir, "two-rows.sql") }

// prepare makes the comparison's tables, and the statement with as many bytes as the system's own orders have.
func (s *system) prepare(ctx context.Context) error {
	if err := s.Orders.CreateDatabase(ctx, comparison); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.Orders.URL(comparison))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, bareTables); err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	payload, err := command.Encode(order.Charge, order.Order{
		ID: id.String(), CustomerID: customer(1), AmountMinor: price, Currency: currency, DeadlineAt: time.Now(),
	})
	if err != nil {
		return err
	}
	const hash = 32 // bytes
	items := fmt.Sprintf(`[{"name": "%s", "quantity": 1, "unit_price": %d}]`, item, price)
	return os.WriteFile(s.script(), fmt.Appendf(nil, bareInsert, customer(1), uuid.NewString(),
		strings.Repeat("ab", hash), items, price, currency, hex.EncodeToString(payload)), 0o644)
}

// compare runs pgbench and notes its best rate.
func (s *system) compare(ctx context.Context) error {
	var best bare
	for _, clients := range pgbenchClients {
		b, err := s.bareInserts(ctx, clients)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("pgbench: %w", err)
		}
		s.tell(fmt.Sprintf("pgbench, %d connections: %.0f bare two-row inserts/s", clients, b.rate))
		if b.rate > best.rate {
			best = b
		}
	}
	s.result.Pgbench = append(s.result.Pgbench, best.rate)
	if best.cpu > 0 {
		s.result.PgbenchCPU = append(s.result.PgbenchCPU, best.cpu)
	}
	s.result.relate()
	return nil
}

// relate works out the ratio from what pgbench managed.
func (r *Result) relate() {
	sum, most, least := 0.0, r.Pgbench[0], r.Pgbench[0]
	for _, rate := range r.Pgbench {
		sum, most, least = sum+rate, max(most, rate), min(least, rate)
	}
	r.PgbenchTPS = sum / float64(len(r.Pgbench))
	r.Ratio, r.Void = 0, false
	if r.PgbenchTPS > 0 {
		r.Ratio = r.SagasPerSecond / r.PgbenchTPS
		r.Void = most-least > differenceMax*r.PgbenchTPS
	}
}

// bare is what pgbench manages.
type bare struct {
	rate float64 // transactions a second
	cpu  float64 // us that one takes, of the server and the client; 0 where that is not known
}

// bareInserts has pgbench insert into empty tables.
func (s *system) bareInserts(ctx context.Context, clients int) (bare, error) {
	conn, err := pgx.Connect(ctx, s.Orders.URL(comparison))
	if err != nil {
		return bare{}, err
	}
	_, err = conn.Exec(ctx, `TRUNCATE orders, outbox`)
	if err == nil {
		_, err = conn.Exec(ctx, `CHECKPOINT`) // what was written before is no part of it
	}
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return bare{}, err
	}
	address, err := url.Parse(s.Orders.URL(comparison))
	if err != nil {
		return bare{}, err
	}
	seconds := max(int(s.config.Pgbench.Seconds()), 1)
	cmd := exec.Command(s.pgbench, "-n", "-M", "prepared", "-j", "2", "-c", strconv.Itoa(clients),
		"-T", strconv.Itoa(seconds), "-f", s.script(),
		"-h", address.Hostname(), "-p", address.Port(), "-U", address.User.Username(), comparison)
	cmd.Env = proc.Environment("LC_ALL=C")
	if s.counted {
		cmd.Env = append(cmd.Env, "PGOPTIONS=-c pg_stat_statements.track=none") // its statements are not counted
	}
	before, known := cpuAtRest(s.Orders.Pid())
	output, err := run(ctx, cmd, time.Duration(seconds)*time.Second+endTime)
	if err != nil {
		return bare{}, err
	}
	b := bare{}
	if b.rate, err = rateIn(output); err != nil || b.rate == 0 || known != nil {
		return b, err
	}
	after, err := cpuAtRest(s.Orders.Pid())
	took := after - before + cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	b.cpu = float64(took.Microseconds()) / (b.rate * float64(seconds))
	return b, err
}

// cpuAtRest is cpuOfServer of a server that nobody asks for anything. A session that is just ending is counted neither
// twice nor not at all.
func cpuAtRest(postmaster int) (time.Duration, error) {
	const tries, pause = 20, 20 * time.Millisecond
	last, err := cpuOfServer(postmaster)
	for range tries {
		time.Sleep(pause)
		var now time.Duration
		if now, err = cpuOfServer(postmaster); err != nil || now == last {
			return now, err
		}
		last = now
	}
	return last, err
}

// run returns what a program printed. It is killed when ctx ends, or after a time.
func run(ctx context.Context, cmd *exec.Cmd, most time.Duration) (string, error) {
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	child, err := proc.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case <-child.Exited():
	case <-ctx.Done():
		child.Signal(syscall.SIGKILL)
		<-child.Exited()
		return "", ctx.Err()
	}
	if err := child.Err(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, output.String())
	}
	return output.String(), nil
}

var rateForm = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// rateIn reads what pgbench prints.
func rateIn(output string) (float64, error) {
	match := rateForm.FindStringSubmatch(output)
	if match == nil && strings.Contains(output, "actually processed: 0\n") { // of a machine that stands still
		return 0, nil
	}
	if match == nil {
		return 0, fmt.Errorf("got %q, want a line with the transactions a second", output)
	}
	return strconv.ParseFloat(match[1], 64)
}
