package bench

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/wait"
)

// Idle is what the daemons ask their databases while nothing happens.
type Idle struct {
	Seconds   float64            `json:"seconds"`
	PerSecond map[string]float64 `json:"statements_per_second"` // by database
	Looking   map[string]float64 `json:"looking_per_second"`    // of these, what does not ask whether a daemon is ready
	Asked     []Asked            `json:"asked"`                 // the most frequent first
}

// Asked is a statement and how often it was asked.
type Asked struct {
	Database  string  `json:"database"`
	Statement string  `json:"statement"`
	PerSecond float64 `json:"per_second"`
}

// restTime is how long daemons that have just begun are given until they are idle.
const restTime = 15 * time.Second

// idle counts statements while nothing happens.
func (s *system) idle(ctx context.Context) error {
	if !s.counted {
		return fmt.Errorf("count statements: this PostgreSQL has no pg_stat_statements")
	}
	s.tell(fmt.Sprintf("idle: for %v, after %v of rest", s.config.Duration, min(restTime, s.config.Duration)))
	wait.For(ctx, min(restTime, s.config.Duration))
	for _, pool := range s.databases() {
		if _, err := pool.Exec(ctx, `SELECT pg_stat_statements_reset()`); err != nil {
			return ignoreEnd(ctx, err)
		}
	}
	began := time.Now()
	wait.For(ctx, s.config.Duration)
	found := newIdle(time.Since(began))
	s.result.Idle = found
	for name, pool := range s.databases() {
		rows, _ := pool.Query(context.WithoutCancel(ctx), `
			SELECT regexp_replace(left(query, 400), '\s+', ' ', 'g'), calls::float8 / $1
			FROM pg_stat_statements
			WHERE userid = 'hosho'::regrole
				AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
			ORDER BY calls DESC`, found.Seconds) // ForEachRow returns the error
		a := Asked{Database: name}
		_, err := pgx.ForEachRow(rows, []any{&a.Statement, &a.PerSecond}, func() error {
			found.add(a)
			return nil
		})
		if err != nil {
			return err
		}
		s.tell(fmt.Sprintf("idle: %s is asked %.2f statements/s, %.2f of them to look for work", name,
			found.PerSecond[name], found.Looking[name]))
	}
	for _, text := range found.tooMuch() {
		s.broke("%s", text)
	}
	return nil
}

func newIdle(d time.Duration) *Idle {
	return &Idle{Seconds: d.Seconds(), PerSecond: map[string]float64{}, Looking: map[string]float64{}}
}

func (i *Idle) add(a Asked) {
	i.Asked = append(i.Asked, a)
	i.PerSecond[a.Database] += a.PerSecond
	asks := func(words string) bool { return strings.Contains(a.Statement, words) }
	if !slices.ContainsFunc(readiness, asks) {
		i.Looking[a.Database] += a.PerSecond
	}
}

// readiness is what stands in the statements that ask whether a daemon is ready: of pg.Guard, and of the migrations.
var readiness = []string{"pg_is_in_recovery()", "AS versioned", "FROM goose_db_version", "FROM schema_identity"}

// mostLooking is how many statements a second may look for work in a database while there is none, of all processes
// together. One more is no difference at the edges of the time.
const mostLooking = 0.2

// tooMuch tells of databases that are asked more than that. A time that is no longer than the rest says nothing.
func (i *Idle) tooMuch() (texts []string) {
	if i.Seconds <= restTime.Seconds() {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(i.Looking)) {
		if got := i.Looking[name]; got*i.Seconds > mostLooking*i.Seconds+1 {
			texts = append(texts, fmt.Sprintf("%s is asked %.2f statements/s to look for work, want at most %.1f",
				name, got, mostLooking))
		}
	}
	return texts
}
