package pgtest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
	"hosho/internal/slow"
	"hosho/migrations"
)

// leak is set in the environment of a test binary that is to fail for the goroutine it leaves.
const leak = "HOSHO_TEST_LEAK"

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	for range 6 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			orders, payments, empty := pgtest.Orders(t), pgtest.Payments(t), pgtest.Empty(t)
			if err := migrations.Orders.Check(t.Context(), orders.Pool, nil); err != nil {
				t.Error(err)
			}
			if err := migrations.Payments.Check(t.Context(), payments.Pool, nil); err != nil {
				t.Error(err)
			}
			for _, db := range []*pgtest.Database{orders, payments, empty} {
				if _, err := db.Pool.Exec(t.Context(), `CREATE TABLE mine ()`); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestURLReachesThePoolsDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	conn, err := pgx.Connect(t.Context(), db.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if got, want := name(t, conn), name(t, db.Pool); got != want {
		t.Errorf("the URL leads to %s, the pool to %s", got, want)
	}
}

func TestDatabaseIsDroppedWithItsSessions(t *testing.T) {
	t.Parallel()
	var dropped string
	t.Run("", func(t *testing.T) {
		db := pgtest.Empty(t)
		dropped = name(t, db.Pool)
		conn, err := pgx.Connect(t.Context(), db.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(t.Context()) })
	})
	var left int
	err := pgtest.Empty(t).Pool.QueryRow(t.Context(),
		`SELECT count(*) FROM pg_database WHERE datname = $1`, dropped).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("got %d databases %s after its test, %v", left, dropped, err)
	}
}

func TestPoolIsAsTheDaemons(t *testing.T) {
	t.Parallel()
	config := pgtest.Empty(t).Pool.Config()
	if got, want := config.ConnConfig.DefaultQueryExecMode, pgx.QueryExecModeCacheStatement; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := config.MaxConns, int32(16); got != want {
		t.Errorf("got %d connections on this machine, want %d on each", got, want)
	}
}

// A test binary whose tests pass and leave a goroutine behind has failed.
func TestMainFindsLeaks(t *testing.T) {
	slow.Test(t, "runs a test binary of its own")
	t.Parallel()
	if os.Getenv(leak) != "" {
		pgtest.Empty(t)
		go func() { select {} }()
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestMainFindsLeaks$")
	cmd.Env = append(os.Environ(), leak+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "PASS") || !strings.Contains(string(out), "unexpected goroutines") {
		t.Errorf("got %v, want a failure that shows the goroutine:\n%s", err, out)
	}
}

func name(t *testing.T, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) string {
	t.Helper()
	var name string
	if err := db.QueryRow(t.Context(), `SELECT current_database()`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}
