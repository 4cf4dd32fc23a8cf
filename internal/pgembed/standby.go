package pgembed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// standbys numbers the standbys of this process, for their names.
var standbys atomic.Int64

// StartStandby starts a server that is a copy of primary, and replays what that writes until it is promoted. It returns
// when the standby has caught up so far that it streams. Data in config's Dir is replaced.
func StartStandby(ctx context.Context, primary *Server, config Config) (*Server, error) {
	s, err := newServer(config)
	if err != nil {
		return nil, err
	}
	s.standby = "standby_" + strconv.FormatInt(standbys.Add(1), 10)
	if err := s.createDirs(); err != nil {
		return nil, errors.Join(fmt.Errorf("create a standby: %w", err), s.remove())
	}
	if err := s.follow(ctx, primary); err != nil {
		err = fmt.Errorf("start a standby: %w", err)
		if s.process.Load() != nil {
			err = errors.Join(err, s.shutDown(), s.freeMemory())
		}
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// Follow makes the server, whatever state it is in, a standby of primary, as StartStandby would, at the port that it
// has. What it holds is lost: after a failover the former primary may have commits that nobody acknowledged. It returns
// ErrNotRunning after Stop.
func (s *Server) Follow(ctx context.Context, primary *Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return ErrNotRunning
	}
	if s.standby == "" {
		s.standby = "standby_" + strconv.FormatInt(standbys.Add(1), 10)
	}
	if err := errors.Join(s.shutDown(), s.freeMemory()); err != nil {
		return err
	}
	if err := s.follow(ctx, primary); err != nil {
		return fmt.Errorf("follow another server: %w", err)
	}
	return nil
}

// follow copies the primary. A replication slot has that keep what the standby has not seen, also while it is away.
func (s *Server) follow(ctx context.Context, primary *Server) error {
	if err := primary.exec(ctx, `
		SELECT pg_create_physical_replication_slot($1, true)
		WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)`, s.standby); err != nil {
		return fmt.Errorf("make a replication slot: %w", err)
	}
	if err := os.RemoveAll(s.data()); err != nil {
		return err
	}
	args := []string{
		"--dbname=" + fmt.Sprintf("host=%s port=%d user=%s application_name=%s",
			primary.sockets, primary.port, superuser, s.standby),
		"--write-recovery-conf",
		"--slot=" + s.standby,
		"--wal-method=stream",
		"--checkpoint=fast",
	}
	if !s.config.Durable {
		args = append(args, "--no-sync")
	}
	if err := s.fill(ctx, "pg_basebackup", args...); err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	return primary.until(ctx, "its standby streams",
		`SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming')`,
		s.standby)
}

// Acknowledge has the server answer a COMMIT only when one of the standbys has it on disk, too; without standbys, when
// it has it itself. It returns when that is in effect. On a server that is not Durable commits wait for nobody, unless
// its settings say that synchronous_commit is on.
func (s *Server) Acknowledge(ctx context.Context, by ...*Server) error {
	wanted := ""
	names := make([]string, len(by))
	for i, standby := range by {
		names[i] = standby.standby
	}
	if len(names) > 0 {
		wanted = "ANY 1 (" + strings.Join(names, ", ") + ")"
	}
	if err := s.setStandbys(ctx, wanted); err != nil {
		return fmt.Errorf("set synchronous_standby_names: %w", err)
	}
	// A new session has the setting as soon as the postmaster has told its children. Which commits wait is said by the
	// checkpointer, and it reads its settings before it does what it is asked for.
	err := s.until(ctx, "it has read its settings",
		`SELECT current_setting('synchronous_standby_names') = $1`, wanted)
	if err != nil {
		return err
	}
	if err := s.exec(ctx, `CHECKPOINT`); err != nil {
		return err
	}
	return s.until(ctx, "its standbys are synchronous", `
		SELECT count(*) = cardinality($1::text[]) FROM pg_stat_replication
		WHERE application_name = ANY ($1) AND sync_state = 'quorum'`, names)
}

// Promote makes a standby a primary: it accepts writes when Promote returns. Its commits wait for no standby, since
// none follows it yet. Whoever promotes sees to it that the former primary is gone.
func (s *Server) Promote(ctx context.Context) error {
	// The copy has the settings of its primary.
	if err := s.setStandbys(ctx, ""); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	if err := s.exec(ctx, `SELECT pg_promote(true, 60)`); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	return s.until(ctx, "it accepts writes", `SELECT NOT pg_is_in_recovery()`)
}

func (s *Server) setStandbys(ctx context.Context, names string) error {
	err := s.exec(ctx, `ALTER SYSTEM SET synchronous_standby_names = '`+names+`'`)
	if err != nil {
		return err
	}
	return s.exec(ctx, `SELECT pg_reload_conf()`)
}

// exec runs one statement on a connection of its own.
func (s *Server) exec(ctx context.Context, sql string, args ...any) error {
	return s.session(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql, args...)
		return err
	})
}

func (s *Server) session(ctx context.Context, use func(*pgx.Conn) error) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	return errors.Join(use(conn), conn.Close(context.WithoutCancel(ctx)))
}

// until asks, on a new connection each time, until the answer is true.
func (s *Server) until(ctx context.Context, what, question string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var so bool
		err := s.session(ctx, func(conn *pgx.Conn) error { return conn.QueryRow(ctx, question, args...).Scan(&so) })
		if err == nil && so {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL at port %d: waited in vain until %s: %w",
				s.port, what, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}
