package pg_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hosho/internal/pg"
)

// Where each form of a URL leads, whatever the environment says.
func TestAURLSaysWhereTheDatabaseIs(t *testing.T) {
	t.Setenv("PGHOST", "near.example")
	t.Setenv("PGPORT", "1111")
	t.Setenv("PGDATABASE", "nearest")
	t.Setenv("PGTARGETSESSIONATTRS", "standby")
	t.Setenv("PGUSER", "daemon")
	t.Setenv("PGPASSWORD", "of the environment")
	tests := []struct{ url, want string }{
		{"postgres://db/orders", "daemon:of the environment@db:5432/orders"},
		{"postgresql://ada@db/orders", "ada:of the environment@db:5432/orders"},
		{"postgres://ada:se%40c%2Fr%25t@db:6432/orders", "ada:se@c/r%t@db:6432/orders"},
		{"postgres://ada:a+b:c?d@db/orders", "ada:a+b:c?d@db:5432/orders"},
		{"postgres://ada:x@a,b:6432,[::1]/orders", "ada:x@a:5432 b:6432 ::1:5432/orders, checked"},
		{"postgres://ada:x@a,b/orders?target_session_attrs=read-write", "ada:x@a:5432 b:5432/orders, checked"},
		{"postgres://ada:x@a,b/orders?target_session_attrs=any", "ada:x@a:5432 b:5432/orders"},
		{"postgres://ada:x@/orders?host=/run/postgresql&port=7", "ada:x@/run/postgresql:7/orders"},
		{"postgres://ada:x@%2Frun%2Fpostgresql/orders", "ada:x@/run/postgresql:5432/orders"},
		{"postgres://?host=a,b&port=7&dbname=orders&user=ada&password=x", "ada:x@a:7 b:7/orders, checked"},
		{"postgres://ada:x@db/%6Frders%2F1", "ada:x@db:5432/orders/1"},
		{" postgres://ada:x@db/orders\r\n", "ada:x@db:5432/orders"},
		{"host=db dbname=orders user=ada password='a b\\'c\\\\' port = 7", `ada:a b'c\@db:7/orders`},
		{"host=db\ndbname=orders\nuser=ada\npassword=a\\ b", "ada:a b@db:5432/orders"},
		{"host=::1 database=orders user=ada password=x", "ada:x@::1:5432/orders"},
		{"host=a,b port=1,2 dbname=orders user=ada password=x", "ada:x@a:1 b:2/orders, checked"},
	}
	for _, test := range tests {
		config, err := pg.Parse(test.url)
		if err != nil {
			t.Errorf("%q: %v", test.url, err)
			continue
		}
		c := config.ConnConfig
		hosts := []string{fmt.Sprintf("%s:%d", c.Host, c.Port)}
		for _, f := range c.Fallbacks {
			host := fmt.Sprintf("%s:%d", f.Host, f.Port)
			if host != hosts[len(hosts)-1] { // the same one again, without TLS
				hosts = append(hosts, host)
			}
		}
		got := fmt.Sprintf("%s:%s@%s/%s", c.User, c.Password, strings.Join(hosts, " "), c.Database)
		if c.ValidateConnect != nil {
			got += ", checked"
		}
		if got != test.want {
			t.Errorf("%q: got %s, want %s", test.url, got, test.want)
		}
	}
}

func TestAURLSizesThePoolAndSetsParameters(t *testing.T) {
	t.Setenv("PGOPTIONS", "-c search_path=elsewhere")
	t.Setenv("PGTZ", "Mars")
	config, err := pg.Parse("postgres://ada@db/orders?pool_max_conn_lifetime=2h&lock_timeout=1s&connect_timeout=7")
	if err != nil {
		t.Fatal(err)
	}
	parameters := config.ConnConfig.RuntimeParams
	if len(parameters) != 2 || parameters["lock_timeout"] != "1s" || parameters["client_encoding"] != "UTF8" {
		t.Errorf("got %v for the server, want what the URL says, UTF8, and nothing of the environment", parameters)
	}
	if config.MaxConns != pg.DefaultMaxConns || config.MaxConnLifetime != 2*time.Hour ||
		config.ConnConfig.ConnectTimeout != 7*time.Second {
		t.Errorf("got %d connections that live for %s, %s to connect; want %d, 2h, 7s",
			config.MaxConns, config.MaxConnLifetime, config.ConnConfig.ConnectTimeout, pg.DefaultMaxConns)
	}
	config, err = pg.Parse("host=db dbname=orders pool_max_conns=8 options='-c jit=off'")
	if err != nil || config.MaxConns != 8 || config.ConnConfig.RuntimeParams["options"] != "-c jit=off" {
		t.Errorf("got %v of %v, want 8 connections and the options", err, config)
	}
}

