package pg

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// server is what a session can tell of the server at its other end, as far as commits depend on it. A setting is the
// session's own: a role, a database and the URL may have one of theirs.
type server struct {
	address  string
	started  string // tells one server from another, and from itself before a restart
	version  string
	standby  bool
	readOnly bool

	fsync, fullPageWrites, dataSyncRetry, zeroDamagedPages string
	commit, standbys                                       string // synchronous_commit, synchronous_standby_names
	unlogged                                               string // tables that a crash empties, and no standby has
}

const serverQuery = `
SELECT pg_is_in_recovery(), current_setting('transaction_read_only'),
	to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
	current_setting('server_version'),
	current_setting('fsync'), current_setting('full_page_writes'),
	current_setting('data_sync_retry'), current_setting('zero_damaged_pages'),
	current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
	(SELECT coalesce(string_agg(relname, ', ' ORDER BY relname), '') FROM pg_class
	WHERE relkind IN ('r', 'p') AND relpersistence = 'u' AND pg_table_is_visible(oid))`

// readServer asks in one round trip, and leaves nothing behind in the session, which may be a pooler's.
func readServer(ctx context.Context, conn *pgconn.PgConn) (server, error) {
	results, err := conn.Exec(ctx, serverQuery).ReadAll()
	if err != nil {
		return server{}, err
	}
	s := server{address: conn.Conn().RemoteAddr().String()}
	var standby, readOnly string
	for i, field := range []*string{
		&standby, &readOnly, &s.started, &s.version,
		&s.fsync, &s.fullPageWrites, &s.dataSyncRetry, &s.zeroDamagedPages,
		&s.commit, &s.standbys, &s.unlogged,
	} {
		*field = string(results[0].Rows[0][i])
	}
	s.standby, s.readOnly = standby == "t", readOnly == "on"
	return s, nil
}

// String tells servers and their settings apart, by whichever address they were reached.
func (s server) String() string {
	s.address = ""
	return fmt.Sprintf("%#v", s)
}

// writable returns ErrReadOnly for a server that takes no writes.
func (s server) writable() error {
	switch {
	case s.standby:
		return fmt.Errorf("%w: the server at %s is a standby: promote it, or name its primary in the URL "+
			"(several hosts may stand there, with target_session_attrs=read-write)", ErrReadOnly, s.address)
	case s.readOnly:
		return fmt.Errorf("%w: default_transaction_read_only: got on, want off, on the server at %s: set it off, "+
			"wherever the server, the database, the role or the URL says otherwise", ErrReadOnly, s.address)
	}
	return nil
}

// writable is what a connection has to be that is written over, or ErrReadOnly.
func writable(ctx context.Context, conn *pgconn.PgConn) error {
	s, err := readServer(ctx, conn)
	if err != nil {
		return err
	}
	return s.writable()
}

// risks returns why an acknowledged commit may vanish on this server: what was got and wanted, and what to do.
func (s server) risks() []string {
	var risks []string
	risk := func(so bool, setting, got, want, why string) {
		if so {
			risks = append(risks, fmt.Sprintf("%s: got %s, want %s (%s)", setting, got, want, why))
		}
	}
	const reload = "set it with ALTER SYSTEM, then SELECT pg_reload_conf()"
	risk(s.fsync != "on", "fsync", s.fsync, "on", "nothing is on disk when the machine fails: "+reload)
	risk(s.fullPageWrites != "on", "full_page_writes", s.fullPageWrites, "on",
		"a page that was half written is lost: "+reload)
	risk(s.dataSyncRetry != "off", "data_sync_retry", s.dataSyncRetry, "off",
		"what a failing disk did not keep is taken for written: set it with ALTER SYSTEM, and restart the server")
	risk(s.zeroDamagedPages != "off", "zero_damaged_pages", s.zeroDamagedPages, "off",
		"a damaged page is emptied without a word: set it off, for the server, the database and the role")
	risk(s.commit == "off", "synchronous_commit", s.commit, "on",
		"a COMMIT is answered before it is on disk: set it on, for the server, the database, the role and in the URL")
	risk(s.standbys != "" && (s.commit == "local" || s.commit == "remote_write"), "synchronous_commit", s.commit,
		"on or remote_apply, since synchronous_standby_names is "+s.standbys,
		"no standby needs to have a commit on its disk, and a failover loses it: set it on, for the server, the "+
			"database, the role and in the URL")
	risk(s.unlogged != "", "unlogged tables", s.unlogged, "none",
		"a crash empties them, and no standby has them: ALTER TABLE ... SET LOGGED")
	return risks
}
