package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"hosho/internal/lab/load"
	"hosho/internal/wait"
)

// Drained is how orders that had waited were settled.
type Drained struct {
	Orders         int     `json:"orders"`
	Seconds        float64 `json:"seconds"`
	SagasPerSecond float64 `json:"sagas_per_second"`
	ClaimMS        *Spread `json:"claim_ms,omitempty"` // how long the orders database was at claims
	Depths         []Depth `json:"backlog_over_time"`
}

const (
	backlogStep = 100_000        // orders that are written at a time
	backlogDue  = 24 * time.Hour // longer than any run
	backlogLook = 200 * time.Millisecond
	backlogTime = time.Hour // at most
)

// backlog measures the peak, then how fast orders are settled that came while paymentd was down.
func (s *system) backlog(ctx context.Context) error {
	first, err := s.load(ctx, s.spec("the peak"))
	s.keep(first)
	s.about(first)
	if err != nil || ctx.Err() != nil {
		return err
	}
	if err := s.Paymentd.Stop(); err != nil {
		return err
	}
	s.tell(fmt.Sprintf("placing %d orders while paymentd is down", s.config.Backlog))
	for placed := 0; placed < s.config.Backlog; placed += backlogStep {
		many := load.Many{
			N: min(backlogStep, s.config.Backlog-placed), Customer: load.Customer + "many",
			Deadline: time.Now().Add(backlogDue),
		}
		if _, err := many.Place(ctx, s.orders); err != nil {
			return ignoreEnd(ctx, err)
		}
		s.tick(fmt.Sprintf("%d of %d orders", placed+many.N, s.config.Backlog))
	}
	if _, err := s.orders.Exec(ctx, `ANALYZE orders, outbox`); err != nil { // as after any load in bulk
		return ignoreEnd(ctx, err)
	}
	claims, err := s.watchClaims(ctx)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	d, err := s.settleBacklog(ctx)
	spread, claimErr := claims(context.WithoutCancel(ctx))
	d.ClaimMS = spread
	s.result.Drained = &d
	if err = errors.Join(err, claimErr); err != nil {
		return err
	}
	s.beside("draining", Load{SagasPerSecond: d.SagasPerSecond}, first)
	return nil
}

// settleBacklog starts paymentd and waits until nothing is left. The time counts from when the first was settled.
func (s *system) settleBacklog(ctx context.Context) (d Drained, err error) {
	d = Drained{Orders: s.config.Backlog, Depths: []Depth{}}
	if err := s.Paymentd.Start(); err != nil {
		return d, err
	}
	if err := s.Paymentd.WaitReady(ctx); err != nil {
		return d, ignoreEnd(ctx, err)
	}
	full, err := s.depth(ctx)
	if err != nil {
		return d, ignoreEnd(ctx, err)
	}
	began, started, from := time.Now(), time.Time{}, full
	for left := full; left > 0; {
		if !wait.For(ctx, backlogLook) {
			return d, nil
		}
		if time.Since(began) > backlogTime {
			return d, fmt.Errorf("not drained within %v: %d commands are left", backlogTime, left)
		}
		if left, err = s.depth(ctx); err != nil {
			return d, ignoreEnd(ctx, err)
		}
		now := time.Now()
		if started.IsZero() && left < full {
			started, from = now, left
		}
		d.Depths = append(d.Depths, Depth{now.Sub(began).Seconds(), left})
		s.tick(fmt.Sprintf("%d commands are left", left))
		d.Seconds = now.Sub(began).Seconds()
		if took := now.Sub(started).Seconds(); took > 0 && !started.IsZero() {
			d.SagasPerSecond = float64(from-left) / took
		}
	}
	if d.SagasPerSecond == 0 { // all at one look
		d.SagasPerSecond = float64(full) / d.Seconds
	}
	s.tell(fmt.Sprintf("drained in %.0f s: %.0f sagas/s", d.Seconds, d.SagasPerSecond))
	return d, nil
}

// watchClaims has the orders database log how long each statement takes, until the function that it returns reads what
// it has logged.
func (s *system) watchClaims(ctx context.Context) (read func(context.Context) (*Spread, error), err error) {
	info, err := os.Stat(s.Orders.LogFile())
	if err != nil {
		return nil, err
	}
	if err := s.logStatements(ctx, "0"); err != nil {
		return nil, err
	}
	return func(ctx context.Context) (*Spread, error) {
		if err := s.logStatements(ctx, "-1"); err != nil {
			return nil, err
		}
		log, err := os.Open(s.Orders.LogFile())
		if err != nil {
			return nil, err
		}
		defer log.Close()
		if _, err := log.Seek(info.Size(), io.SeekStart); err != nil {
			return nil, err
		}
		return claimsIn(log)
	}, nil
}

func (s *system) logStatements(ctx context.Context, least string) error {
	if _, err := s.orders.Exec(ctx, `ALTER SYSTEM SET log_min_duration_statement = `+least); err != nil {
		return err
	}
	_, err := s.orders.Exec(ctx, `SELECT pg_reload_conf()`)
	return err
}

var (
	loggedLine = regexp.MustCompile(`^\d{4}-\d\d-\d\d .*\[\d+\] `)
	loggedTime = regexp.MustCompile(`duration: ([0-9.]+) ms  (bind|execute|statement)`)
)

// claimsIn reads the times of claims from a server's log: of the statements of the outbox that answer with payloads,
// which are bound and executed.
func claimsIn(log io.Reader) (*Spread, error) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	var h histogram
	var entry strings.Builder
	var bound time.Duration
	end := func() {
		text := entry.String()
		entry.Reset()
		match := loggedTime.FindStringSubmatch(text)
		if match == nil || !isClaim(text) {
			return
		}
		ms, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			return // the form has it a number
		}
		took := time.Duration(ms * float64(time.Millisecond))
		if match[2] == "bind" {
			bound = took
			return
		}
		h.add(bound + took)
		bound = 0
	}
	for lines.Scan() {
		if loggedLine.MatchString(lines.Text()) {
			end()
		}
		entry.WriteString(lines.Text() + "\n")
	}
	end()
	return h.spread(), lines.Err()
}

// isClaim reports whether a statement takes commands: nothing else answers with their payloads, and only what places
// orders writes them.
func isClaim(text string) bool {
	return strings.Contains(text, "outbox") && strings.Contains(text, "payload") && !strings.Contains(text, "INSERT")
}