// Each is refused with what is wrong, and no part of the password is repeated, wherever it ended up.
func TestABrokenURLIsRefusedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"it is empty":     {"", " ", "\n"},
		"it has a second": {"postgres://u:p@hunter2@db/orders", "postgres://u:hunter/2@db/orders?sslmode=disable"},
		"no host": {
			"postgres://", "postgres:///orders", "postgres://u:hunter2@/orders", "postgres://:5432/orders",
			"postgres://a,,b/orders", "postgres://a,/orders", "dbname=orders user=u", "postgres://u@/orders?host=",
		},
		"no database": {
			"postgres://u:hunter2@db",
			"postgres://db/?sslmode=disable",
			"host=db user=orders",
		},
		"a host is none": {
			"host=db:5432 dbname=orders",
			"postgres://u@d%20b/orders",
			"host=u@db dbname=orders",
		},
		"no number from 1": {
			"postgres://u:hunter2/orders",
			"postgres://u@db:0/orders",
			"host=db dbname=o port=70000",
		},
		"want a number from 1": {
			"postgres://u:hunter2@db/orders?pool_max_conns=0", "postgres://u@db/orders?pool_max_conns=-1",
			"host=db dbname=o password=hunter2 pool_max_conns=x", "host=db dbname=o pool_max_conns=",
		},
		"2 ports for 3": {"host=a,b,c port=1,2 dbname=o"},
		"a space or a line": {
			"postgres://db/orders postgres://hunter2/orders",
			"postgres://u:hun\nter2@db/orders",
		},
		"got the scheme POSTGRES:": {"POSTGRES://u:hunter2:tail@db/orders"},
		"got the scheme jdbc":      {"jdbc:postgresql://db/orders?user=u&password=hunter2"},
		"got neither":              {"orders", "hunter2", "postgres:db"},
		"a / in the database's":    {"postgres://u@db/orders/hunter2"},
		"a # behind":               {"postgres://u@db/orders#hunter2"},
		"write %25": {
			"postgres://u:hunter2%@db/orders",
			"postgres://db/orders?user=%zz",
			"postgres://db/o%00",
		},
		"not name=value": {
			"postgres://db/orders?hunter2",
			"postgres://db/orders?password=hunter=2",
			"postgres://db/o?",
		},
		"is not key=value": {"host=db password='a hunter2", "host=db dbname=orders password=hunter 2"},
		`unknown parameter "sslmod"`: {
			"postgres://db/orders?sslmod=disable", "host=db dbname=orders sslmod=disable",
		},
		`unknown parameter "orders"`:    {"orders=1"},
		`unknown parameter "pool_size"`: {"postgres://db/orders?pool_size=1"},
		`unknown parameter: want`: {
			"host=db password=a hunter2=1 dbname=o",
			"host=db 'hunter2'=1",
			"postgres://db/o?password=a&hunter2=1",
		},
		"dbname is given twice": {"postgres://db/orders?dbname=others", "host=db dbname=a database=b"},
		"host is given twice":   {"postgres://db/orders?host=/tmp"},
		`sslmode: got "disabled", want one`: {
			"postgres://db/orders?sslmode=disabled",
			"host=/tmp dbname=o sslmode=disabled",
		},
		"sslmode: got something else":    {"postgres://db/orders?password=a&sslmode=hunter2"},
		`target_session_attrs: got "rw"`: {"postgres://a,b/orders?target_session_attrs=rw"},
		"pool_max_conns": {
			"postgres://u:hunter2@db/orders?pool_max_conns=many",
			"host=db dbname=o pool_max_conns=0",
		},
		"unable to read CA file": {"postgres://u:hunter2@db/orders?sslrootcert=/not/there"},
	}
	for want, urls := range tests {
		for _, url := range urls {
			config, err := pg.Parse(url)
			if err == nil {
				t.Errorf("%q: got %s, want it refused", url, config.ConnString())
				continue
			}
			text := err.Error()
			if !strings.Contains(text, want) || !strings.HasPrefix(text, "database URL: ") {
				t.Errorf("%q: got %q, want %q in it", url, text, want)
			}
			if strings.Contains(text, "hunter") || strings.Contains(text, "ter2") {
				t.Errorf("%q: the error repeats the password: %q", url, text)
			}
		}
	}
}

// A service of libpq names a host as well, and what pgx makes of the two cannot be told apart.
func TestAServiceOfTheEnvironmentIsRefused(t *testing.T) {
	t.Setenv("PGSERVICE", "another")
	if _, err := pg.Parse("postgres://db/orders"); err == nil || !strings.Contains(err.Error(), "unset it") {
		t.Errorf("got %v, want to be told to unset PGSERVICE", err)
	}
}
