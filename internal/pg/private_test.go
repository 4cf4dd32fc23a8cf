package pg_test

import (
	"errors"
	"testing"

	"hosho/internal/pg"
)

// What leaves this machine is for the database alone. Without sslmode pgx would go on in plaintext, and say nothing.
func TestAURLThatLeadsOffLoopbackWithoutTLSIsRefused(t *testing.T) {
	for url, exposed := range map[string]string{
		"postgres://u@127.0.0.1/orders":                                                "",
		"postgres://u@[::1]/orders":                                                    "",
		"postgres://u@localhost/orders?sslmode=disable":                                "",
		"host=/run/postgresql dbname=orders":                                           "",
		"postgres://u@db.example/orders?sslmode=verify-full":                           "",
		"postgres://u@a.example,b.example/orders?sslmode=verify-full":                  "",
		"postgres://u@db.example/orders":                                               "db.example",
		"postgres://u@192.0.2.1/orders?sslmode=disable":                                "192.0.2.1",
		"postgres://u@db.example/orders?sslmode=allow":                                 "db.example",
		"postgres://u@db.example/orders?sslmode=prefer":                                "db.example",
		"postgres://u@db.example/orders?sslmode=require":                               "db.example",
		"postgres://u@db.example/orders?sslmode=verify-ca":                             "db.example",
		"postgres://u@127.0.0.1,db.example/orders?sslmode=disable":                     "db.example",
		"postgres://u@localhost.example/orders?sslmode=require":                        "localhost.example",
		"host=::ffff:127.0.0.1 dbname=orders":                                          "",
		"host=/run/postgresql,db.example dbname=orders port=5432,5432 sslmode=require": "db.example",
	} {
		err := pg.CheckPrivate(url)
		var found *pg.ExposedError
		switch {
		case exposed == "" && err != nil:
			t.Errorf("%s: got %v, want it taken", url, err)
		case exposed != "" && (!errors.As(err, &found) || found.Host != exposed):
			t.Errorf("%s: got %v, want host %s told", url, err, exposed)
		}
	}
}

// The environment may say how securely one connects, as everywhere.
func TestTheEnvironmentMayAskForTLS(t *testing.T) {
	t.Setenv("PGSSLMODE", "verify-full")
	if err := pg.CheckPrivate("postgres://u@db.example/orders"); err != nil {
		t.Errorf("got %v, want it taken", err)
	}
}
