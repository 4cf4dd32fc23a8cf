package pgtest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Explained returns a pool of one connection, and a function that returns the plans by which its statements, and those
// of triggers, were executed since it was called last: the server tells them, as auto_explain's JSON has them.
func Explained[Plan any](t testing.TB, db *Database) (*pgxpool.Pool, func() []Plan) {
	t.Helper()
	config, err := pgxpool.ParseConfig(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 1
	config.ConnConfig.RuntimeParams["options"] = "-c session_preload_libraries=auto_explain " +
		"-c auto_explain.log_min_duration=0 -c auto_explain.log_analyze=on -c auto_explain.log_format=json " +
		"-c auto_explain.log_level=warning -c auto_explain.log_timing=off -c auto_explain.log_nested_statements=on"
	config.ConnConfig.DefaultQueryExecMode = db.Pool.Config().ConnConfig.DefaultQueryExecMode
	var told []Plan
	config.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		_, text, found := strings.Cut(n.Message, "plan:\n")
		var explained struct{ Plan Plan }
		if err := json.Unmarshal([]byte(text), &explained); !found || err != nil {
			t.Errorf("got %q, error %v; want a plan", n.Message, err)
		}
		told = append(told, explained.Plan)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool, func() []Plan {
		defer func() { told = nil }()
		return told
	}
}
