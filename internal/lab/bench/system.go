package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/collector"
	"hosho/internal/lab/stack"
	"hosho/internal/pg"
	"hosho/internal/pgembed"
)

const (
	// connections are those of unary callers, who share them: a server takes a thousand calls of each.
	connections = 8
)

// system is a running system that is measured.
type system struct {
	*stack.Stack
	config  Config
	pgbench string // the program

	orders, payments *pgxpool.Pool
	conns            []*grpc.ClientConn
	clients          []orderv1.OrderServiceClient
	web              *web                 // nil but with HTTP
	counted          bool                 // the databases count statements
	collector        *collector.Collector // of spans; nil: there are none

	resting int64        // commands that wait for a person
	placed  atomic.Int64 // orders that were acknowledged, ever
	settled atomic.Int64 // and of which somebody was told that they are settled
	next    atomic.Int64 // numbers the orders

	mu     sync.Mutex
	broken []string // what contradicted itself at once
	rows0  map[string]int64
	result Result
}

// mostRelays is how many relays the scenario relays has at most.
const mostRelays = 8

func start(ctx context.Context, c Config, pgbench string) (*system, error) {
	uuid.EnableRandPool() // a request_id each by a system call would be a cost of the load's own
	s := &system{config: c, pgbench: pgbench}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *system) start(ctx context.Context) (err error) {
	settings := sized()
	if s.counted = countsStatements(); s.counted {
		settings["shared_preload_libraries"] = "pg_stat_statements"
	}
	relays := s.config.Relays
	if s.config.Scenario == "relays" {
		relays = max(relays, mostRelays)
	}
	env, err := s.traces()
	if err != nil {
		return err
	}
	s.result.Machine = machine()
	runtime.GOMAXPROCS(s.result.Machine.Threads) // of the clients
	s.Stack, err = stack.Start(ctx, stack.Config{
		Bin: s.config.Bin, Dir: s.config.Dir, Durable: true, Relays: relays, Roles: true, Settings: settings,
		TLS: s.config.TLS, HTTP: s.config.Mode == HTTP,
		Transport: s.config.Transport, Admin: s.config.overBroker(),
		Env: append(env, fmt.Sprintf("GOMAXPROCS=%d", s.result.Machine.Threads)), Progress: s.tell,
	})
	if err != nil {
		return err
	}
	if s.orders, err = pg.Open(ctx, pg.Config{URL: s.OrdersURL(), Application: "bench"}); err != nil {
		return err
	}
	if s.payments, err = pg.Open(ctx, pg.Config{URL: s.PaymentsURL(), Application: "bench"}); err != nil {
		return err
	}
	if s.counted {
		for _, pool := range []*pgxpool.Pool{s.orders, s.payments} {
			if _, err := pool.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`); err != nil {
				return err
			}
		}
	}
	if s.rows0, err = s.rowVersions(ctx); err != nil {
		return err
	}
	for range connections {
		conn, err := s.Dial(s.Orderd, "shop")
		if err != nil {
			return err
		}
		s.conns = append(s.conns, conn)
		s.clients = append(s.clients, orderv1.NewOrderServiceClient(conn))
	}
	if s.config.Mode == HTTP {
		if s.web, err = s.openWeb(); err != nil {
			return err
		}
	}
	return s.prepare(ctx)
}

// traces starts where the daemons send spans, if any, and returns the variables that have them do so.
func (s *system) traces() (env []string, err error) {
	if s.result.Traces = s.config.Traces; s.config.Traces == 0 {
		return nil, nil
	}
	if s.collector, err = collector.Discard(); err != nil {
		return nil, err
	}
	return s.collector.Env(s.config.Traces), nil
}

// sized are the settings of servers that have a load for long: the index of request_ids, which come in any order, stays
// in memory, and checkpoints come by time. PostgreSQL's own are for a machine of thirty years ago: after some minutes
// each order has half a page written again, whatever is measured.
func sized() map[string]string {
	return map[string]string{"shared_buffers": "1GB", "max_wal_size": "8GB"}
}

// countsStatements reports whether the servers have the library that counts statements.
func countsStatements() bool {
	bin, err := pgembed.Find()
	if err != nil {
		return false
	}
	folders := []string{filepath.Join(bin, "..", "lib")}
	if out, err := exec.Command(filepath.Join(bin, "pg_config"), "--pkglibdir").Output(); err == nil {
		folders = append(folders, strings.TrimSpace(string(out)))
	}
	return slices.ContainsFunc(folders, func(dir string) bool {
		files, err := filepath.Glob(filepath.Join(dir, "pg_stat_statements.*"))
		return err == nil && len(files) > 0
	})
}

// machine is this one. Each process of ours has half of the cores, for it shares them with all the others, PostgreSQL's
// too: a Go program that has idle cores keeps looking for work on them. GOMAXPROCS says otherwise.
func machine() Machine {
	threads := max(1, runtime.NumCPU()/2)
	if os.Getenv("GOMAXPROCS") != "" {
		threads = runtime.GOMAXPROCS(0)
	}
	return Machine{
		Cores: runtime.NumCPU(), Threads: threads, System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
	}
}

// describe notes what everything runs on.
func (s *system) describe(ctx context.Context) error {
	s.result.Scenario = s.config.Scenario
	s.result.Broken = []string{}
	s.result.Postgres = map[string]string{}
	for _, name := range []string{
		"server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size",
	} {
		var value string
		if err := s.orders.QueryRow(ctx, `SELECT current_setting($1)`, name).Scan(&value); err != nil {
			return err
		}
		s.result.Postgres[name] = value
	}
	took, err := probe(ctx, s.Dir)
	s.result.FsyncMS = millis(took)
	if err != nil {
		return fmt.Errorf("probe the disk: %w", err)
	}
	s.tell(fmt.Sprintf("the disk keeps 8 KiB in %.2f ms", s.result.FsyncMS))
	return nil
}

func (s *system) tell(text string) {
	if s.config.Tell != nil {
		s.config.Tell(text)
	}
}

func (s *system) tick(text string) {
	if s.config.Tick != nil {
		s.config.Tick(text)
	}
}

// broke notes that something is not as it must be. The first few tell enough.
func (s *system) broke(format string, args ...any) {
	const most = 20
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.broken) < most {
		s.broken = append(s.broken, fmt.Sprintf(format, args...))
	}
}

// stop stops what has been started.
func (s *system) stop() error {
	var err error
	for _, conn := range s.conns {
		err = errors.Join(err, conn.Close())
	}
	if s.web != nil {
		s.web.close()
	}
	for _, pool := range []*pgxpool.Pool{s.orders, s.payments} {
		if pool != nil {
			pool.Close()
		}
	}
	if s.Stack != nil {
		err = errors.Join(err, s.Stack.Stop())
	}
	if s.collector != nil {
		s.collector.Stop()
	}
	return err
}
